#!/usr/bin/env python3
"""Writes test/golden/ppo/: a tiny random model (MistralForCausalLM) with a value head beside it, replies to two
prompts, and what PyTorch makes of them in float32: the losses of PPO (policy and value), APA and GRPO, and the
gradient of every parameter for each.

    ppo    mean over tokens of max(-A q, -A clip(q, 0.8, 1.2)), q = exp(logp - old)       (1707.06347)
    value  mean over tokens of max((V - R)^2, (clip(V, old +- 0.2) - R)^2) / 2            (TRL's PPOTrainer)
    apa    mean over tokens of (logp - A / 0.5 - ref)^2                                   (2306.02231)
    grpo   mean over replies of their tokens' mean of the policy's loss + 0.3 k3          (2402.03300)
Log-probabilities are those of softmax(logits / 0.8).

Needs torch, transformers (4.44.2 was used, with torch 1.13.1 on a CPU) and safetensors:
    python3 tools/golden/make_ppo_fixtures.py
"""
import json
import os

import torch
import transformers
from safetensors.torch import save_file

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "test", "golden", "ppo")
CONFIG = dict(vocab_size=24, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
              num_key_value_heads=1, head_dim=8, max_position_embeddings=64, sliding_window=7, rope_theta=10000.0,
              rms_norm_eps=1e-5, tie_word_embeddings=False, torch_dtype="float32")
TEMPERATURE, LAMBDA, BETA = 0.8, 0.5, 0.3


def rollouts():
    g = torch.Generator().manual_seed(11)
    draw = lambda n: torch.randint(0, 24, (n,), generator=g).tolist()
    return [{"prompt": draw(6), "replies": [draw(5), draw(1), draw(8)]},
            {"prompt": draw(3), "replies": [draw(4), draw(7), draw(2)]}]


def look(model, value, groups):
    """Log-probability and value of every token of every reply, each in a sequence of its own."""
    logps, values = [], []
    for group in groups:
        for reply in group["replies"]:
            ids = torch.tensor([group["prompt"] + reply])
            hidden = model.model(ids).last_hidden_state[0]
            rows = hidden[len(group["prompt"]) - 1:-1]
            logp = torch.log_softmax(model.lm_head(rows) / TEMPERATURE, -1)
            logps.append(logp[range(len(reply)), reply])
            values.append(rows @ value)
    return logps, values


def main():
    torch.manual_seed(4)
    model = transformers.MistralForCausalLM(transformers.MistralConfig(**CONFIG))
    value = torch.nn.Parameter(0.3 * torch.randn(16))
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(1 + 0.1 * torch.randn_like(p) if "norm" in name else 0.25 * torch.randn_like(p))
    groups = rollouts()
    os.makedirs(OUT, exist_ok=True)
    model.save_pretrained(OUT, safe_serialization=True)
    for name in ("generation_config.json",):
        if os.path.exists(os.path.join(OUT, name)):
            os.remove(os.path.join(OUT, name))

    with torch.no_grad():
        now, values = (torch.cat(x) for x in look(model, value, groups))
    n = len(now)
    pick = lambda choices: torch.tensor(choices)[torch.randint(0, len(choices), (n,))]
    facts = {"groups": groups, "value_head": value.tolist()}
    old, ref = now - pick([-0.5, -0.05, 0.05, 0.4]), now + 0.3 * torch.randn(n)
    old_values, A = values + pick([-0.7, -0.1, 0.1, 0.7]), torch.randn(n)
    returns = old_values + 1.5 * torch.randn(n)
    for name, x in (("old", old), ("ref", ref), ("old_values", old_values), ("advantages", A), ("returns", returns),
                    ("logp", now), ("values", values)):
        facts[name] = x.tolist()

    lengths = [len(r) for g in groups for r in g["replies"]]
    policy = lambda logp: torch.maximum(-A * (logp - old).exp(), -A * (logp - old).exp().clamp(0.8, 1.2))
    k3 = lambda logp: (ref - logp).exp() - 1 - (ref - logp)
    losses = {
        "ppo": lambda logp, v: policy(logp).mean(),
        "value": lambda logp, v: 0.5 * torch.maximum(
            (v - returns) ** 2, (torch.clamp(v, old_values - 0.2, old_values + 0.2) - returns) ** 2).mean(),
        "apa": lambda logp, v: ((logp - A / LAMBDA - ref) ** 2).mean(),
        "grpo": lambda logp, v: torch.stack(
            [x.mean() for x in torch.split(policy(logp) + BETA * k3(logp), lengths)]).mean(),
    }
    tensors = {}
    for name, loss_of in losses.items():
        model.zero_grad()
        value.grad = None
        loss = loss_of(*(torch.cat(x) for x in look(model, value, groups)))
        loss.backward()
        facts[name] = loss.item()
        for key, p in model.named_parameters():
            tensors[f"{name}.{key}"] = torch.zeros_like(p) if p.grad is None else p.grad.clone()
        tensors[f"{name}.score.weight"] = torch.zeros(1, 16) if value.grad is None else value.grad.clone()[None]
    save_file(tensors, os.path.join(OUT, "golden.safetensors"))
    with open(os.path.join(OUT, "golden.json"), "w") as f:
        json.dump(facts, f)


main()
