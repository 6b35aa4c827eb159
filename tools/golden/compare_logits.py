#!/usr/bin/env python3
"""How far logits lie from transformers' over the dequantized weights of a llama GGUF, in float32 and
in float64.

    compare_logits.py MODEL.gguf LOGITS.bin
LOGITS.bin: int32 T, int32 V, T token ids, T x V float32, little-endian.
Needs numpy, torch, transformers and gguf.
"""
import sys

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from transformers import LlamaConfig, LlamaForCausalLM

LAYER = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
         "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
OTHER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def hf_name(name):
    stem = name[:-len(".weight")]
    if not stem.startswith("blk."):
        return OTHER[stem] + ".weight"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{LAYER[part]}.weight"


def split_heads(w, n_heads):
    """GGUF's neighbours (2i, 2i + 1) are Hugging Face's (i, i + d/2)."""
    d = w.shape[0] // n_heads
    return w.reshape(n_heads, d // 2, 2, -1).swapaxes(1, 2).reshape(w.shape)


def read_model(path):
    reader = GGUFReader(path)

    def value(key):
        return reader.fields["llama." + key].contents()

    config = LlamaConfig(
        vocab_size=len(reader.fields["tokenizer.ggml.tokens"].data),
        hidden_size=value("embedding_length"), intermediate_size=value("feed_forward_length"),
        num_hidden_layers=value("block_count"), num_attention_heads=value("attention.head_count"),
        num_key_value_heads=value("attention.head_count_kv"),
        max_position_embeddings=value("context_length"), rope_theta=value("rope.freq_base"),
        rms_norm_eps=value("attention.layer_norm_rms_epsilon"))
    state = {}
    for t in reader.tensors:
        w = dequantize(t.data, t.tensor_type).reshape(t.shape[::-1]).astype(np.float32)
        if ".attn_q." in t.name:
            w = split_heads(w, config.num_attention_heads)
        elif ".attn_k." in t.name:
            w = split_heads(w, config.num_key_value_heads)
        state[hf_name(t.name)] = torch.from_numpy(np.ascontiguousarray(w))
    config.tie_word_embeddings = "lm_head.weight" not in state
    model = LlamaForCausalLM._from_config(config, attn_implementation="eager")
    model.load_state_dict(state, strict=not config.tie_word_embeddings)
    model.tie_weights()
    return model.eval()


def read_logits(path):
    raw = np.fromfile(path, np.int32)
    T, V = raw[:2]
    return raw[2:2 + T], raw[2 + T:].view(np.float32).reshape(T, V)


def report(what, got, want):
    apart = np.abs(got.astype(np.float64) - want)
    same = (got.argmax(-1) == want.argmax(-1)).sum()

    def log_softmax(x):
        x = x - x.max(-1, keepdims=True)
        return x - np.log(np.exp(x).sum(-1, keepdims=True))
    p, q = log_softmax(want.astype(np.float64)), log_softmax(got.astype(np.float64))
    kl = (np.exp(p) * (p - q)).sum(-1)
    print(f"{what}: largest {apart.max():.2e}, mean {apart.mean():.2e} of logits up to "
          f"{np.abs(want).max():.1f}; KL at most {kl.max():.1e}; the same best token at {same} of "
          f"{len(want)}")


def main():
    ids, got = read_logits(sys.argv[2])
    model = read_model(sys.argv[1])
    batch = torch.from_numpy(ids.astype(np.int64))[None]
    with torch.no_grad():
        single = model.float()(batch).logits[0].numpy()
        double = model.double()(batch).logits[0].numpy()
    report("aerie against float32", got, single)
    report("aerie against float64", got, double)
    report("transformers float32 against float64", single, double)


if __name__ == "__main__":
    main()
