"""Ids by the tokenizers library (tokenizer.json) or by sentencepiece (tokenizer.model).

  python3 tools/golden/tokenizer_ids.py TOKENIZER < strings.jsonl > golden.jsonl

adds "ids" to each line, special tokens and their template included, and "decoded": what the ids
stand for without special tokens. Compare with: test_tokenizer_golden TOKENIZER golden.jsonl
"""
import json
import sys


def sentencepiece_ids(path):
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=path)
    return lambda text: model.encode(text), model.decode


def library_ids(path):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    return lambda text: tokenizer.encode(text).ids, tokenizer.decode


if __name__ == "__main__":
    path = sys.argv[1]
    encode, decode = (library_ids if path.endswith(".json") else sentencepiece_ids)(path)
    for line in sys.stdin:
        text = json.loads(line)["text"]
        ids = encode(text)
        print(json.dumps({"text": text, "ids": ids, "decoded": decode(ids)}))
