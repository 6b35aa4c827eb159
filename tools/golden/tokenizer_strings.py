"""Strings that tokenizers disagree about, for comparing them.

  python3 tools/golden/tokenizer_strings.py [COUNT [SEED]] > strings.jsonl

writes one {"text": ...} a line, always the same for the same arguments. The first are picked by
hand; the others are seeded mixtures of words of many scripts, spaces, digits, code, marks, emoji
and random code points.
"""
import json
import random
import sys
import unicodedata

PICKED = [
    "", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", "\n \n", "  \n\n  x", "\u00a0", "\u3000",
    "\u2028\u2029", "\u0085", "a\u0085b", "\x00", "a\x00b", "\x7f", "\x1c\x1d\x1e\x1f", "\ufeffBOM",
    "Hello world", " Hello world", "Hello  world", "Hello world ", "hello, World!\n", "don't DON'T Don'T",
    "I'll we've you're he'd it's I'm", "I'LL WE'VE YOU'RE HE'D IT'S I'M", "'s't're've'm'll'd", "'S'T",
    "\u2019s isn\u2019t", "it'\u017f a long s", "'\u017f", "''''", "'s 's  's", "''s", "x's's", "1's",
    "0 12 123 1234 12345 123456", "3.14159 1,000,000 1e-10 0x1F", "\u0661\u0662\u0663\u0664",
    "\u00bd \u00b2\u2074 \u2167 \u3007 \u4e00\u4e8c\u4e09", "\uff11\uff12\uff13", "1st2nd3rd", "a1b22c333d4444",
    "caf\u00e9 cafe\u0301", "\u00c5 A\u030a \u212b", "e\u0301\u0302\u0303", "\u1e9b\u0323", "\ufb01 \ufb03 \u0132",
    "\u1100\u1161\u11a8 \uac01 \uac00\u11a8", "\u304b\u3099 \u304c", "\u0915\u093c \u0958", "q\u0307\u0323", "\u0344",
    "\u2126 \u03a9 \u212a", "\u0340\u0341\u0343", "\uf900\ufa10", "\u0f73\u0f75", "\u0300abc", "\u0301", "a\u0301 b\u0301",
    "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea", "\u2764\ufe0f",
    "\u200b\u200c\u200d\u2060", "\u202eabc\u202c", "\u00ad", "\U000e0041", "\U0010ffff", "\ufffd", "\ue000", "\U000f0000",
    "<s>", "</s>", "<unk>", "<0x0A>", "<|im_start|>user\nhi<|im_end|>\n", "<|endoftext|>", "<bos><eos>",
    "<|eot_id|> x <|eot_id|>", "<start_of_turn>user\nhi<end_of_turn>\n", "<|im_start", "<table><td>x</td></table>",
    "\u2581", "\u2581\u2581x", " \u2581 ", "\u2581Hello", "\u0120the", "\u010a", "Hello\u0120world",
    "for (int i = 0; i < n; i++) {\n\tx[i] += y[i] * 2;\n}\n", "def f(x):\n    return x**2\n\n\nprint(f(3))",
    "https://example.org/a?b=c&d=%20#e", "a.b.c@d-e.org", "C:\\dir\\file.txt", "{\"a\": [1, 2.5, null]}",
    "!!!???...", "---- ==== ####", "$100 \u20ac5 \u00a37", "\u00abquoted\u00bb \u201cquoted\u201d", "a\u2014b\u2013c", "x^2 + y_1 ~ z|w",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\u3053\u3093\u306b\u3061\u306f\u4e16\u754c", "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", "\u0393\u03b5\u03b9\u03b1 \u03c3\u03bf\u03c5",
    "a" * 200, " " * 200, "\n" * 100, "ab" * 150, "=" * 120, "\u4e00" * 90, "\u0301" * 40, "1" * 100, " \n" * 60,
]

