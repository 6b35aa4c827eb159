#!/usr/bin/env python3
"""Writes test/format/parquet: small Parquet files as pyarrow makes them, in the schemas of the data sets
that people train on, and the same rows as JSON lines. Needs pyarrow (any recent one; made with 26).
usage: tools/golden/make_parquet_fixtures.py test/format/parquet"""
import json
import math
import os
import random
import sys

import pyarrow as pa
import pyarrow.parquet as pq

text, real, whole = pa.string(), pa.float64(), pa.int64()
message = pa.struct([("content", text), ("role", text)])
WORDS = "rain stone lamp green seven quiet river bread \u00fcber \u96e8 \U0001f327 \"so\" line\nbreak tab\t".split(" ")


def words(r, n):
    return " ".join(r.choice(WORDS) for _ in range(n))


def talk(r, turns):
    return [{"content": words(r, r.randint(1, 9)), "role": "assistant" if i % 2 else "user"} for i in range(turns)]


def ultrachat():
    r = random.Random(1)
    rows = []
    for i in range(19):
        m = talk(r, 2 * r.randint(1, 3))
        rows.append({"prompt": m[0]["content"], "prompt_id": f"{r.getrandbits(128):032x}", "messages": m})
    rows[7]["messages"][1]["content"] = "a long reply " * 150
    return rows, pa.schema([("prompt", text), ("prompt_id", text), ("messages", pa.list_(message))])


def binarized():
    r = random.Random(2)
    rows = []
    for i in range(12):
        m = talk(r, 1)
        a, b = talk(r, 2)[1:], talk(r, 2)[1:]
        rows.append({"prompt": m[0]["content"], "prompt_id": f"{r.getrandbits(128):032x}", "chosen": m + a,
                     "rejected": m + b, "messages": m + a, "score_chosen": r.randint(2, 20) / 2,
                     "score_rejected": r.randint(2, 20) / 2})
    rows[3]["score_rejected"] = float("nan")
    return rows, pa.schema([("prompt", text), ("prompt_id", text), ("chosen", pa.list_(message)),
                            ("rejected", pa.list_(message)), ("messages", pa.list_(message)),
                            ("score_chosen", real), ("score_rejected", real)])


def ultrafeedback():
    r = random.Random(3)
    aspect = pa.struct([("Rating", text), ("Rationale", text)])
    typed = pa.struct([("Rating", text), ("Rationale", text), ("Type", pa.list_(text))])
    names = ["helpfulness", "honesty", "instruction_following", "truthfulness"]
    rows = []
    for i in range(7):
        completions = []
        for k in range(4):
            notes = {n: {"Rating": r.choice(["1", "2", "3", "4", "5", "N/A"]), "Rationale": words(r, 3)} for n in names}
            notes["helpfulness"]["Type"] = r.choice([[], ["1"], ["1", "3"], None])
            completions.append({"annotations": notes, "critique": words(r, 5), "custom_system_prompt": "be kind",
                                "fine-grained_score": r.randint(4, 20) / 4, "model": f"model-{k}",
                                "overall_score": r.randint(2, 20) / 2, "principle": r.choice(["helpfulness", "honesty"]),
                                "response": words(r, r.randint(1, 12))})
        rows.append({"source": r.choice(["flan_v2_niv2", "sharegpt", "truthful_qa"]), "instruction": words(r, 6),
                     "models": [f"model-{k}" for k in range(4)], "completions": completions,
                     "correct_answers": r.choice([[], ["None"], ["a", None, "b"]]), "incorrect_answers": None})
    rows[2]["completions"] = []
    rows[4]["completions"][1]["annotations"] = None
    rows[5]["completions"] = None
    notes = pa.struct([(n, typed if n == "helpfulness" else aspect) for n in names])
    completion = pa.struct([("annotations", notes), ("critique", text), ("custom_system_prompt", text),
                            ("fine-grained_score", real), ("model", text), ("overall_score", real),
                            ("principle", text), ("response", text)])
    return rows, pa.schema([("source", text), ("instruction", text), ("models", pa.list_(text)),
                            ("completions", pa.list_(completion)), ("correct_answers", pa.list_(text)),
                            ("incorrect_answers", pa.list_(text))])


