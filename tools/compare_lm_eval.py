#!/usr/bin/env python3
"""aerie eval beside lm-evaluation-harness: the same weights, the same requests, item by item.

  compare_lm_eval.py prepare WORK --data BENCH      task files and data that need no network
  compare_lm_eval.py harness WORK --model HF_FOLDER [--limit N] [--tasks a,b]
  compare_lm_eval.py aerie   WORK --model MODEL [--aerie build/aerie] [--options=--fast] [--limit N]
                             [--tasks a,b]
  compare_lm_eval.py compare WORK
  compare_lm_eval.py served  WORK --url http://127.0.0.1:11434/v1 --name MODEL --model HF_FOLDER
      the harness' own client of completions (local-completions) on ARC-Easy, over `aerie serve`

BENCH holds arc_challenge_test.jsonl.gz, mmlu_{dev,test}.jsonl.gz, truthfulqa_mc_task.json.gz and
olmo_oe_eval/*. HF_FOLDER is what `aerie convert MODEL --to hf --type f32` writes. The second step
needs lm_eval, transformers and torch; nothing of aerie does."""
import argparse
import glob
import gzip
import json
import os
import shlex
import subprocess
import sys
import time

SUBJECTS = ["abstract_algebra", "anatomy", "astronomy", "business_ethics", "college_biology",
            "computer_security", "global_facts", "high_school_geography", "human_sexuality",
            "world_religions"]
TASKS = {"arc_challenge": 0, "hellaswag": 0, "truthfulqa_mc1": 0, "truthfulqa_mc2": 0,
         "winogrande": 0, **{"mmlu_" + s: 5 for s in SUBJECTS}}


# lm_eval 0.4.9.2 fails where it prints the names of tasks that lie outside of its own folder.
HARNESS = """
import pathlib
inside = pathlib.PurePath.relative_to
def relative_to(self, *other):
    try:
        return inside(self, *other)
    except ValueError:
        return self
pathlib.PurePath.relative_to = relative_to
from lm_eval.__main__ import cli_evaluate
cli_evaluate()
"""


