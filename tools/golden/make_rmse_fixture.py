#!/usr/bin/env python3
"""Writes test/golden/quant/llama_rmse.gguf: rows of a real model's weights, and how far from them
llama.cpp's own quantizer comes for every type that aerie writes.

    python3 tools/golden/make_rmse_fixture.py MODEL.gguf [OUT.gguf]

The rows (`x`, F16) are of different tensors and layers, with 3 % of seeded noise, so that a model that
is quantized already is not on its own grid. `rmse.TYPE` is the root of the mean square error over the
root of the mean square of the numbers, without importance; `rmse.TYPE.weighted` the same weighted by
`importance`, which the quantizer was given.

Needs numpy, gguf and llama-cpp-python (0.3.36 was used, for its libggml-base.so).
"""
import ctypes
import os
import sys

import gguf
import llama_cpp
import numpy as np
from gguf import GGMLQuantizationType as Q
from gguf.quants import dequantize

COLS, ROWS_EACH = 512, 4
KINDS = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
TYPES = [Q.Q2_K, Q.Q3_K, Q.Q4_0, Q.Q4_1, Q.Q4_K, Q.Q5_0, Q.Q5_1, Q.Q5_K, Q.Q6_K, Q.Q8_0, Q.F16, Q.BF16]

ggml = ctypes.CDLL(os.path.join(os.path.dirname(llama_cpp.__file__), "lib", "libggml-base.so"))
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]


def rows_of(path, rng):
    """Some rows of each kind of matrix, each kind from another layer, and of the embedding."""
    tensors = {t.name: t for t in gguf.GGUFReader(path).tensors}
    layers = 1 + max(int(n.split(".")[1]) for n in tensors if n.startswith("blk."))
    names = [f"blk.{i * layers // len(KINDS)}.{kind}.weight" for i, kind in enumerate(KINDS)]
    out = []
    for name in names + ["token_embd.weight"]:
        t = tensors[name]
        w = dequantize(t.data, t.tensor_type).astype(np.float32).reshape(-1)
        at = rng.integers(0, len(w) // COLS, ROWS_EACH) * COLS
        rows = np.stack([w[i:i + COLS] for i in at])
        out.append(rows + 0.03 * w.std() * rng.standard_normal(rows.shape))
    return np.concatenate(out).astype(np.float16)


def theirs(x, qtype, importance):
    block, size = gguf.GGML_QUANT_SIZES[qtype]
    raw = np.zeros((len(x), COLS // block * size), np.uint8)
    weights = importance.ctypes.data if importance is not None else None
    ggml.ggml_quantize_chunk(int(qtype), x.ctypes.data, raw.ctypes.data, 0, len(x), COLS, weights)
    return dequantize(raw, qtype).astype(np.float64)


def rmse(x, got, weights):
    x = x.astype(np.float64)
    return float(np.sqrt((weights * (got - x) ** 2).sum() / (weights * x ** 2).sum()))


def main():
    rng = np.random.default_rng(20240607)
    x = rows_of(sys.argv[1], rng)
    importance = np.exp(1.5 * rng.standard_normal(COLS)).astype(np.float32)
    numbers = np.ascontiguousarray(x.astype(np.float32))
    w = gguf.GGUFWriter(sys.argv[2] if len(sys.argv) > 2 else "test/golden/quant/llama_rmse.gguf", "rmse")
    for qtype in TYPES:
        plain = rmse(numbers, theirs(numbers, qtype, None), 1.0)
        weighted = rmse(numbers, theirs(numbers, qtype, importance), importance.astype(np.float64))
        w.add_float32(f"rmse.{qtype.name}", plain)
        w.add_float32(f"rmse.{qtype.name}.weighted", weighted)
        print(f"{qtype.name}: {plain:.6f}, weighted {weighted:.6f}")
    w.add_tensor("x", x)
    w.add_tensor("importance", importance)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


main()
