#!/usr/bin/env python3
"""Writes test/stats/golden/length_control.json: AlpacaEval's length-controlled regressions as scikit-learn fits them.

The calls are those of alpaca_eval (metrics/glm_winrate.py, "length_controlled_v1", and notebooks/instruction_difficulty.ipynb),
over verdicts that are made up here. "exact" goes on until liblinear's own tolerance is 1e-9, "upstream" stops where alpaca_eval
does (sklearn's default, 1e-4): how far the two are apart is what aerie can't be asked to equal.

    python3 -m venv v && v/bin/pip install numpy scipy scikit-learn && v/bin/python tools/golden/make_length_control.py
"""
import json
import os
import warnings

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import make_scorer
from sklearn.model_selection import GroupKFold

warnings.filterwarnings("ignore")
sklearn.set_config(enable_metadata_routing=True)
OUT = os.path.join(os.path.dirname(__file__), "../../test/stats/golden/length_control.json")


def loss(y_true, y_pred, true_prob, true_sample_weight=None):
    y = np.where(y_true == 1, true_prob, 1 - true_prob)
    p = np.clip(y_pred, 1e-15, 1 - 1e-15)
    each = y * np.log(p) + (1 - y) * np.log(1 - p)
    if true_sample_weight is not None:
        each = each * true_sample_weight
    return -np.mean(each)


def fit(x, y, weight, tol):
    """Every row twice, labelled 1 and 0, with weights y and 1 - y."""
    n = len(y)
    xx, yy = np.concatenate([x, x]), np.concatenate([np.ones(n), np.zeros(n)])
    prob = np.concatenate([y, 1 - y])
    weights = np.concatenate([weight, weight])
    scorer = make_scorer(loss, response_method="predict_proba", greater_is_better=False)
    scorer = scorer.set_score_request(true_sample_weight=True, true_prob=True)
    model = LogisticRegressionCV(cv=GroupKFold(n_splits=5), scoring=scorer, random_state=123, dual=False, penalty="l1",
                                 solver="liblinear", fit_intercept=False, tol=tol, max_iter=100000 if tol < 1e-6 else 100)
    model.set_fit_request(sample_weight=True)
    model.fit(X=xx, y=yy, sample_weight=prob * weights, groups=np.concatenate([np.arange(n), np.arange(n)]),
              true_sample_weight=weights, true_prob=prob)
    return model.coef_[0], float(np.ravel(model.C_)[0])


def sigmoid(t):
    return 1 / (1 + np.exp(-t))


def one_model(rng, n, n_gamed, n_none):
    """As "length_controlled_v1": gamed rows first, weight 0.1 each and no constant."""
    difficulty = rng.normal(0, 1.2, n)
    a, b = rng.integers(200, 3000, n), rng.integers(100, 3500, n)
    delta = (a - b) / np.std(a - b, ddof=1)
    y = np.round(sigmoid(-1.4 * np.tanh(delta) + 0.9 * difficulty - 1.1 + rng.normal(0, 1.5, n)), 4)
    y[:n_none] = np.nan
    g_difficulty = np.resize(difficulty, n_gamed)
    g_delta = np.round(rng.normal(0, 1, n_gamed), 4)
    g_y = np.round(sigmoid(-1.6 * np.tanh(g_delta) + rng.normal(0, 1, n_gamed)), 4)
    x = np.column_stack([np.tanh(np.concatenate([g_delta, delta])), np.concatenate([g_difficulty, difficulty]),
                         np.concatenate([np.zeros(n_gamed), np.ones(n)])])
    yy, weight = np.concatenate([g_y, y]), np.concatenate([np.full(n_gamed, 0.1), np.ones(n)])
    keep = ~np.isnan(yy)
    case = {"y": [None if np.isnan(v) else v for v in y], "length_1": a.tolist(), "length_2": b.tolist(),
            "difficulty": difficulty.tolist(),
            "gamed": {"y": g_y.tolist(), "length": g_delta.tolist(), "difficulty": g_difficulty.tolist()}}
    for name, tol in (("exact", 1e-9), ("upstream", 1e-4)):
        w, c = fit(x[keep], yy[keep], weight[keep], tol)
        p = sigmoid(w[1] * difficulty + w[2])
        case[name] = {"weights": w.tolist(), "C": c, "controlled": p.mean(), "stderr": p.std(ddof=1) / np.sqrt(n)}
    return case


def several_models(rng, n_models, n):
    level, pull, difficulty = rng.normal(-1, 1, n_models), rng.normal(-1.5, 0.3, n_models), rng.normal(0, 1.5, n)
    x, y, battles = [], [], []
    for m in range(n_models):
        delta = rng.normal(0, 1, n)
        delta = np.round(delta / np.std(delta, ddof=1), 5)
        p = np.round(sigmoid(pull[m] * np.tanh(delta) + level[m] + difficulty + rng.normal(0, 0.5, n)), 4)
        for i in range(n):
            row = np.zeros(2 * n_models + n - 1)
            row[m], row[n_models + m] = np.tanh(delta[i]), 1
            if i:
                row[2 * n_models + i - 1] = 1
            x.append(row)
            y.append(p[i])
            battles.append([m, i, p[i], delta[i]])
    w, c = fit(np.array(x), np.array(y), np.ones(len(y)), 1e-9)
    return {"n_models": n_models, "n": n, "battles": battles, "C": c,
            "difficulty": [0.0] + w[2 * n_models:].tolist()}


def main():
    rng = np.random.default_rng(20260)
    golden = {"sklearn": sklearn.__version__, "models": [one_model(rng, 150, 0, 0), one_model(rng, 120, 60, 3)],
              "joint": several_models(rng, 6, 40)}
    # The plain fit, without cross-validation, of the first case at several strengths.
    case = golden["models"][0]
    a, b = np.array(case["length_1"]), np.array(case["length_2"])
    x = np.column_stack([np.tanh((a - b) / np.std(a - b, ddof=1)), case["difficulty"], np.ones(len(a))])
    y = np.array(case["y"])
    golden["plain"] = []
    for c in (0.02, 0.2, 5.0):
        model = LogisticRegression(penalty="l1", solver="liblinear", C=c, fit_intercept=False, tol=1e-10, max_iter=100000)
        model.set_fit_request(sample_weight=True)
        model.fit(np.concatenate([x, x]), np.concatenate([np.ones(len(y)), np.zeros(len(y))]),
                  sample_weight=np.concatenate([y, 1 - y]))
        golden["plain"].append({"C": c, "weights": model.coef_[0].tolist()})
    with open(OUT, "w") as f:
        json.dump(golden, f)
        f.write("\n")
    print(os.path.getsize(OUT), "bytes", [(c["exact"]["C"], c["upstream"]["C"], c["exact"]["controlled"],
                                           c["upstream"]["controlled"]) for c in golden["models"]], golden["joint"]["C"])


if __name__ == "__main__":
    main()
