#!/usr/bin/env python3
"""Writes test/golden/model/NAME/: tiny random models of each shape, and what transformers computes
with them in float32: logits, log-probabilities, every gradient, the parameters after ten AdamW steps.

Needs torch, transformers (4.44.2 was used, with torch 1.13.1 on a CPU; for gemma3 4.50.3, for qwen3
4.51.3) and safetensors:
    python3 tools/golden/make_model_fixtures.py NAME...
Run it again only to change the fixtures; the tests read what is committed.
"""
import json
import os
import shutil
import sys
import types

import torch
import torch.distributed


def stand_in_for_newer_torch():
    """Names that transformers 4.50 imports and torch 1.13 lacks; nothing here calls them."""
    if "torch.distributed.tensor" not in sys.modules and torch.__version__ < "2":
        module = types.ModuleType("torch.distributed.tensor")
        for name in ["Replicate", "Shard", "DTensor", "Placement"]:
            setattr(module, name, type(name, (), {}))
        sys.modules[module.__name__] = module
        torch.compiler = types.SimpleNamespace(is_compiling=lambda: False,
                                               disable=lambda *a, **k: (lambda f: f))
        torch.float8_e4m3fn = None


stand_in_for_newer_torch()
import transformers
from safetensors.torch import save_file

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "test", "golden", "model")
SMALL = dict(vocab_size=48, hidden_size=32, intermediate_size=40, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
             attention_dropout=0.0, torch_dtype="float32")
# No padding: torch gives its row of the embedding no gradient.
NARROW = dict(SMALL, pad_token_id=None, hidden_size=16, intermediate_size=16,
              head_dim=8)
STEPS = 10
# A gradient may be rounding alone (softmax does not see a bias of k along a pair that hardly turns);
# with the usual epsilon of 1e-8 AdamW would make whole steps of it.
ADAMW = dict(lr=1e-2, betas=(0.9, 0.95), eps=1e-5, weight_decay=0.1)


def mistral():
    """Grouped queries and a window shorter than the text."""
    return transformers.MistralConfig(**SMALL, sliding_window=8, rope_theta=10000.0,
                                      rms_norm_eps=1e-5, tie_word_embeddings=False)


def llama3():
    """Scaled rotation: with a length of 64 all three of its ranges are met."""
    return transformers.LlamaConfig(
        **SMALL, rope_theta=500.0, rms_norm_eps=1e-5, tie_word_embeddings=False,
        rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                      "high_freq_factor": 4.0, "original_max_position_embeddings": 64})


def qwen2():
    """Biases on q, k and v."""
    return transformers.Qwen2Config(**SMALL, rope_theta=1000000.0, rms_norm_eps=1e-6,
                                    tie_word_embeddings=False, use_sliding_window=False)


def tied():
    """The head is the embedding; no sharing of heads."""
    return transformers.LlamaConfig(**dict(SMALL, num_key_value_heads=4), rope_theta=10000.0,
                                    rms_norm_eps=1e-5, tie_word_embeddings=True)


def yarn():
    """Pairs before, on and behind YaRN's ramp; transformers 4.44 takes the length that the model is
    configured for as the original one."""
    return transformers.LlamaConfig(
        **dict(SMALL, hidden_size=32, num_attention_heads=1, num_key_value_heads=1,
               num_hidden_layers=1, max_position_embeddings=64),
        rope_theta=100.0, rms_norm_eps=1e-5, tie_word_embeddings=True,
        rope_scaling={"rope_type": "yarn", "factor": 4.0, "beta_fast": 8.0, "beta_slow": 1.0})


def gemma2():
    """A window on layers 0 and 2; soft caps that bite; queries scaled by another number than the
    width of a head."""
    return transformers.Gemma2Config(
        **dict(NARROW, num_hidden_layers=3), sliding_window=8, query_pre_attn_scalar=5,
        attn_logit_softcapping=1.5, final_logit_softcapping=2.0, hidden_activation="gelu_pytorch_tanh",
        rms_norm_eps=1e-6, cache_implementation=None)


def gemma3():
    """Two layers with a window, one that sees all and whose rotation is stretched, and one more
    with a window."""
    return transformers.Gemma3TextConfig(
        **dict(NARROW, num_hidden_layers=4), sliding_window=8, sliding_window_pattern=3,
        query_pre_attn_scalar=8, rope_theta=1000.0, rope_local_base_freq=100.0,
        rope_scaling={"rope_type": "linear", "factor": 8.0}, rms_norm_eps=1e-6,
        cache_implementation=None)


def qwen3():
    """Norms over the heads of q and k, whose width is not hidden_size / heads."""
    return transformers.Qwen3Config(**NARROW, rope_theta=1000000.0, rms_norm_eps=1e-6,
                                    tie_word_embeddings=False, use_sliding_window=False)


# Each has something that the others lack.
SHAPES = dict(mistral=mistral, llama3=llama3, qwen2=qwen2, tied=tied, yarn=yarn, gemma2=gemma2,
              gemma3=gemma3, qwen3=qwen3)


def randomize(model):
    """Larger than an initialisation, so that no term is too small to be seen. Gemma's norms hold
    their weights minus one."""
    one = 0 if model.config.model_type.startswith("gemma") else 1
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1 and "norm" in name:
                p.copy_(one + 0.2 * torch.randn(p.shape))
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
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    model = model.float()
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
    if not sys.argv[1:]:
        sys.exit(f"usage: make_model_fixtures.py NAME...; names: {' '.join(SHAPES)}")
    for name in sys.argv[1:]:
        write(name, SHAPES[name]())


if __name__ == "__main__":
    main()
