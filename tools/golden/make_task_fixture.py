#!/usr/bin/env python3
"""Writes test/task/golden.json: a part of golden/evaluation that is small enough to lie in the repository.

usage: tools/golden/make_task_fixture.py ../shared/golden/evaluation > test/task/golden.json

Of each task two or three runs (without shots, with shots, as a conversation), without the lists of tokens, which the log-likelihoods
stand for; of the joins and the windows all. The documents were made up for the golden files and carry no licence.
"""
import json
import sys

KEEP = {
    "hellaswag": ["0shot/merge/nobos", "3shot/bytes/nobos/fewshot_split=train"],
    "arc_challenge": ["3shot/bytes/bos/zephyr chat, multiturn, system"],
    "mmlu_abstract_algebra": ["5shot/bytes/nobos"],
    "truthfulqa_mc1": ["0shot/merge/nobos"],
    "truthfulqa_mc2": ["0shot/bytes/bos"],
    "winogrande": ["3shot/bytes/nobos", "3shot/bytes/bos/zephyr chat, single user turn"],
}
DOCS = 2


def trim(run):
    run["items"] = run["items"][:DOCS]
    for item in run["items"]:
        for request in item["requests"]:
            del request["continuation_tokens"]
    sums = {}
    for item in run["items"]:
        for name, value in item["metrics"].items():
            sums.setdefault(name, []).append(value)
    run["aggregate"] = {}
    for name, values in sums.items():
        mean = sum(values) / len(values)
        run["aggregate"][name] = mean
        run["aggregate"][name + "_stderr"] = (sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values)) ** 0.5
    return run


def main(folder):
    out = {}
    for task, runs in KEEP.items():
        with open(f"{folder}/{task}.json") as f:
            root = json.load(f)
        part = {k: root[k] for k in ("docs", "train_docs", "dev_docs") if k in root}
        part["docs"] = part["docs"][:DOCS]
        part["runs"] = [trim(run) for run in root["runs"] if run["run"] in runs]
        out[task] = part
    with open(f"{folder}/tokenization_boundary.json") as f:
        out["tokenization_boundary"] = json.load(f)
    out["gsm8k"] = {"docs": [], "context_runs": []}
    json.dump(out, sys.stdout, ensure_ascii=False, separators=(",", ":"))
    print()


main(sys.argv[1])
