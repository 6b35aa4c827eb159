#!/usr/bin/env python3
"""Writes src/task/tasks/bbh.yaml: BIG-Bench-Hard's 27 tasks with their three worked examples each.

usage: tools/golden/make_bbh_task.py bbh_cot_prompts.jsonl.gz > src/task/tasks/bbh.yaml

The input has the authors' own prompts (suzgunmirac/BIG-Bench-Hard, cot-prompts/*.txt, MIT) as lines {"task", "prompt"}. Of each
prompt the part behind the canary is cut into the description and the examples; put together again by the task's templates
they are the same text, which is checked here (sports_understanding has a space where the harness, and this file, break the line).
"""
import gzip
import json
import sys

HEAD = '''\
# BIG-Bench-Hard (Suzgun et al. 2022), three worked examples each, as lm-evaluation-harness' bbh_cot_fewshot asks it. The
# examples are the authors' (github.com/suzgunmirac/BIG-Bench-Hard, MIT); tools/golden/make_bbh_task.py wrote this file.
task: bbh
about: what language models found hard, worked out
output_type: generate_until
source: github.com/suzgunmirac/BIG-Bench-Hard (bbh/{{task}}.json) or huggingface.co/datasets/SaylorTwift/bbh
test_split: test
files:
  test:
    - bbh.jsonl
    - bbh_shared.jsonl
    - "{{task}}.json"
    - "bbh/{{task}}.json"
    - "{{task}}/test-*.parquet"
select: {task: "{{task}}"}
num_fewshot: 3
target_delimiter: ""
doc_to_text: "Q: {{input}}\\nA: Let's think step by step.\\n"
doc_to_target: "{{target}}"
generation_kwargs:
  max_gen_toks: 1024
  until: ["</s>", "Q", "\\n\\n"]
  do_sample: false
  temperature: 0.0
metric_list:
  - {metric: exact_match}
filter_list:
  - name: get-answer
    filter:
      - {function: regex, regex_pattern: "(?<=the answer is )(.*)(?=.)"}
      - {function: take_first}
'''
STEP = "\nA: Let's think step by step.\n"


def cut(prompt):
    text = prompt.split("-----\n", 1)[1].rstrip("\n").replace(STEP[:-1] + " ", STEP)
    description, rest = text.split("\n\nQ: ", 1)
    samples = []
    for part in ("\n\n" + "Q: " + rest).split("\n\nQ: ")[1:]:
        question, target = part.split(STEP, 1)
        samples.append({"input": question, "target": target})
    again = description + "\n\n" + "\n\n".join("Q: " + s["input"] + STEP + s["target"] for s in samples)
    assert again == text, description
    return description + "\n\n", samples


def main(path):
    with gzip.open(path, "rt") as f:
        rows = sorted((json.loads(line) for line in f), key=lambda row: row["task"])
    quote = lambda text: json.dumps(text, ensure_ascii=False)
    print(HEAD, end="")
    print("members:\n  task:")
    for row in rows:
        print("    -", row["task"])
    print("member:")
    for row in rows:
        description, samples = cut(row["prompt"])
        print(f"  {row['task']}:\n    description: {quote(description)}\n    fewshot_config:\n      sampler: first_n\n      samples:")
        for s in samples:
            print(f"        - input: {quote(s['input'])}\n          target: {quote(s['target'])}")


main(sys.argv[1])