def lines(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def put(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def arc_rows(path):
    for row in lines(path):
        choices = row["question"]["choices"]
        yield {"id": row["id"], "question": row["question"]["stem"], "answerKey": row["answerKey"],
               "choices": {"text": [c["text"] for c in choices],
                           "label": [c["label"] for c in choices]}}


def truth_rows(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in json.load(file):
            targets = {key: {"choices": list(row[key]), "labels": list(row[key].values())}
                       for key in ("mc1_targets", "mc2_targets")}
            yield {"question": row["question"], **targets}


def olmes_docs(path, key):
    """Each document once: ARC-Easy's file asks each under two numbers."""
    seen = set()
    for row in lines(path):
        doc = {k: v for k, v in row["doc"].items() if k in key}
        text = json.dumps(doc)
        if text not in seen:
            seen.add(text)
            yield doc


def prepare(args):
    bench, data, tasks = args.data, f"{args.work}/data", f"{args.work}/tasks"
    os.makedirs(data, exist_ok=True)
    os.makedirs(tasks, exist_ok=True)
    put(f"{data}/arc_challenge_test.jsonl", arc_rows(f"{bench}/arc_challenge_test.jsonl.gz"))
    put(f"{data}/truthfulqa_mc_validation.jsonl", truth_rows(f"{bench}/truthfulqa_mc_task.json.gz"))
    hella = olmes_docs(f"{bench}/olmo_oe_eval/hellaswag_rc_5shot.requests.jsonl.gz",
                       ("ind", "query", "choices", "gold"))
    put(f"{data}/hellaswag_validation.jsonl", list(hella)[:500])
    put(f"{data}/winogrande_validation.jsonl",
        olmes_docs(f"{bench}/olmo_oe_eval/winogrande_rc_0shot.requests.jsonl.gz",
                   ("sentence", "option1", "option2", "answer")))
    for split in ("dev", "test"):
        rows = lines(f"{bench}/mmlu_{split}.jsonl.gz")
        for s in SUBJECTS:
            put(f"{data}/mmlu_{s}_{split}.jsonl", (r for r in rows if r["subject"] == s))
        put(f"{data}/mmlu_{split}.jsonl", (r for r in rows if r["subject"] in SUBJECTS))
    import lm_eval
    upstream = os.path.dirname(lm_eval.__file__) + "/tasks"
    write_task(tasks, "arc_challenge", f"include: {upstream}/arc/arc_challenge.yaml",
               test=f"{data}/arc_challenge_test.jsonl", drop=("training_split", "validation_split"))
    for name in ("truthfulqa_mc1", "truthfulqa_mc2"):
        write_task(tasks, name, f"include: {upstream}/truthfulqa/{name}.yaml",
                   validation=f"{data}/truthfulqa_mc_validation.jsonl")
    write_task(tasks, "winogrande", f"include: {upstream}/winogrande/default.yaml",
               validation=f"{data}/winogrande_validation.jsonl", drop=("training_split",))
    write_task(tasks, "hellaswag",
               "output_type: multiple_choice\nvalidation_split: validation\n"
               'doc_to_text: "{{query}}"\ndoc_to_target: "{{gold}}"\ndoc_to_choice: "choices"\n'
               "metric_list:\n  - metric: acc\n  - metric: acc_norm\n",
               validation=f"{data}/hellaswag_validation.jsonl")
    easy = olmes_docs(f"{bench}/olmo_oe_eval/arc_easy_rc_0shot.requests.jsonl.gz",
                      ("id", "query", "choices", "gold"))
    put(f"{data}/arc_easy.jsonl", easy)
    write_task(tasks, "arc_easy",
               "output_type: multiple_choice\ntest_split: test\n"
               'doc_to_text: "{{query}}"\ndoc_to_target: "{{gold}}"\ndoc_to_choice: "choices"\n'
               "metric_list:\n  - metric: acc\n  - metric: acc_norm\n",
               test=f"{data}/arc_easy.jsonl")
    for s in SUBJECTS:
        write_task(tasks, "mmlu_" + s, f"include: {upstream}/mmlu/default/mmlu_{s}.yaml",
                   test=f"{data}/mmlu_{s}_test.jsonl", dev=f"{data}/mmlu_{s}_dev.jsonl")


def write_task(folder, name, head, drop=(), **files):
    text = f"{head}\ntask: local_{name}\ndataset_path: json\ndataset_name: null\n"
    text += "".join(f"{key}: null\n" for key in drop)
    text += "tag: local_aerie\ndataset_kwargs:\n  data_files:\n"
    text += "".join(f"    {split}: {os.path.abspath(path)}\n" for split, path in files.items())
    with open(f"{folder}/local_{name}.yaml", "w", encoding="utf-8") as file:
        file.write(text)


def chosen(args):
    """What one run measures together: a benchmark, whose samples stand when the next one begins."""
    groups = {}
    for task in args.tasks.split(",") if args.tasks else TASKS:
        groups.setdefault(task.split("_mc")[0] if "_mc" in task else
                          "mmlu" if task.startswith("mmlu_") else task, []).append(task)
    return groups.items()


def timed(command, env):
    """Seconds by the clock, and of processors: the latter say more on a machine that is shared."""
    before, start = os.times(), time.time()
    subprocess.run(command, check=True, env=env)
    after = os.times()
    return {"clock": round(time.time() - start, 1),
            "cpu": round(after.children_user + after.children_system - before.children_user
                         - before.children_system, 1)}


def read_seconds(path):
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def keep_seconds(path, group, seconds):
    kept = {**read_seconds(path), group: seconds}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(kept, file)
    print(f"{group}: {seconds['clock']} s by the clock, {seconds['cpu']} s of processors",
          flush=True)


def harness(args):
    out = f"{args.work}/harness"
    os.makedirs(out, exist_ok=True)
    for group, names in chosen(args):
        command = [sys.executable, "-c", HARNESS, "--model", "hf", "--model_args",
                   f"pretrained={args.model},dtype=float32", "--device", "cpu", "--tasks",
                   ",".join("local_" + t for t in names), "--include_path", f"{args.work}/tasks",
                   "--num_fewshot", str(TASKS[names[0]]), "--batch_size", str(args.batch), "--log_samples",
                   "--output_path", out]
        if args.limit:
            command += ["--limit", str(args.limit)]
        seconds = timed(command, {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
                                  "TOKENIZERS_PARALLELISM": "false"})
        keep_seconds(f"{args.work}/harness_seconds.json", group, seconds)


def aerie(args):
    os.makedirs(f"{args.work}/aerie", exist_ok=True)
    for group, names in chosen(args):
        command = [args.aerie, "eval", args.model, "--tasks", ",".join(names), "--protocol",
                   "lm-eval", "--data", f"{args.work}/data", "--num-fewshot", str(TASKS[names[0]]),
                   "--out", f"{args.work}/aerie", "--fresh", "--json", "--quiet"] + shlex.split(args.options)
        if args.limit:
            command += ["--limit", str(args.limit)]
        keep_seconds(f"{args.work}/aerie_seconds.json", group, timed(command, None))


def served(args):
    out = f"{args.work}/served"
    os.makedirs(out, exist_ok=True)
    command = [sys.executable, "-c", HARNESS, "--model", "local-completions", "--model_args",
               f"model={args.name},base_url={args.url}/completions,tokenizer={args.model},"
               "num_concurrent=8,max_retries=3,timeout=600", "--tasks", "local_arc_easy",
               "--include_path", f"{args.work}/tasks", "--num_fewshot", "0", "--log_samples",
               "--output_path", out]
    if args.limit:
        command += ["--limit", str(args.limit)]
    print("seconds:", timed(command, {**os.environ, "HF_HUB_OFFLINE": "1",
                                      "HF_DATASETS_OFFLINE": "1", "OPENAI_API_KEY": "none"}))


def samples(pattern):
    paths = sorted(glob.glob(pattern, recursive=True), key=os.path.getmtime)
    rows = {}
    for path in paths[-1:]:
        with open(path, encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                rows[row["doc_id"]] = row
    return rows


def likelihoods(row):
    return [float(r[0]) for r in row["filtered_resps"]]


def pick(row, normed):
    values = likelihoods(row)
    if normed:
        values = [v / n for v, n in zip(values, normed)]
    return max(range(len(values)), key=lambda i: values[i])


def compare(args):
    total = same = 0
    print(f"{'task':30} {'items':>5} {'harness':>8} {'aerie':>8} {'stderr':>7} {'same pick':>9} "
          f"{'same score':>10} {'max |ll|':>9}")
    for task in TASKS:
        theirs = samples(f"{args.work}/harness/**/samples_local_{task}_*.jsonl")
        ours = samples(f"{args.work}/aerie/samples_{task}*.jsonl")
        ids = sorted(set(theirs) & set(ours))
        if not ids:
            continue
        metric = "acc_norm" if "acc_norm" in theirs[ids[0]] else "acc"
        a = [float(theirs[i][metric]) for i in ids]
        b = [float(ours[i][metric]) for i in ids]
        mean = sum(a) / len(a)
        error = (sum((x - mean) ** 2 for x in a) / max(1, len(a) - 1) / len(a)) ** 0.5
        picks = sum(pick(theirs[i], None) == pick(ours[i], None) for i in ids)
        scores = sum(abs(x - y) < 1e-2 for x, y in zip(a, b))
        gap = max(abs(x - y) for i in ids
                  for x, y in zip(likelihoods(theirs[i]), likelihoods(ours[i])))
        print(f"{task:30} {len(ids):5} {mean:8.4f} {sum(b) / len(b):8.4f} {error:7.4f} "
              f"{picks / len(ids):9.2%} {scores / len(ids):10.2%} {gap:9.4f}")
        total += len(ids)
        same += picks
    print(f"same answer on {same} of {total} items ({same / max(1, total):.2%})")
    theirs, ours = (read_seconds(f"{args.work}/{who}_seconds.json") for who in ("harness", "aerie"))
    for group in [g for g in theirs if g in ours]:
        print(f"{group:20} " + "; ".join(
            f"{unit}: harness {theirs[group][key]} s, aerie {ours[group][key]} s, "
            f"{theirs[group][key] / ours[group][key]:.1f} times faster"
            for unit, key in (("clock", "clock"), ("processors", "cpu"))))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("step", choices=["prepare", "harness", "aerie", "compare", "served"])
    parser.add_argument("work")
    parser.add_argument("--data", default="../shared/data/bench")
    parser.add_argument("--model")
    parser.add_argument("--url", default="http://127.0.0.1:11434/v1")
    parser.add_argument("--name", help="of the model, as the server calls it")
    parser.add_argument("--aerie", default="build/aerie")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--batch", default="16")
    parser.add_argument("--tasks", default="")
    parser.add_argument("--options", default="", help="more of them for aerie eval: '--fast'")
    args = parser.parse_args()
    {"prepare": prepare, "harness": harness, "aerie": aerie, "compare": compare,
     "served": served}[args.step](args)


if __name__ == "__main__":
    main()
