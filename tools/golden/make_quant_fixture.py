#!/usr/bin/env python3
"""Writes test/golden/quant/rows.gguf: rows of numbers in every element type, by the gguf package.

For each type that is read: NAME (random blocks) and NAME.f32 (what the package makes of them). Then
`in`, awkward numbers, and for each type that is written NAME.out, their encoding.

Needs numpy and gguf (0.19.0 was used):
    python3 tools/golden/make_quant_fixture.py
"""
import sys
import numpy as np
import gguf
from gguf import GGMLQuantizationType as Q

COLS = 512
# Where the half-precision scales lie in a block of each type.
READ = {
    Q.F16: (), Q.BF16: (), Q.Q4_0: (0,), Q.Q4_1: (0, 2), Q.Q5_0: (0,), Q.Q5_1: (0, 2), Q.Q8_0: (0,),
    Q.Q2_K: (80, 82), Q.Q3_K: (108,), Q.Q4_K: (0, 2), Q.Q5_K: (0, 2), Q.Q6_K: (208,), Q.IQ4_NL: (0,), Q.IQ4_XS: (0,),
}
WRITTEN = (Q.F16, Q.BF16, Q.Q8_0)


def random_blocks(qtype, rows, rng):
    """Any bytes are a block, but the half-precision scales at these places should be finite."""
    block, size = gguf.GGML_QUANT_SIZES[qtype]
    raw = rng.integers(0, 256, size=(rows * COLS // block, size), dtype=np.uint8)
    for at in READ[qtype]:
        scale = rng.standard_normal(len(raw)).astype(np.float16)
        scale[0] = np.float16(6e-8)  # the smallest subnormal
        raw[:, at:at + 2] = scale.view(np.uint8).reshape(-1, 2)
    if qtype == Q.F16:
        raw = rng.standard_normal(rows * COLS).astype(np.float16).view(np.uint8)
    if qtype == Q.BF16:
        raw = rng.integers(0x3800, 0x4800, rows * COLS).astype(np.uint16).view(np.uint8)
    return raw.reshape(rows, -1)


def awkward_rows(rng):
    """Ordinary numbers, zeros of both signs, ties, one large among small, tiny and huge."""
    x = rng.standard_normal((8, COLS)).astype(np.float32)
    x[1] = 0.0
    x[1, 1::2] = -0.0
    x[2] = rng.integers(-254, 255, COLS) / 2.0  # halves of the step when the largest is 127
    x[2, ::32] = 127.0
    x[3] *= 1e-5
    x[3, 5] = 1000.0
    x[4] *= np.float32(1e-6)
    x[5] *= np.float32(1e4)
    x[6] = np.exp(rng.uniform(-18, 10, COLS)) * rng.choice([-1, 1], COLS)
    return x


def main():
    rng = np.random.default_rng(20240501)
    w = gguf.GGUFWriter(sys.argv[1] if len(sys.argv) > 1 else "test/golden/quant/rows.gguf", "rows")
    for qtype in READ:
        raw = random_blocks(qtype, 2 if gguf.GGML_QUANT_SIZES[qtype][0] == 256 else 1, rng)
        w.add_tensor(qtype.name, raw, raw_dtype=qtype)
        w.add_tensor(qtype.name + ".f32", gguf.quants.dequantize(raw, qtype).astype(np.float32))
    x = awkward_rows(rng)
    w.add_tensor("in", x)
    for qtype in WRITTEN:
        w.add_tensor(qtype.name + ".out", gguf.quants.quantize(x, qtype).view(np.uint8), raw_dtype=qtype)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


main()
