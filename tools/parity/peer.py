"""What the comparisons with llama.cpp share: aerie as a program, llama.cpp as a library, distances.

Needs numpy, gguf and llama-cpp-python. Never needed to build or run aerie.
"""
import contextlib
import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

try:
    import numpy as np
except ImportError:
    sys.exit(f"{Path(sys.argv[0]).name}: no numpy here; run it with the Python that has numpy, gguf "
             "and llama-cpp-python")

ROOT = Path(__file__).resolve().parents[2]

# llama.cpp's LLAMA_FTYPE numbers: the mix that a name stands for.
FTYPES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10,
    "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16,
    "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30, "BF16": 32,
}
# What aerie writes.
WRITTEN = ["Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_0", "Q4_1", "Q4_K_S", "Q4_K_M", "Q5_0",
           "Q5_1", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0"]
READ_ONLY = ["IQ4_NL", "IQ4_XS"]


def die(sentence):
    sys.exit(f"{Path(sys.argv[0]).name}: {sentence}")


def find_aerie(given=None):
    if given:
        return given
    built = sorted(ROOT.glob("build/*/aerie"), key=lambda p: p.stat().st_mtime)
    if not built:
        die("no build/*/aerie; build it, or give --aerie PATH")
    return str(built[-1])


class Aerie:
    def __init__(self, path=None, threads=None, cpu=None):
        self.path = find_aerie(path)
        self.common = ["--quiet"]
        if threads:
            self.common += ["--threads", str(threads)]
        if cpu:
            self.common += ["--cpu", cpu]

    def run(self, *words):
        done = subprocess.run([self.path, *map(str, words)], capture_output=True, text=True)
        if done.returncode:
            die(f"aerie {' '.join(map(str, words))}: {done.stderr.strip()}")
        return done.stdout

    def ids(self, model, text_path):
        return json.loads(self.run("tokenize", model, "--file", text_path, "--json"))["ids"]

    def logits(self, model, text_path, out, exact=False):
        """[T, V], mapped from `out`."""
        words = ["logits", model, "--file", text_path, "-o", out, *self.common]
        self.run(*words, *(["--exact"] if exact else []))
        return np.load(out, mmap_mode="r")

    def quantize(self, source, out, type_name, imatrix=None):
        more = ["--imatrix", imatrix] if imatrix else []
        self.run("quantize", source, out, type_name, *more, *self.common)


def cut_text(aerie, model, text, n, path):
    """Writes to `path` as much of the text as gives n tokens (a few less, where no cut gives n)."""
    def count(length):
        Path(path).write_text(text[:length])
        return len(aerie.ids(model, path))

    low, high = 0, min(len(text), 16 * n)
    if count(high) <= n:
        return aerie.ids(model, path)
    while high - low > 1:
        middle = (low + high) // 2
        if count(middle) <= n:
            low = middle
        else:
            high = middle
    count(low)
    return aerie.ids(model, path)


def read_text(path):
    if str(path).endswith(".gz"):
        import gzip
        return gzip.open(path, "rt", encoding="utf-8").read()
    return Path(path).read_text(encoding="utf-8")


# ---- llama.cpp ----

def llama():
    try:
        import llama_cpp
    except ImportError:
        die("no llama-cpp-python for this Python; pip install llama-cpp-python")
    return llama_cpp


@contextlib.contextmanager
def quiet_stderr():
    """The library writes its log to the file descriptor."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def llama_logits(model, ids, threads=2, cache="f16", batch=512):
    """[T, V] of llama.cpp for these tokens; cache: the type of its key/value cache."""
    lib = llama()
    kind = {"f16": 1, "f32": 0}[cache]
    with quiet_stderr():
        llm = lib.Llama(str(model), n_ctx=max(len(ids), 32), n_batch=batch, n_ubatch=batch,
                        n_threads=threads, n_threads_batch=threads, logits_all=True,
                        type_k=kind, type_v=kind, verbose=False)
        llm.eval(list(ids))
        got = np.array(llm.scores[:len(ids)], dtype=np.float32)
        llm.close()
    return got


def read_imatrix(path):
    """{tensor: mean square of each column's input} of llama.cpp's GGUF importance matrix."""
    from gguf import GGUFReader
    stored = {t.name: np.asarray(t.data, dtype=np.float32) for t in GGUFReader(path).tensors}
    means = {}
    for name, sums in stored.items():
        if name.endswith(".in_sum2"):
            base = name[:-len(".in_sum2")]
            counts = stored[base + ".counts"].reshape(-1, 1)
            means[base] = (sums.reshape(len(counts), -1) / np.maximum(counts, 1)).ravel()
    return means


def llama_quantize(source, out, type_name, imatrix=None, threads=2):
    lib = llama()
    params = lib.llama_model_quantize_default_params()
    params.ftype = FTYPES[type_name]
    params.nthread = threads
    params.allow_requantize = True
    kept = []
    if imatrix:
        entries = read_imatrix(imatrix)
        array = (lib.llama_model_imatrix_data * (len(entries) + 1))()
        for slot, (name, data) in zip(array, entries.items()):
            data = np.ascontiguousarray(data, dtype=np.float32)
            text = name.encode()
            kept += [data, text]
            slot.name = text
            slot.data = data.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            slot.size = data.size
        params.imatrix = array
        kept.append(array)
    with quiet_stderr():
        status = lib.llama_model_quantize(str(source).encode(), str(out).encode(),
                                          ctypes.byref(params))
    if status:
        die(f"llama.cpp could not quantize {source} as {type_name} (status {status})")


# ---- distances ----

def log_softmax(x):
    x = x.astype(np.float64)
    x -= x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def distance(want, got, rows=64):
    """Of two [T, V]: KL(want || got) in nats, cosine, and how often the best token is the same."""
    kl, cosine, same = [], [], 0
    for at in range(0, len(want), rows):
        a, b = np.asarray(want[at:at + rows]), np.asarray(got[at:at + rows])
        p, q = log_softmax(a), log_softmax(b)
        kl.append((np.exp(p) * (p - q)).sum(-1))
        a, b = a.astype(np.float64), b.astype(np.float64)
        lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
        cosine.append((a * b).sum(-1) / lengths)
        same += int((a.argmax(-1) == b.argmax(-1)).sum())
    kl, cosine = np.concatenate(kl), np.concatenate(cosine)
    return {"kl_mean": float(kl.mean()), "kl_max": float(kl.max()),
            "cosine_mean": float(cosine.mean()), "cosine_min": float(cosine.min()),
            "same_top": same / len(kl)}


def perplexity(logits, ids, rows=64):
    """exp of the mean negative log-likelihood of ids[1:]."""
    total = 0.0
    for at in range(0, len(ids) - 1, rows):
        n = min(rows, len(ids) - 1 - at)
        p = log_softmax(np.asarray(logits[at:at + n]))
        total -= p[np.arange(n), ids[at + 1:at + 1 + n]].sum()
    return float(np.exp(total / (len(ids) - 1)))