def nectar():
    r = random.Random(4)
    rows = []
    for i in range(13):
        ranks = list(range(1, 8))
        r.shuffle(ranks)
        answers = [{"answer": words(r, r.randint(1, 10)), "model": r.choice(["gpt-4", "llama-2-7b-chat", "anthropic"]),
                    "rank": float(k)} for k in ranks]
        rows.append({"prompt": f"\n\nHuman: {words(r, 5)}\n\nAssistant: ", "answers": answers, "turns": 1,
                     "num_responses": 7, "source": ["lmsys-chat-1m"][: r.randint(0, 1)], "good_natured": r.random() < .8})
    answer = pa.struct([("answer", text), ("model", text), ("rank", real)])
    return rows, pa.schema([("prompt", text), ("answers", pa.list_(answer)), ("turns", whole), ("num_responses", whole),
                            ("source", pa.list_(text)), ("good_natured", pa.bool_())])


def types():
    """Every kind of column, nulls everywhere, lists in lists, a map."""
    r = random.Random(5)
    fields = [("yes", pa.bool_()), ("i8", pa.int8()), ("u16", pa.uint16()), ("i32", pa.int32()), ("u32", pa.uint32()),
              ("i64", whole), ("f32", pa.float32()), ("f64", real), ("text", text), ("bytes", pa.binary()),
              ("lists", pa.list_(pa.list_(pa.int32()))), ("inner", pa.struct([("a", pa.struct([("b", whole)])), ("c", text)])),
              ("map", pa.map_(text, pa.int32()))]
    rows = []
    for i in range(40):
        row = {"yes": r.random() < .5, "i8": r.randint(-128, 127), "u16": r.randint(0, 65535),
               "i32": r.choice([-2**31, 2**31 - 1, i, i * i]), "u32": r.choice([2**32 - 1, i]),
               "i64": r.choice([-2**63, 2**63 - 1, 10**12 + i]), "f32": r.randint(-999, 999) / 8,
               "f64": r.random() * 10**r.randint(-9, 9), "text": f"row {i // 3} " + "x" * (i % 7), "bytes": b"plain",
               "lists": [[r.randint(0, 9) for _ in range(r.randint(0, 3))] for _ in range(r.randint(0, 3))],
               "inner": {"a": {"b": i}, "c": "c"}, "map": [("k", i), ("l", None)][: r.randint(0, 2)]}
        for name in list(row):
            if r.random() < .15:
                row[name] = None
        if row["inner"] and r.random() < .3:
            row["inner"]["a"] = None
        if row["lists"] and r.random() < .3:
            row["lists"][0] = None
        rows.append(row)
    return rows, pa.schema(fields)


def plain(value):
    """As the reader tells it: no NaN, maps as lists of pairs."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [{"key": v[0], "value": v[1]} if isinstance(v, tuple) else plain(v) for v in value]
    if isinstance(value, bytes):
        return value.decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main(folder):
    os.makedirs(folder, exist_ok=True)
    sets = {"ultrachat": ultrachat, "binarized": binarized, "ultrafeedback": ultrafeedback, "nectar": nectar, "types": types}
    deltas = {"i32": "DELTA_BINARY_PACKED", "i64": "DELTA_BINARY_PACKED", "u32": "DELTA_BINARY_PACKED",
              "text": "DELTA_BYTE_ARRAY", "bytes": "DELTA_LENGTH_BYTE_ARRAY", "yes": "RLE"}
    # file -> rows, options of the writer
    files = {
        "ultrachat_snappy": ("ultrachat", dict(compression="snappy", row_group_size=9)),
        "binarized_zstd": ("binarized", dict(compression="zstd", row_group_size=10, data_page_version="2.0")),
        "ultrafeedback_gzip": ("ultrafeedback", dict(compression="gzip", row_group_size=4)),
        "nectar_none": ("nectar", dict(compression="none", use_dictionary=False, row_group_size=6)),
        "types_snappy": ("types", dict(compression="snappy", data_page_size=256, write_batch_size=16, row_group_size=25)),
        "types_deltas": ("types", dict(compression="zstd", use_dictionary=False, column_encoding=deltas,
                                       data_page_version="2.0", data_page_size=512, write_batch_size=32)),
        "types_old": ("types", dict(compression="gzip", version="1.0", use_compliant_nested_type=False,
                                    dictionary_pagesize_limit=400, data_page_size=300, write_batch_size=16)),
    }
    made = {}
    for name, make in sets.items():
        made[name] = make()
        with open(f"{folder}/{name}.jsonl", "w", encoding="utf-8") as f:
            for row in made[name][0]:
                f.write(json.dumps(plain(row), ensure_ascii=False, allow_nan=False) + "\n")
    for name, (rows, options) in files.items():
        table = pa.Table.from_pylist(made[rows][0] if name == "types_old" else made[rows][0], schema=made[rows][1])
        pq.write_table(table, f"{folder}/{name}.parquet", write_statistics=False, store_schema=False, **options)
    print(sum(os.path.getsize(f"{folder}/{f}") for f in os.listdir(folder)), "bytes in all")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
