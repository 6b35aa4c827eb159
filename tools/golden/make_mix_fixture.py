#!/usr/bin/env python3
"""Writes test/quant/mixes.txt: which type llama.cpp gives each tensor of a few shapes, for every mix.

A tiny file of each shape goes through llama_model_quantize. A block of the fixture:
    model ARCHITECTURE layers=32 heads=8 kv_heads=2 experts=0 imatrix=0
    outer NAME DIMS COLS            a tensor of the model
    inner NAME DIMS COLS            a tensor of every layer, without "blk.N."
    MIX LETTERS                     a letter a tensor, outer ones first, then layer by layer

Needs numpy, gguf and llama-cpp-python (0.3.36 was used):
    python3 tools/golden/make_mix_fixture.py
"""
import ctypes
import os
import sys
import tempfile

import gguf
import llama_cpp as L
import numpy as np

MIXES = {"Q2_K_S": 21, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13, "Q4_0": 2, "Q4_1": 3, "Q4_K_S": 14,
         "Q4_K_M": 15, "Q5_0": 8, "Q5_1": 9, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "Q8_0": 7, "F16": 1, "BF16": 32,
         "F32": 0}
LETTERS = {"F32": "F", "F16": "H", "BF16": "B", "Q4_0": "0", "Q4_1": "1", "Q5_0": "5", "Q5_1": "6", "Q8_0": "8",
           "Q2_K": "2", "Q3_K": "3", "Q4_K": "k", "Q5_K": "l", "Q6_K": "m"}
# architecture, layers, heads, kv heads, experts, width, ffn width, tied head, importance
SHAPES = [
    ("llama", 32, 8, 2, 0, 256, 512, False, False),
    ("llama", 32, 8, 2, 0, 256, 512, False, True),
    ("llama", 12, 8, 8, 0, 256, 256, True, False),
    ("llama", 80, 8, 2, 0, 256, 256, False, False),
    ("llama", 32, 8, 2, 8, 256, 256, False, False),
    ("llama", 22, 4, 2, 0, 288, 320, False, False),
    ("llama", 6, 4, 4, 0, 100, 256, True, True),
    ("qwen2", 24, 14, 2, 0, 256, 512, True, False),
    ("qwen2", 80, 8, 1, 0, 256, 256, False, False),
    ("gemma2", 26, 8, 4, 0, 256, 512, True, False),
]
VOCAB = 64


def tensors_of(arch, kv, heads, experts, width, ffn, tied):
    outer = [("token_embd.weight", (VOCAB, width)), ("output_norm.weight", (width,))]
    if not tied:
        outer.append(("output.weight", (VOCAB, width)))
    kv_width = max(1, width * kv // heads)
    inner = [("attn_norm.weight", (width,)), ("attn_q.weight", (width, width)), ("attn_k.weight", (kv_width, width)),
             ("attn_v.weight", (kv_width, width)), ("attn_output.weight", (width, width)), ("ffn_norm.weight", (width,))]
    if arch == "qwen2":
        inner += [("attn_q.bias", (width,)), ("attn_k.bias", (kv_width,)), ("attn_v.bias", (kv_width,))]
    if arch == "gemma2":
        inner += [("post_attention_norm.weight", (width,)), ("post_ffw_norm.weight", (width,))]
    if experts:
        inner += [("ffn_gate_inp.weight", (experts, width)), ("ffn_gate_exps.weight", (experts, ffn, width)),
                  ("ffn_up_exps.weight", (experts, ffn, width)), ("ffn_down_exps.weight", (experts, width, ffn))]
    else:
        inner += [("ffn_gate.weight", (ffn, width)), ("ffn_up.weight", (ffn, width)), ("ffn_down.weight", (width, ffn))]
    return outer, inner


def write_model(path, shape):
    arch, layers, heads, kv, experts, width, ffn, tied, _ = shape
    outer, inner = tensors_of(arch, kv, heads, experts, width, ffn, tied)
    rng = np.random.default_rng(1)
    w = gguf.GGUFWriter(path, arch)
    w.add_block_count(layers)
    w.add_context_length(64)
    w.add_embedding_length(width)
    w.add_feed_forward_length(ffn)
    w.add_head_count(heads)
    w.add_head_count_kv(kv)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_vocab_size(VOCAB)
    if arch == "gemma2":
        w.add_sliding_window(16)
        w.add_attn_logit_softcapping(50.0)
        w.add_final_logit_softcapping(30.0)
    if experts:
        w.add_expert_count(experts)
        w.add_expert_used_count(2)
    for name, dims in outer + [(f"blk.{i}.{name}", dims) for i in range(layers) for name, dims in inner]:
        w.add_tensor(name, rng.standard_normal(dims).astype(np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return outer, inner


def importance(path, keep):
    entries = []
    for t in gguf.GGUFReader(path).tensors:
        n = int(t.shape[0]) * (int(t.shape[2]) if len(t.shape) > 2 else 1)
        data = np.ones(n, np.float32)
        keep.append(data)
        entries.append(L.llama_model_imatrix_data(t.name.encode(), data.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), n))
    entries.append(L.llama_model_imatrix_data(None, None, 0))
    array = (L.llama_model_imatrix_data * len(entries))(*entries)
    keep.append(array)
    return ctypes.cast(array, ctypes.POINTER(L.llama_model_imatrix_data))


def types_of(path, mix, has_importance):
    keep = []
    out = path + ".out"
    p = L.llama_model_quantize_default_params()
    p.ftype, p.nthread = MIXES[mix], 1
    if has_importance:
        p.imatrix = importance(path, keep)
    if L.llama_model_quantize(path.encode(), out.encode(), p):
        return None
    return {t.name: LETTERS[t.tensor_type.name] for t in gguf.GGUFReader(out).tensors}


def write_shape(f, shape, folder):
    arch, layers, heads, kv, experts, _, _, _, has_importance = shape
    path = os.path.join(folder, "model.gguf")
    outer, inner = write_model(path, shape)
    f.write(f"model {arch} layers={layers} heads={heads} kv_heads={kv} experts={experts} imatrix={int(has_importance)}\n")
    for kind, tensors in (("outer", outer), ("inner", inner)):
        for name, dims in tensors:
            f.write(f"{kind} {name} {len(dims)} {dims[-1]}\n")
    names = [n for n, _ in outer] + [f"blk.{i}.{n}" for i in range(layers) for n, _ in inner]
    for mix in MIXES:
        types = types_of(path, mix, has_importance)
        if types:  # Q2_K_S without importance is refused
            f.write(f"{mix} {''.join(types[n] for n in names)}\n")


def main():
    @ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    def silent(level, text, user):
        pass

    L.llama_log_set(silent, None)
    with tempfile.TemporaryDirectory() as folder, open("test/quant/mixes.txt", "w") as f:
        for shape in SHAPES:
            write_shape(f, shape, folder)
            print(shape, file=sys.stderr)


main()
