#!/usr/bin/env python3
"""Writes test/golden/reward/: a tiny random reward model (MistralForSequenceClassification, one
label) and what transformers and PyTorch compute with it in float32: the score of every token of
ranked replies, three losses of reward models, and the gradient of every parameter for each.

    plackett_luce  sum_k -(r_k - logsumexp(r_k and the worse ones)), mean over prompts (MLE_K of
                   2301.11270; replies that are tied don't compete)
    all_pairs      mean over the pairs of a prompt of -logsigmoid(better - worse), mean over prompts
                   (InstructGPT)
    bradley_terry  best against worst: -logsigmoid(d - margin) + c (r_c + r_r)^2, mean over prompts

Needs torch, transformers (4.44.2 was used, with torch 1.13.1 on a CPU) and safetensors:
    python3 tools/golden/make_reward_fixtures.py
"""
import json
import os

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "test", "golden", "reward")
CONFIG = dict(vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
              num_attention_heads=2, num_key_value_heads=1, head_dim=8,
              max_position_embeddings=64, sliding_window=9, rope_theta=10000.0, rms_norm_eps=1e-5,
              tie_word_embeddings=False, pad_token_id=None, num_labels=1, torch_dtype="float32")
MARGINS, CENTER = [0.25, 1.5], 0.01
RANKS = [[1, 2, 3, 4], [1, 2, 2]]  # best first; two of the second prompt are tied


def documents():
    g = torch.Generator().manual_seed(5)
    draw = lambda n: torch.randint(0, 48, (n,), generator=g).tolist()
    return [{"prompt": draw(7), "replies": [draw(n) for n in (5, 1, 8, 3)]},
            {"prompt": draw(4), "replies": [draw(n) for n in (2, 6, 4)]}]


def scores_of(model, docs):
    """Every token's score of every whole sequence, and the last of each."""
    every = [[model.score(model.model(torch.tensor([d["prompt"] + r])).last_hidden_state)[0, :, 0]
              for r in d["replies"]] for d in docs]
    return every, [torch.stack([s[-1] for s in one]) for one in every]


def plackett_luce(r, ranks):
    total = 0
    for k in range(len(r)):
        worse = [l for l in range(len(r)) if ranks[l] > ranks[k]]
        if worse:
            total = total + torch.logsumexp(r[[k] + worse], 0) - r[k]
    return total


def all_pairs(r, ranks):
    pairs = [-F.logsigmoid(r[i] - r[j]) for i in range(len(r)) for j in range(i + 1, len(r))
             if ranks[i] < ranks[j]]
    return torch.stack(pairs).mean()


def bradley_terry(r, margin):
    return -F.logsigmoid(r[0] - r[-1] - margin) + CENTER * (r[0] + r[-1]) ** 2


def main():
    torch.manual_seed(3)
    model = transformers.MistralForSequenceClassification(transformers.MistralConfig(**CONFIG))
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(1 + 0.1 * torch.randn_like(p) if "norm" in name else 0.25 * torch.randn_like(p))
    docs = documents()
    os.makedirs(OUT, exist_ok=True)
    model.save_pretrained(OUT, safe_serialization=True)
    tensors, facts = {}, {"documents": docs, "ranks": RANKS, "margins": MARGINS, "center": CENTER}
    losses = {
        "plackett_luce": lambda r: sum(plackett_luce(x, k) for x, k in zip(r, RANKS)) / len(r),
        "all_pairs": lambda r: sum(all_pairs(x, k) for x, k in zip(r, RANKS)) / len(r),
        "bradley_terry": lambda r: sum(bradley_terry(x, m) for x, m in zip(r, MARGINS)) / len(r),
    }
    for name, loss_of in losses.items():
        model.zero_grad()
        every, last = scores_of(model, docs)
        loss = loss_of(last)
        loss.backward()
        facts[name] = loss.item()
        for key, p in model.named_parameters():
            tensors[f"{name}.{key}"] = p.grad.clone()
    facts["scores"] = [[s.tolist() for s in one] for one in every]
    save_file(tensors, os.path.join(OUT, "golden.safetensors"))
    with open(os.path.join(OUT, "golden.json"), "w") as f:
        json.dump(facts, f, indent=1)


main()
