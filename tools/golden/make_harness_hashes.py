#!/usr/bin/env python3
"""Writes test/task/harness_hashes.json: SHA-256 of all requests that lm-evaluation-harness itself builds over data/bench.

usage: tools/golden/make_harness_hashes.py BENCH [AGIEVAL_CHECKOUT] > test/task/harness_hashes.json     (with lm_eval installed)

The harness' own task files are included and its own code builds the requests (Task.build_all_requests); only the data are taken
from files, in the columns that its data sets on the hub have. Of AGIEval those columns (query, choices, gold) are what the
authors' own convert_zero_shot() makes of their files, as the hub's copies (hails/agieval-*) say of themselves: the checkout is
github.com/ruixiangcui/AGIEval at 5c77d07, of which src/dataset_loader.py is read.
"""
import ast
import contextlib
import gzip
import hashlib
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile

inside = pathlib.PurePath.relative_to


def relative_to(self, *other):
    """lm_eval 0.4.9.2 fails where it names task files outside of its own folder."""
    try:
        return inside(self, *other)
    except ValueError:
        return self


pathlib.PurePath.relative_to = relative_to


def lines(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def olmes(path):
    """A request file's documents, each once and as its data set has it."""
    last = None
    for row in lines(path):
        if row["doc_id"] != last and row["doc_id"] < 1000000:
            last = row["doc_id"]
            yield row["doc"]


def zero_shot(checkout):
    """AGIEval's convert_zero_shot(), without the modules that its file imports."""
    source = subprocess.run(["git", "--git-dir", checkout, "show", "5c77d07:src/dataset_loader.py"], check=True,
                            capture_output=True, text=True).stdout
    keep = [node for node in ast.parse(source).body
            if isinstance(node, ast.Assign) and node.targets[0].id.endswith("_datasets")
            or isinstance(node, ast.FunctionDef) and node.name == "convert_zero_shot"]
    names = {}
    exec(compile(ast.Module(keep, []), "dataset_loader.py", "exec"), names)
    return names["convert_zero_shot"]


def agieval(bench, checkout):
    convert = zero_shot(checkout)
    rows = lines(f"{bench}/agieval_en.jsonl.gz")
    for exam in sorted({row["task"] for row in rows}):
        docs = [{"query": convert(row, exam), "choices": row["options"], "gold": ["ABCDEFG".index(row["label"])]}
                for row in rows if row["task"] == exam]
        yield f"agieval_{exam}", f"agieval/{exam}.yaml", "test", docs, {}


def bbh(bench):
    rows = lines(f"{bench}/bbh_shared.jsonl.gz")
    for name in sorted({row["task"] for row in rows}):
        docs = [{"input": row["input"], "target": row["target"]} for row in rows if row["task"] == name]
        yield f"bbh_{name}", f"bbh/cot_fewshot/{name}.yaml", "test", docs, {"dataset_name": "null"}


def others(bench):
    foundry, oe = f"{bench}/llm_foundry", f"{bench}/olmo_oe_eval"
    yield ("lambada_openai", "lambada/lambada_openai.yaml", "test",
           [{"text": row["context"] + " " + row["continuation"]} for row in lines(f"{foundry}/lambada_openai.jsonl.gz")], {})
    yield ("piqa", "piqa/piqa.yaml", "validation", [dict(d, label=d["label"]) for d in piqa(f"{oe}/piqa_val_rc_5shot.requests.jsonl.gz")],
           {"training_split": "null"})
    yield ("openbookqa", "openbookqa/openbookqa.yaml", "test", list(book(f"{oe}/openbookqa_test_rc_5shot.requests.jsonl.gz")),
           {"training_split": "null", "validation_split": "null"})
    yield ("boolq", "super_glue/boolq/default.yaml", "validation", list(boolq(f"{oe}/boolq_rc_5shot.requests.jsonl.gz")),
           {"training_split": "null"})
    yield ("copa", "super_glue/copa/default.yaml", "validation", list(copa(f"{oe}/copa_rc_0shot.requests.jsonl.gz")),
           {"training_split": "null"})
    yield ("ifeval", "ifeval/ifeval.yaml", "train",
           [{k: r[k] for k in ("key", "prompt", "instruction_id_list")} for r in lines(f"{bench}/ifeval_input_data.jsonl.gz")], {})
    yield ("gsm8k", "gsm8k/gsm8k.yaml", "test", lines(f"{bench}/gsm8k_test.jsonl.gz"),
           {"num_fewshot": "0", "training_split": "null", "fewshot_split": "test"})


def piqa(path):
    for doc in olmes(path):
        yield {k: doc[k] for k in ("goal", "sol1", "sol2", "label")}


def book(path):
    for doc in olmes(path):
        yield {"question_stem": doc["query"][len("Question: "):-len("\nAnswer:")], "answerKey": "ABCD"[doc["gold"]],
               "choices": {"text": doc["choices"], "label": list("ABCD"[:len(doc["choices"])])}}


def boolq(path):
    for doc in olmes(path):
        passage, question = doc["query"][:-len("?\nAnswer:")].rsplit("\nQuestion: ", 1)
        yield {"passage": passage, "question": question, "label": doc["choices"][doc["gold"]] == "yes" and 1 or 0}


def copa(path):
    for doc in olmes(path):
        yield {k: doc[k] for k in ("premise", "choice1", "choice2", "question", "label")}


def requests_of(folder, upstream, name, yaml, split, docs, more):
    from lm_eval.tasks import TaskManager, get_task_dict
    data = f"{folder}/{name}.jsonl"
    with open(data, "w", encoding="utf-8") as file:
        for doc in docs:
            file.write(json.dumps(doc, ensure_ascii=False) + "\n")
    text = f"include: {upstream}/{yaml}\ntask: local_{name}\ndataset_path: json\ndataset_name: null\ntag: local\n"
    text += "".join(f"{key}: {value}\n" for key, value in more.items() if key != "dataset_name")
    text += f"dataset_kwargs:\n  data_files:\n    {split}: {data}\n"
    with open(f"{folder}/local_{name}.yaml", "w", encoding="utf-8") as file:
        file.write(text)
    manager = TaskManager(include_path=folder, include_defaults=False)
    task = get_task_dict([f"local_{name}"], manager)[f"local_{name}"]
    task.build_all_requests(rank=0, world_size=1)
    return [list(i.args) if task.OUTPUT_TYPE != "generate_until" else i.args[0] for i in task.instances]


def main(bench, checkout=None):
    import lm_eval
    upstream = os.path.dirname(lm_eval.__file__) + "/tasks"
    cases = list(others(bench)) + list(bbh(bench)) + (list(agieval(bench, checkout)) if checkout else [])
    out = {}
    # What the harness has to say is none of the file.
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        for name, yaml, split, docs, more in cases:
            requests = requests_of(folder, upstream, name, yaml, split, docs, more)
            text = json.dumps(requests).encode()
            out[name] = {"docs": len(docs), "requests": len(requests), "sha256": hashlib.sha256(text).hexdigest()}
            os.remove(f"{folder}/local_{name}.yaml")
    json.dump({"lm_eval": importlib.metadata.version("lm_eval"), "tasks": out}, sys.stdout, indent=1)
    print()


main(*sys.argv[1:])
