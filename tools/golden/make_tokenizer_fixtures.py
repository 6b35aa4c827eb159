"""Small tokenizers and what they make of many strings, for tests that need nothing from outside.

  pip install sentencepiece==0.2.* tokenizers==0.2*
  python3 tools/golden/make_tokenizer_fixtures.py test/text/fixture

Trains two SentencePiece models and one byte-level BPE on the sentences below, derives the variants
that published models use (pre-tokenizers, normalizers, special tokens), and records for each the
ids and the decoded text of tokenizer_strings.py's strings, as those packages compute them.
"""
import gzip
import io
import json
import os
import random
import sys

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

sys.path.insert(0, os.path.dirname(__file__))
from tokenizer_strings import strings

NAMES = ["Ada", "Bruno", "Chloé", "Dmitri", "Erika", "Farid", "Grace", "Hiro", "Inès", "Jörg"]
THINGS = ["lamp", "river", "garden", "letter", "window", "teapot", "bicycle", "mountain", "kitten", "violin", "café", "tower"]
VERBS = ["finds", "paints", "carries", "doesn't like", "sells", "remembers", "is looking for", "won't share", "mends"]
WHEN = ["on Monday", "in 1987", "at 10:45", "before the rain", "after supper", "every day", "for 250 euros", "twice"]
OTHER = [
    "The tokenizer cuts the text into pieces, and every piece has a number.",
    "She said: \"I'll be there, but they've gone already!\" Then it's done; we're late.",
    "for (int i = 0; i < 10; i++) {\n\tsum += values[i];\n}\n",
    "def area(width, height):\n    return width * height\n",
    "Привет, мир! Сегодня хороший день, и мы идём гулять.",
    "Grüße aus Österreich: Straße, Fuß und Käse.",
    "今日は天気がいいですね。散歩に行きましょう。",
    "你好,世界。今天天气很好。",
    "안녕하세요 세계 여러분",
    "1, 2, 3, 10, 100, 1000, 12345; 3.14 and 2.718",
    "E-mail: someone@example.org, see https://example.org/page?id=42",
]
USER_DEFINED = ["[NOTE]", "<<call>>", "\t\t"]
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
OWN = r"\p{L}+|\p{N}{1,2}|[^\p{L}\p{N}\s]"


def sentences():
    rng = random.Random(1)
    out = list(OTHER) * 4
    for _ in range(1500):
        out.append(f"{rng.choice(NAMES)} {rng.choice(VERBS)} the {rng.choice(THINGS)} {rng.choice(WHEN)}.")
    return out


def extra_strings():
    """Strings about the special tokens of these vocabularies."""
    out = []
    for token in USER_DEFINED + SPECIALS + ["<s>", "</s>", "<unk>"]:
        out += [token, " " + token, token + " ", "x" + token + "y", "x " + token + " y", token * 3, "a  " + token + "\n b", token[:-1]]
    return out + [f"{n} {v} the {t} {w}." for n, v, t, w in zip(NAMES, VERBS, THINGS, WHEN)]


def write(path, data):
    """gzip with neither name nor time, so that the same input gives the same file."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0, compresslevel=9) as f:
        f.write(data.encode())
    with open(path, "wb") as f:
        f.write(buffer.getvalue())


def golden(folder, name, encode, decode, texts):
    lines = []
    for text in texts:
        ids = encode(text)
        lines.append(json.dumps({"text": text, "ids": ids, "decoded": decode(ids)}, ensure_ascii=False))
    write(os.path.join(folder, name + ".jsonl.gz"), "\n".join(lines) + "\n")


def train_sentencepiece(folder, name, **settings):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences()), model_writer=model, model_type="bpe", vocab_size=620,
        normalization_rule_name="identity", character_coverage=0.9995, num_threads=1, minloglevel=2, **settings)
    with open(os.path.join(folder, name + ".model"), "wb") as f:
        f.write(model.getvalue())
    return model.getvalue()


def write_library(folder, name, tokenizer, texts):
    write(os.path.join(folder, name + ".json.gz"), tokenizer.to_str())
    golden(folder, name, lambda s: tokenizer.encode(s).ids, tokenizer.decode, texts)


def converted(model):
    """A SentencePiece model as vocabulary and merges: for each piece every cut into two pieces, in
    the order of the merged pieces' scores."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    vocab = {p.piece: i for i, p in enumerate(proto.pieces)}
    score = {p.piece: p.score for p in proto.pieces}
    merges = []
    for piece in proto.pieces:
        if piece.type == piece.NORMAL:
            for i in range(1, len(piece.piece)):
                left, right = piece.piece[:i], piece.piece[i:]
                if left in vocab and right in vocab:
                    merges.append((left, right))
    merges.sort(key=lambda m: -score["".join(m)])
    return vocab, merges


def sentencepiece_variants(folder, model, texts):
    vocab, merges = converted(model)
    for name in ["prepend", "first", "always", "split"]:
        t = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        strip = [decoders.Strip(" ", 1, 0)]
        if name == "prepend":
            t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        else:
            t.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first" if name == "first" else "always", split=name == "split")
        t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()] + strip)
        t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", vocab["<s>"])])
        t.add_special_tokens([AddedToken(s, normalized=False) for s in ["<unk>", "<s>", "</s>", "<|im_end|>"]])
        t.add_tokens([AddedToken(s, normalized=False) for s in USER_DEFINED])
        write_library(folder, "spm_" + name, t, texts)


def byte_level_variants(folder, texts):
    base = Tokenizer(models.BPE())
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=620, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    base.train_from_iterator(sentences(), trainer)
    rest = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = lambda pattern: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), rest])
    steps = {
        "gpt2": pre_tokenizers.ByteLevel(add_prefix_space=True),
        "llama3": split(LLAMA3),
        "qwen2": split(QWEN2),
        "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
        "gpt4o": split(GPT4O),
        "own": split(OWN),
    }
    for name, pre_tokenizer in steps.items():
        t = Tokenizer.from_str(base.to_str())
        t.pre_tokenizer = pre_tokenizer
        t.decoder = decoders.ByteLevel()
        if name == "qwen2":
            t.normalizer = normalizers.NFC()
        if name == "llama3":
            t.model.ignore_merges = True
            t.post_processor = processors.TemplateProcessing(single="<|im_start|> $A <|endoftext|>", special_tokens=[("<|im_start|>", 621), ("<|endoftext|>", 620)])
        t.add_special_tokens([AddedToken(s, normalized=False, rstrip=name == "own", lstrip=name == "gpt4o") for s in SPECIALS])
        t.add_tokens([AddedToken(s, normalized=False, single_word=name == "smollm") for s in USER_DEFINED])
        write_library(folder, "bpe_" + name, t, texts)


def main(folder):
    os.makedirs(folder, exist_ok=True)
    texts = extra_strings() + strings(215, 3)
    plain = train_sentencepiece(folder, "spm", byte_fallback=True, user_defined_symbols=USER_DEFINED, control_symbols=["<|im_end|>"],
                                remove_extra_whitespaces=False, split_digits=True)
    squeeze = train_sentencepiece(folder, "spm_squeeze", byte_fallback=False, remove_extra_whitespaces=True)
    for name, model in [("spm", plain), ("spm_squeeze", squeeze)]:
        p = sentencepiece.SentencePieceProcessor(model_proto=model)
        golden(folder, name, p.encode, p.decode, texts)
    sentencepiece_variants(folder, plain, texts)
    byte_level_variants(folder, texts)


main(sys.argv[1])
