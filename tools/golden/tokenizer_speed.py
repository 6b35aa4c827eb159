"""The same measure as bench/bench_tokenize.c for the Python packages, for running side by side.

  python3 tools/golden/tokenizer_speed.py TOKENIZER TEXT [ROUNDS]

TOKENIZER is a tokenizer.json (tokenizers) or a tokenizer.model (sentencepiece).
"""
import sys
import time


def main():
    path, text_path = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    with open(text_path, newline="") as f:
        text = f.read()
    size = len(text.encode())
    start = time.perf_counter()
    if path.endswith(".json"):
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(path)
        encode = lambda s: tokenizer.encode(s, add_special_tokens=False).ids
    else:
        import sentencepiece

        encode = sentencepiece.SentencePieceProcessor(model_file=path).encode
    print(f"load       {time.perf_counter() - start:8.3f} s")
    best = 1e9
    for _ in range(rounds):
        start = time.perf_counter()
        ids = encode(text)
        best = min(best, time.perf_counter() - start)
    total = 0
    for i in ids:
        total = (total * 31 + i) & 0xFFFFFFFFFFFFFFFF
    print(f"encode     {best:8.3f} s  {size / 1e6 / best:8.2f} MB/s  {len(ids)} ids, sum {total:016x}")


main()
