#!/usr/bin/env python3
"""llama.cpp's side of bench/peers: times it on one GGUF file.

    peers_llama.py MODEL.gguf                 answers one JSON object a line of stdin, until it ends
    peers_llama.py MODEL.gguf --once CASE     one case in a process of its own, then its peak memory

A case: {"case": "prompt"|"reply", "tokens": N, "depth": N, "sequences": N, "threads": N, "flash": bool}.
The answer: {"tok_s": of all sequences together}. With --once the answer also has "first_s", from before the
model is loaded to the end of the case, and "rss_bytes", the peak less what Python held before.

Timed is llama_decode() alone: no sampling, no text. Keys and values are float16, the file is mapped.
Needs llama-cpp-python.
"""
import ctypes
import json
import os
import random
import resource
import sys
import time


def quiet_import():
    """llama.cpp writes its log to stderr, past Python's."""
    import llama_cpp

    @llama_cpp.llama_log_callback
    def no_log(level, text, user):
        pass

    llama_cpp.llama_log_set(no_log, ctypes.c_void_p(0))
    quiet_import.keep = no_log
    return llama_cpp


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Peer:
    def __init__(self, path):
        self.lib = quiet_import()
        self.lib.llama_backend_init()
        params = self.lib.llama_model_default_params()
        params.n_gpu_layers = 0
        if hasattr(params, "use_mmap"):
            params.use_mmap = True
        else:
            params.load_mode = self.lib.LLAMA_LOAD_MODE_MMAP
        self.model = self.lib.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            sys.exit(f"peers_llama: llama.cpp cannot load {path}")
        self.vocab = self.lib.llama_vocab_n_tokens(self.lib.llama_model_get_vocab(self.model))
        self.contexts = {}  # (positions, sequences, flash): [context, positions filled at depth]

    def context(self, positions, sequences, flash, threads):
        key = (positions, sequences, flash)
        if key not in self.contexts:
            if any(other[:2] != key[:2] for other in self.contexts):
                self.close_contexts()
            p = self.lib.llama_context_default_params()
            p.n_ctx = positions * sequences
            p.n_seq_max = sequences
            p.n_batch = p.n_ubatch = 512
            p.n_threads = p.n_threads_batch = threads
            if hasattr(p, "flash_attn_type"):
                p.flash_attn_type = int(flash)
            else:
                p.flash_attn = flash
            context = self.lib.llama_init_from_model(self.model, p)
            if not context:
                sys.exit("peers_llama: llama.cpp cannot make a context")
            self.contexts[key] = [context, 0]
            self.decode(context, [(1, i, 0, True) for i in range(4)])
            self.clear(context)
        self.lib.llama_set_n_threads(self.contexts[key][0], threads, threads)
        return self.contexts[key]

    def close_contexts(self):
        for context, _ in self.contexts.values():
            self.lib.llama_free(context)
        self.contexts.clear()

    def clear(self, context):
        self.lib.llama_memory_clear(self.lib.llama_get_memory(context), True)

    def decode(self, context, rows):
        """rows: (token, position, sequence, wants logits)."""
        batch = self.lib.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        for i, (token, pos, seq, wanted) in enumerate(rows):
            batch.token[i] = token
            batch.pos[i] = pos
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = seq
            batch.logits[i] = wanted
        start = time.perf_counter()
        if self.lib.llama_decode(context, batch):
            sys.exit("peers_llama: llama_decode failed")
        self.lib.llama_synchronize(context)
        seconds = time.perf_counter() - start
        self.lib.llama_batch_free(batch)
        return seconds

    def token(self):
        return random.randrange(self.vocab)

    def feed(self, context, tokens, seq=0):
        seconds = 0
        for at in range(0, tokens, 512):
            end = min(at + 512, tokens)
            rows = [(self.token(), i, seq, i == tokens - 1) for i in range(at, end)]
            seconds += self.decode(context, rows)
        return seconds

    def prompt(self, tokens, threads, flash, **_):
        context, _ = self.context(tokens + 128, 1, flash, threads)
        self.clear(context)
        return {"tok_s": tokens / self.feed(context, tokens)}

    def reply(self, tokens, threads, flash, depth=0, sequences=1, **_):
        slot = self.context(depth + max(tokens, 128) + 8, sequences, flash, threads)
        context, filled = slot
        memory = self.lib.llama_get_memory(context)
        if filled != depth or not depth:
            self.clear(context)
            for seq in range(sequences):
                self.feed(context, max(depth, 1), seq)
            slot[1] = depth
        begin = max(depth, 1)
        seconds = sum(self.decode(context, [(self.token(), begin + i, seq, True) for seq in range(sequences)])
                      for i in range(tokens))
        for seq in range(sequences):  # as it was before
            self.lib.llama_memory_seq_rm(memory, seq, begin, -1)
        return {"tok_s": tokens * sequences / seconds}

    def run(self, case):
        return self.prompt(**case) if case["case"] == "prompt" else self.reply(**case)


def main():
    random.seed(1)
    path = sys.argv[1]
    if len(sys.argv) == 4 and sys.argv[2] == "--once":
        quiet_import()
        before, start = peak_bytes(), time.perf_counter()
        answer = Peer(path).run(json.loads(sys.argv[3]))
        answer["first_s"] = time.perf_counter() - start
        answer["rss_bytes"] = peak_bytes() - before
        print(json.dumps(answer), flush=True)
        os._exit(0)
    peer = Peer(path)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(peer.run(json.loads(line))), flush=True)
    os._exit(0)


main()
