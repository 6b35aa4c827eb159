#!/usr/bin/env python3
"""Writes test/golden/model/NAME/: tiny random models of each shape, and what transformers computes
with them in float32: logits, log-probabilities, every gradient, the parameters after ten AdamW steps.

Needs torch, transformers (4.44.2 was used, with torch 1.13.1 on a CPU) and safetensors:
    python3 tools/golden/make_model_fixtures.py
Run it again only to change the fixtures; the tests read what is committed.
"""
import json
import os
import shutil

import torch
import transformers
from safetensors.torch import save_file

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "test", "golden", "model")
SMALL = dict(vocab_size=48, hidden_size=32, intermediate_size=40, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
             attention_dropout=0.0, torch_dtype="float32")
STEPS = 10
# A gradient may be rounding alone (softmax does not see a bias of k along a pair that hardly turns);
# with the usual epsilon of 1e-8 AdamW would make whole steps of it.
ADAMW = dict(lr=1e-2, betas=(0.9, 0.95), eps=1e-5, weight_decay=0.1)


def shapes():
    """Name, configuration. Each has something that the others lack."""
    # Grouped queries and a window shorter than the text.
    yield "mistral", transformers.MistralConfig(**SMALL, sliding_window=8, rope_theta=10000.0,
                                                rms_norm_eps=1e-5, tie_word_embeddings=False)
    # Scaled rotation: with a length of 64 all three of its ranges are met.
    yield "llama3", transformers.LlamaConfig(
        **SMALL, rope_theta=500.0, rms_norm_eps=1e-5, tie_word_embeddings=False,
        rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                      "high_freq_factor": 4.0, "original_max_position_embeddings": 64})
    # Biases on q, k and v.
    yield "qwen2", transformers.Qwen2Config(**SMALL, rope_theta=1000000.0, rms_norm_eps=1e-6,
                                            tie_word_embeddings=False, use_sliding_window=False)
    # The head is the embedding; no sharing of heads.
    yield "tied", transformers.LlamaConfig(**dict(SMALL, num_key_value_heads=4), rope_theta=10000.0,
                                           rms_norm_eps=1e-5, tie_word_embeddings=True)


def randomize(model):
    """Larger than an initialisation, so that no term is too small to be seen."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1 and "norm" in name:
                p.copy_(1 + 0.2 * torch.randn(p.shape))
            else:
                p.copy_(torch.randn(p.shape) * (0.15 if p.dim() == 2 else 0.3))


def documents():
    """Two texts, to be packed in one row by the tests: together 24 tokens."""
    ids = torch.randint(0, SMALL["vocab_size"], (24,))
    return [ids[:15], ids[15:]]


def log_probs(model, docs):
    """The log-probability of every next token, text after text."""
    out = []
    for doc in docs:
        logits = model(doc[None, :]).logits[0]
        logp = torch.log_softmax(logits[:-1], -1)
        out.append(logp.gather(1, doc[1:, None])[:, 0])
    return torch.cat(out)


def groups(model):
    """Weight decay for matrices only."""
    return [{"params": [p for p in model.parameters() if p.dim() > 1]},
            {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]


def train(model, docs):
    optimizer = torch.optim.AdamW(groups(model), **ADAMW)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = -log_probs(model, docs).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def write(name, config):
    torch.manual_seed(20260101)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
    model.train()
    randomize(model)
    docs = documents()
    folder = os.path.join(OUT, name)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, safe_serialization=True)
    os.remove(os.path.join(folder, "generation_config.json"))

    logits = torch.cat([model(doc[None, :]).logits[0] for doc in docs])
    logp = log_probs(model, docs)
    loss = -logp.mean()
    loss.backward()
    golden = {"logits": logits, "log_probs": logp}
    golden.update({"grad." + n: p.grad.clone() for n, p in model.named_parameters()})
    losses = train(model, docs)
    golden.update({"after." + n: p for n, p in model.named_parameters()})
    save_file({k: v.detach().float().contiguous().clone() for k, v in golden.items()},
              os.path.join(folder, "golden.safetensors"))
    with open(os.path.join(folder, "golden.json"), "w") as f:
        json.dump({"documents": [d.tolist() for d in docs], "loss": loss.item(), "losses": losses,
                   "adamw": ADAMW, "torch": torch.__version__,
                   "transformers": transformers.__version__}, f, indent=1)
        f.write("\n")


def main():
    for name, config in shapes():
        write(name, config)


if __name__ == "__main__":
    main()
