#!/usr/bin/env python3
"""Writes test/board/golden/arena_style.json: Arena-Hard's style control as Python's re and numpy compute it.

The patterns, the features and the model are those of lmarena/arena-hard-auto (utils/add_markdown_info.py, show_result.py,
utils/math_utils.py) over answers and verdicts that are made up here. "exact" is the maximum of the likelihood by Newton's
method; "upstream" are fits as bootstrap_pairwise_model() makes them but on all votes: LBFGS from 0.5 with steps of 0.1, 50 of
them, in float32 when torch is there. How far the two are apart is what upstream's early stop leaves open.

    python3 -m venv v && v/bin/pip install numpy torch && v/bin/python tools/golden/make_arena_style.py
"""
import json
import os
import re

import numpy as np

HERE = os.path.dirname(__file__)
OUT = os.path.join(HERE, "../../test/board/golden/arena_style.json")
CODE = re.compile("```([^`]*)```")


def counts(text):
    for block in CODE.findall(text):
        text = text.replace(block, "")
    n = lambda pattern: len(re.findall(pattern, text, re.MULTILINE))
    headers = sum(n(r"^#{%d}\s" % k) for k in range(1, 7))
    lists = n(r"^\s*\d+\.\s") + n(r"^\s*[-*+]\s")
    bold = len(re.findall(r"\*\*[^*\n]+\*\*", text)) + len(re.findall(r"__[^_\n]+__", text))
    return [headers, lists, bold]


TEXTS = [
    "", "#", "# ", "# A\n## B\n####### seven\n#no\n   # indented\n###### six\n", "#\n#\n\n#\tx", "a # b\n#\u00a0nbsp\n#\u200b no",
    "1. one\n2. two\n10.\tten\n3.no\n 4. four\n\n\n5. five", "1.\n2. x\n-\n- y\n+ z\n* w\n-no\n+\u3000wide", "\n \n\t\n- a\n\n   - b",
    "- 1. both\n1. - both", "**a** **b\n** __c__ ___d___ **__e__** ****f**** **g*h**", "***a*** **a****b** __a____b__ __ __ _a_",
    "```py\n# no\n- no\n**no**\n```\n# yes\n**no**x", "```# x```# x\n# x", "````\n# a\n````\n``` `x` # b```\n# c", "``````\n# a",
    "``` unclosed\n# a\n- b", "text ```- x\n``` and\n- x\n", "**a\u00e9\u4e2d** \u0661. no\n", "\x1c- a\n\x85- b\n\u2028- c",
    "*** x\n- - -\n* * *\n+\n", "1.  \n\n2. \n", "Sure!\r\n# Head\r\n- a\r\n- b\r\n**x**\r\n",
]


def features(model, base):
    """(length, headers, lists, bold) each."""
    model, base = np.array(model, float), np.array(base, float)
    a, b = model[1:] / (model[0] + 1), base[1:] / (base[0] + 1)
    return np.concatenate([[(model[0] - base[0]) / (model[0] + base[0])], (a - b) / (a + b + 1)])


def newton(x, y):
    w = np.zeros(x.shape[1])
    for _ in range(200):
        p = 1 / (1 + np.exp(-x @ w))
        g = x.T @ (p - y)
        h = x.T @ (x * (p * (1 - p))[:, None])
        step = np.linalg.lstsq(h, g, rcond=None)[0]
        w -= step
        if np.abs(step).max() < 1e-13:
            break
    return w


def upstream(x, y):
    try:
        import torch
    except ImportError:
        return None
    w = torch.nn.Parameter(torch.full((x.shape[1],), 0.5))
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    opt = torch.optim.LBFGS([w], lr=0.1, max_iter=50, tolerance_grad=1e-9, tolerance_change=1e-9)

    def closure():
        opt.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x @ w, y, reduction="sum")
        loss.backward()
        return loss
    opt.step(closure)
    return w.detach().numpy().astype(float)


VOTES = {"A>B": [1], "A>>B": [1] * 3, "A=B": [0.5], "B>A": [0], "B>>A": [0] * 3}


def main():
    rng = np.random.default_rng(7)
    n, models = 60, ["small", "talkative", "terse"]
    scale, level = {"base": 400, "small": 300, "talkative": 900, "terse": 120}, {"small": -0.8, "talkative": 0.2, "terse": 0.1}
    answers, judgments, x, y = [], [], [], []
    style = {}
    for who in ["base"] + models:
        for q in range(n):
            length = int(rng.lognormal(np.log(scale[who]), 0.4))
            marks = [int(rng.poisson(length * d)) for d in (0.004, 0.02, 0.015)]
            style[who, q] = [length] + marks
            text = "".join("# h\n" for _ in range(marks[0])) + "".join("- i\n" for _ in range(marks[1]))
            text += " ".join("**b**" for _ in range(marks[2]))
            assert counts(text) == marks
            answers.append({"uid": "q%d" % q, "model": who, "text": text, "token_len": length, "style": [length] + marks})
    for m, who in enumerate(models):
        for q in range(n):
            f = features(style[who, q], style["base", q])
            strength = level[who] + 2.5 * f[0] + 6 * f[1] + 3 * f[2]
            games = []
            for game in range(2):
                t = strength + rng.logistic(0, 1)
                verdict = "A>>B" if t > 1.5 else "A>B" if t > 0.3 else "A=B" if t > -0.3 else "B>A" if t > -1.5 else "B>>A"
                if game == 0:  # the baseline is A
                    verdict = {"A>>B": "B>>A", "A>B": "B>A", "A=B": "A=B", "B>A": "A>B", "B>>A": "A>>B"}[verdict]
                games.append(verdict)
            judgments.append({"uid": "q%d" % q, "model": who, "baseline": "base", "games": games})
            for v in VOTES[games[1]] + [1 - v for v in VOTES[games[0]]]:
                row = np.zeros(len(models) + 4)
                row[m] = 1
                row[len(models):] = f
                x.append(row)
                y.append(v)
    x, y = np.array(x), np.array(y)
    k = len(models)
    x[:, k:] = (x[:, k:] - x[:, k:].mean(0)) / x[:, k:].std(0, ddof=1)
    w = newton(x, y)
    # Upstream gives the baseline a column of its own, -1 in each row: only differences from it mean anything.
    u = upstream(np.column_stack([x[:, :k], -np.ones(len(x)), x[:, k:]]), y)
    sig = lambda t: 100 / (1 + np.exp(-t))
    golden = {
        "texts": [{"text": t, "counts": counts(t)} for t in TEXTS],
        "answers": [[a["uid"], a["model"], *a["style"]] for a in answers],
        "judgments": [[j["uid"], j["model"], *j["games"]] for j in judgments],
        "exact": {"scores": dict(zip(models, sig(w[:k]).tolist())), "weights": w[k:].tolist()},
        "upstream": None if u is None else {"scores": dict(zip(models, sig(u[:k] - u[k]).tolist())), "weights": u[k + 1:].tolist()},
    }
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w") as f:
        json.dump(golden, f)
        f.write("\n")
    print(os.path.getsize(OUT), "bytes", golden["exact"], golden["upstream"])


if __name__ == "__main__":
    main()