WORDS = (
    "the of and to in is that it was for on as with his they at be this from have or by one had not but "
    "what all were when we there can an your which their said if do will each about how up out them then "
    "she many some so these would other into has more her two like him see time could no make than first "
    "Zephyr Starling OpenChat tokenizer merging subword quickly JUMPED iPhone McDonald GitHub NASA "
    "don't can't I'm they've WE'LL o'clock rock'n'roll naive na\u00efve r\u00e9sum\u00e9 Stra\u00dfe "
    "\u010ce\u0161tina \u0141\u00f3d\u017a \u00deing Xin ch\u00e0o \u0395\u03bb\u03bb\u03ac\u03b4\u03b1 \u043c\u043e\u0441\u043a\u0432\u0430 \u041a\u0418\u0407\u0412 \u0570\u0561\u0575 \u10e5\u10d0\u10e0\u10d7\u10e3\u10da\u10d8 \u05e9\u05dc\u05d5\u05dd \u0633\u0644\u0627\u0645 "
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u09ac\u09be\u0982\u09b2\u09be \u0ba4\u0bae\u0bbf\u0bb4\u0bcd \u0e44\u0e17\u0e22 \u0ea5\u0eb2\u0ea7 \u1019\u103c\u1014\u103a\u1019\u102c \u4e2d\u6587 \u65e5\u672c\u8a9e \u30ab\u30bf\u30ab\u30ca \ud55c\uad6d\uc5b4 \u1f00\u03c1\u03c7\u03ae \u16a0\u16a2\u16a6 \u13e3\u13b3\u13a9"
).split()
SPACES = [" ", " ", " ", " ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", " \n", "\n ", "\u00a0", "\u3000", "\u2009", "        "]
MARKS = list(".,;:!?'\"()[]{}<>-_/\\|@#$%^&*+=~`") + ["...", "--", "->", "!=", "\u2026", "\u2014", "\u201c", "\u201d", "\u2019", "\u3002", "\uff0c", "\u00bf"]
SYMBOLS = ["\U0001f600", "\U0001f680", "\u2764\ufe0f", "\U0001f468\u200d\U0001f4bb", "\u221e", "\u2211", "\u20ac", "\u00a9", "\u2122", "\u2192", "\u25a0", "\u0301", "\u0308", "\u200d", "\u0327"]
CONTROL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<end_of_turn>", "<unk>", "<0x41>", "\u2581"]


def digits(rng):
    return "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 9)))


def code_point(rng):
    """Any assigned character of Unicode 13, which every tokenizer's tables know, or one that is
    no character at all."""
    while True:
        c = chr(rng.choice([rng.randrange(0x20, 0x3000), rng.randrange(0x3000, 0x10000), rng.randrange(0x10000, 0x110000)]))
        category = unicodedata.category(c)
        if category == "Cs" or (category == "Cn" and rng.random() < 0.98):
            continue
        return c


def mixture(rng):
    parts = []
    for _ in range(rng.randint(1, 30)):
        kind = rng.random()
        if kind < 0.45:
            parts.append(rng.choice(WORDS))
        elif kind < 0.55:
            parts.append(rng.choice(MARKS))
        elif kind < 0.62:
            parts.append(digits(rng))
        elif kind < 0.68:
            parts.append(rng.choice(SYMBOLS))
        elif kind < 0.72:
            parts.append("".join(code_point(rng) for _ in range(rng.randint(1, 4))))
        elif kind < 0.74:
            parts.append(rng.choice(CONTROL))
        elif kind < 0.78:
            parts.append(rng.choice(WORDS) + "'" + rng.choice(["s", "t", "re", "ve", "m", "ll", "d", "S", "LL", "x", "\u017f"]))
        if rng.random() < 0.7:
            parts.append(rng.choice(SPACES))
    return "".join(parts)


def strings(count, seed):
    rng = random.Random(seed)
    out = list(PICKED)
    while len(out) < count:
        n = len(out) % 10
        if n == 0:
            out.append("".join(code_point(rng) for _ in range(rng.randint(1, 40))))
        elif n == 1:
            out.append(unicodedata.normalize("NFD", mixture(rng)))
        else:
            out.append(mixture(rng))
    return out[:count]


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for text in strings(count, seed):
        print(json.dumps({"text": text}))
