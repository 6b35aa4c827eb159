#!/usr/bin/env python3
"""Writes test/train/fixture/torch_losses.json: losses over replies as PyTorch computes and differentiates them.

Each loss is a few lines from its paper's formula, over logits of whole replies; test_torch_losses.c
feeds the same logits to aerie's objectives and compares the loss and its gradient by every logit.

  make_preference_fixture.py > test/train/fixture/torch_losses.json        (PyTorch 1.13, any version will do)
"""
import json

import torch
import torch.nn.functional as F

V = 7
SHAPES = [(3, 4, 2), (1, 2, 5), (2, 3, 3), (4, 1, 6)]  # tokens of prompt, chosen, rejected

torch.manual_seed(20240607)
torch.set_default_dtype(torch.float64)


def rounded(t):
    return torch.round(t * 1e5) / 1e5


def flat(t):
    return [round(float(x), 10) for x in t.reshape(-1)]


def make_items():
    items = []
    for i, (p, c, r) in enumerate(SHAPES):
        items.append({
            "n": [p, c, r],
            "undesirable": i % 2 == 1,
            "ids": torch.randint(0, V, (p + c + r,)).tolist(),
            "weights": [0.0] * p + [[1.0, 0.1, 0.5, 0.1][i]] * (c + r),
            "reference": flat(rounded(-2.0 * torch.rand(2) - torch.tensor([3 * c, 5 * r]))),
        })
    return items


ITEMS = make_items()
LOGITS = [rounded(2 * torch.randn(c + r, V)) for _, c, r in SHAPES]


def replies(logits):
    """Log-probabilities of the tokens of each chosen and each rejected reply."""
    chosen, rejected = [], []
    for item, z in zip(ITEMS, logits):
        p, c, _ = item["n"]
        target = torch.tensor(item["ids"][p:])
        logp = F.log_softmax(z, -1).gather(-1, target[:, None])[:, 0]
        chosen.append(logp[:c])
        rejected.append(logp[c:])
    return chosen, rejected


def sums(lists):
    return torch.stack([x.sum() for x in lists])


def means(lists):
    return torch.stack([x.mean() for x in lists])


def reference(k):
    return torch.tensor([item["reference"][k] for item in ITEMS])


def sizes(k):
    return torch.tensor([float(s[k]) for s in SHAPES])


def nll(chosen):
    return -torch.cat(chosen).mean()


def log_ratios(c, r):
    return sums(c) - reference(0), sums(r) - reference(1)


def dpo(c, r, beta=0.1):
    a, b = log_ratios(c, r)
    return -F.logsigmoid(beta * (a - b)).mean()


def ipo(c, r, beta=0.1):
    a, b = log_ratios(c, r)
    return ((a / sizes(1) - b / sizes(2) - 1 / (2 * beta)) ** 2).mean()


def bco_pair(c, r, beta=0.1):
    a, b = log_ratios(c, r)
    return (-F.logsigmoid(beta * a) - F.logsigmoid(-beta * b)).mean()


def mpo(c, r):
    return 0.8 * dpo(c, r) + 0.2 * bco_pair(c, r) + nll(c)


def orpo(c, r, beta=0.2):
    a, b = means(c), means(r)
    odds = (a - b) - (torch.log1p(-a.exp()) - torch.log1p(-b.exp()))
    return nll(c) - (beta * F.logsigmoid(odds)).mean()


def simpo(c, r, beta=2.5, gamma=1.2):
    return -F.logsigmoid(beta * (means(c) - means(r)) - gamma).mean()


def cpo(c, r, beta=0.1, alpha=0.7):
    return -F.logsigmoid(beta * (sums(c) - sums(r))).mean() + alpha * nll(c)


def kto(c, r, beta=0.3, undesirable=1.33):
    """The second reply is one of another prompt."""
    ratio, mismatched = log_ratios(c, r)
    z0 = mismatched.mean().clamp(min=0).detach()
    bad = torch.tensor([item["undesirable"] for item in ITEMS])
    good_loss = 1 - torch.sigmoid(beta * (ratio - z0))
    bad_loss = undesirable * (1 - torch.sigmoid(beta * (z0 - ratio)))
    return torch.where(bad, bad_loss, good_loss).mean()


def bco(c, r, beta=0.3):
    reward = beta * log_ratios(c, r)[0]
    delta = reward.mean().detach()
    bad = torch.tensor([item["undesirable"] for item in ITEMS])
    return -F.logsigmoid(torch.where(bad, delta - reward, reward - delta)).mean()


def crlft(c, r):
    """Both replies are one text here; every token weighs what its class does."""
    logp = torch.cat([x for pair in zip(c, r) for x in pair])
    weight = torch.cat([torch.tensor(i["weights"][i["n"][0]:]) for i in ITEMS])
    return -(weight * logp).sum() / weight.sum()


CASES = [
    ("dpo", [], dpo),
    ("dpo", ["loss_type=ipo"], ipo),
    ("dpo", ["loss_type=[sigmoid, bco_pair, sft]", "loss_weights=[0.8, 0.2, 1]"], mpo),
    ("orpo", ["beta=0.2"], orpo),
    ("simpo", ["beta=2.5", "gamma=1.2"], simpo),
    ("cpo", ["cpo_alpha=0.7"], cpo),
    ("kto", ["beta=0.3", "undesirable_weight=1.33"], kto),
    ("bco", ["beta=0.3"], bco),
    ("crlft", [], crlft),
]


def run(method, settings, loss):
    logits = [z.clone().requires_grad_() for z in LOGITS]
    value = loss(*replies(logits))
    value.backward()
    return {"method": method, "settings": settings, "loss": float(value),
            "gradient": [flat(z.grad) for z in logits]}


print(json.dumps({
    "made_by": "tools/golden/make_preference_fixture.py, torch " + torch.__version__,
    "vocab": V,
    "items": [dict(item, logits=flat(z)) for item, z in zip(ITEMS, LOGITS)],
    "cases": [run(*c) for c in CASES],
}, separators=(",", ":")))
