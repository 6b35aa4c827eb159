#!/usr/bin/env python3
"""Writes test/text/template_cases.json: small templates of our own and what jinja2 makes of them.

Set up as transformers does (sandbox, trim_blocks, lstrip_blocks, loop controls, tojson with
ensure_ascii=False). Needs jinja2; run from the source tree:  python3 tools/golden/template_cases.py
"""
import json
import random

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

CONTEXT = {
    "s": "Hello World",
    "sp": "  padded text \n",
    "u": "Grüße 你好 🦙 ß",
    "q": "it's \"quoted\" \\ back\tslash\n",
    "e": "",
    "n": 7,
    "z": 0,
    "neg": -3,
    "f": 2.5,
    "big": 1e16,
    "small": 0.00001,
    "t": True,
    "no": False,
    "nil": None,
    "l": [3, 1, 2],
    "ls": ["banana", "Apple", "cherry", "apple"],
    "le": [],
    "d": {"b": 2, "a": 1, "items": 5, "Z": None},
    "dd": {"x": {"y": [1, {"z": "deep"}]}, "k": "v"},
    "rows": [
        {"role": "user", "n": 2, "tag": "B"},
        {"role": "assistant", "n": 1, "tag": "a"},
        {"role": "user", "n": 3, "sub": {"w": 9}},
    ],
}

EXPRESSIONS = r"""
1 + 2 * 3 - 4 / 2
7 // 2, -7 // 2, 7 % 3, -7 % 3, 7 % -3, 7.5 // 2, -7.5 % 2
2 ** 10, 2 ** -1, 2 ** 3 ** 2, -2 ** 2
10 / 4, 10 / 5, 1e3, 1.5e-7, 1_000, 0x1f, 0b101, 0o17
1 / 0
1 // 0
9223372036854775807
1 < 2 < 3, 1 < 2 > 5, 1 == 1.0, true == 1, "a" < "b", [1, 2] < [1, 3]
"a" < 1
1 + "a"
"a" + 1
"a" * 3, 3 * "ab", [1] * 2, "a" * -1
"a" ~ 1 ~ none ~ true ~ 2.0 ~ [1, "x"]
nope ~ "x"
nope + "x"
nope.attr
nope is defined, nope is undefined, s is defined
nope, [nope], nope == nope, nope == none
not nope, not s, not 0, not ""
nope or "x", s and 5, 0 or [] or "last", 1 and 0 and 3
"yes" if t else "no", "yes" if no else "no", "x" if no
("x" if no) is defined
1 if 0 else 2 if 0 else 3
1 in [1, 2], 3 not in [1, 2], "ell" in s, "a" in d, "zz" not in d, nil in [none]
1 in "abc"
1 in none
"a" in nope
s[0], s[-1], s[99], l[0], l[-1], l[5], u[6], u[-1]
s[1:4], s[:5], s[6:], s[::-1], s[::2], s[-5:-1], u[0:8:3], s[10:2:-2], s[100:], s[:-100]
l[1:], l[::-1], l[:-1], le[0:2]
l[::0]
s[1.5]
d.a, d["b"], d.items is callable, d["items"], d.missing, d["missing"], d.Z
d.missing.more
dd.x.y[1].z, dd["x"]["y"][0], dd.x.y.1.z
dd.x.y.0
none.x
none["x"]
5.x
l.missing, s.missing, n.missing
true, false, none, True, False, None
[1, 2.0, "a", 'it''s', none, true]
[1.0, 0.1, 1e16, 1e15, 123456789.123, 1e-4, 1e-5, 1e100, 1.7976931348623157e308, 0.1 + 0.2, -0.0]
{"a": 1, 'b': [1, {"c": none}], 1: 2, none: 3}
(1,), (), (1, 2), [()], "a", "b"
q
[q], [u], ["\x00\x1f\u200b\u00ad é"]
"\n\t\\\"\'\x41\u00e9\U0001F999\101\q"
"a" "b" 'c'
s|length, u|length, l|length, d|length, e|length
5|length
none|length
nope|length
s|upper, u|upper, s|lower, u|lower, "straße"|upper
"hello world-foo (bar) it's"|title, "hello world-foo it's 3rd".title(), "HELLO wORLD"|capitalize, "ǆ"|capitalize
"hELLO".swapcase(), "éa".capitalize(), u.upper(), u.lower(), u.title()
sp|trim, sp.strip(), sp.lstrip(), sp.rstrip(), "xxaxx"|trim("x"), "xyaxy".strip("yx"), "xyaxy".lstrip("x"), "xyaxy".rstrip("y")
"\u3000\u00a0a\u2003".strip(), 5|trim
s|replace("l", "L"), s|replace("l", "L", 1), "aaa".replace("a", "bb"), "abc".replace("", "-"), "abc".replace("", "-", 2), "a.b".replace(".", "")
"aaa"|replace("a", 1), 112|replace(1, 2)
s.split(), s.split("o"), s.split("o", 1), "a,b,,c".split(","), "".split(), "".split(","), " a  b ".split(), " a  b c ".split(none, 1), "abc".split("x")
"a".split("")
"a-b-c".rsplit("-", 1), "a b c".rsplit(), "a-b-c".rsplit("-"), "a\nb\r\nc".splitlines(), "abc".partition("b"), "a.b.c".rpartition("."), "abc".partition("x"), "abc".rpartition("x")
s.startswith("He"), s.startswith("x"), s.endswith("ld"), s.startswith(("x", "H")), s.endswith(()), s.startswith("W", 6), s.endswith("o", 0, 5)
s.find("o"), s.find("zz"), s.rfind("o"), u.find("好"), s.find("o", 5), s.count("l"), s.index("W"), "aaa".count(""), s.find("")
s.index("zz")
s.join(["a", "b"]), ",".join(["x"]), ",".join([]), "-".join("abc")
",".join([1])
"12".isdigit(), "1a".isdigit(), "".isdigit(), "ab".isalpha(), "a1".isalnum(), " \n".isspace(), "AB".isupper(), "aB".islower(), "a1".islower(), "1".isupper()
"5".zfill(3), "-5".zfill(4), "ab".center(7), "ab".center(6, "*"), "abc".center(6), "ab".ljust(5) ~ "|", "ab".rjust(5, "."), "abc".ljust(2)
"prefix-x".removeprefix("prefix-"), "x.txt".removesuffix(".txt")
"{} and {}".format(1, "x"), "{0}{1}{0}".format("a", "b"), "{a}-{b}".format(a=1, b=2), "{{}}".format(), "{:.2f}".format(3.14159), "{:>5}|{:<5}|{:^5}".format("a", "b", "c"), "{:05d}".format(42), "{:5}|".format(3)
"{}".format()
"%s is %d" % ("a", 5), "%s" % "x", "%5.2f|%-5s|%05d" % (3.14159, "ab", 42), "%%", "%x" % 255, "%s" % none, "%r" % "a", "100%%" % ()
"%s %s" % "x"
"%s"|format("y"), "%(a)s"|format(a=1)
"abc" is string, 1 is string, 1 is number, 1.5 is number, true is number, 1 is integer, true is integer, 1.0 is float, 1 is float, true is boolean, 1 is boolean
l is iterable, s is iterable, d is iterable, 1 is iterable, nope is iterable, none is iterable, l is sequence, s is sequence, d is sequence, 5 is sequence, nope is sequence, d.keys() is sequence, d.keys() is iterable
d is mapping, l is mapping, nope is mapping, none is none, 0 is none, nope is none, t is true, 1 is true, no is false, 0 is false
3 is odd, 3 is even, 4 is even, 9 is divisibleby 3, 9 is divisibleby(4), -3 is odd
"a" is odd
1 is equalto 1, 1 is eq 2, 1 is ne 2, 2 is gt 1, 2 is lt 1, 2 is ge 2, 2 is le 1, 1 is in [1, 2], "x" is in "xyz", 1 is sameas 1, true is sameas true, [] is sameas []
1 is not none, 1 is not defined, not 1 is none, "abc" is lower, "ABC" is upper, "aB" is lower, "upper" is filter, "nix" is filter, "odd" is test
range is callable, s is callable, "x" is escaped
5 is nonsense
5|nonsense
l|first, l|last, le|first, s|first, s|last, d|first
l|list, s|list, d|list, none|list
l|join, l|join("-"), ls|join(", "), rows|join(",", attribute="role"), "abc"|join("."), nope|join, [1, none, true, 2.5]|join("|")
none|join
l|sort, l|sort(reverse=true), ls|sort, ls|sort(case_sensitive=true), ls|sort(false, true), rows|sort(attribute="n")|map(attribute="n")|list, rows|sort(attribute="role,n")|map(attribute="n")|list
[1, "a"]|sort
l|reverse|list, s|reverse, ls|unique|list, ls|unique(true)|list, rows|unique(attribute="role")|map(attribute="n")|list
l|sum, [1.5, 2]|sum, rows|sum(attribute="n"), rows|sum("n", 10), []|sum
l|min, l|max, ls|min, ls|max, le|min, ["b", "A"]|min(true), rows|max(attribute="n")
d|items|list, dd.items()|list, dd.keys()|list, dd.values()|list, nope|items|list
5|items|list
d|dictsort, d|dictsort(true), {"b": 1, "a": 2}|dictsort(by="value"), {"b": 1, "a": 2}|dictsort(reverse=true)
d.get("a"), d.get("zz"), d.get("zz", "dflt"), dd.get("x").get("y")
d.keys()|list, d.values()|list
nope|default("x"), s|default("x"), e|default("x"), e|default("x", true), none|default("x"), none|d("x", boolean=true), nope|d
"3"|int, "3.7"|int, "x"|int, "x"|int(5), " 42 "|int, "0x1f"|int(0, 16), "ff"|int(base=16), 3.9|int, -3.9|int, true|int, none|int, "1_000"|int, []|int(9)
nope|int
"3.5"|float, "x"|float, "x"|float(1.5), 3|float, none|float, "1e3"|float, true|float
-5|abs, 5.5|abs, (-2.5)|abs, -5|abs ~ "x"
2.5|round, 3.5|round, 2.567|round(2), 2.567|round(2, "ceil"), 2.567|round(1, "floor"), 42|round, 1234.5|round(-2), -2.5|round
"a b  c_d e-f"|wordcount, ""|wordcount
"a\nb\n\nc"|indent, "a\nb\n\nc"|indent(2, true), "a\nb\n\nc"|indent(2, true, true), "a\nb"|indent(">>"), "a"|indent(first=true), "a\n"|indent(2)
("<b>\"x\" & 'y'</b>"|escape) ~ "", 5|string + "x", none|string, [1]|string
"ab"|center(10) ~ "|"
[1, 2, 3, 4, 5]|batch(2)|list, [1, 2, 3]|batch(2, "x")|list, [1, 2, 3, 4, 5]|slice(3)|list, [1, 2, 3, 4]|slice(3, "-")|list
rows|map(attribute="role")|list, rows|map(attribute="sub.w")|list, rows|map(attribute="tag", default="none")|list, ls|map("upper")|list, ls|map("replace", "a", "x")|join(","), [[1, 2], [3]]|map("first")|list, rows|map(attribute="role")|map("title")|list
rows|map(attribute="sub.w.q.r")|list
rows|selectattr("role", "equalto", "user")|list|length, rows|selectattr("sub")|list|length, rows|rejectattr("role", "equalto", "user")|map(attribute="n")|list, rows|selectattr("tag", "defined")|list|length, rows|selectattr("n", "in", [1, 3])|map(attribute="n")|list, rows|selectattr("n", ">", 1)|list|length
l|select("odd")|list, l|reject("odd")|list, [0, 1, "", "a"]|select|list, [0, 1]|reject|list, l|select("greaterthan", 1)|list
rows|selectattr("role", "equalto", "nobody") and "generator is true"
(l|select("odd")) is sequence, (l|select("odd"))|length
d|attr("a")
dd|tojson, q|tojson, u|tojson, u|tojson(ensure_ascii=true), l|tojson(indent=2), dd|tojson(indent=4), dd|tojson(separators=(",", ":")), d|tojson(sort_keys=true), [true, none, 1.0, 1e20, "</x>"]|tojson, {}|tojson(indent=2), []|tojson(indent=2), {1: 2, none: 3, true: 4}|tojson, (1, 2)|tojson, "\u0007\u007f\u2028"|tojson
nope|tojson
[nope]|tojson
range(3)|list, range(1, 4)|list, range(5, 0, -2)|list, range(0)|list, range(2)|length
range(1000000)|length
range(1, 2, 0)|list
dict(a=1, b=2), dict({"x": 1}, y=2), dict([("k", "v")])
namespace(a=1).a, namespace().b
cycler("a", "b").next(), joiner("-")() ~ "x"
l.append(1)
d.update({})
d.pop("a")
s.nope()
s()
5()
s.upper(1)
s|upper(1)
s|replace("a")
range()
raise_exception("boom")
raise_exception("Only " ~ n ~ " allowed")
l|map("nonsense")|list
-n, +n, --n, -f, not not n
-s
- -1, 2 - -1, 2-1, 2 -1
l + [4], (1,) + (2,), l + "x"
"a" "b" ~ "c" * 2
{"a": {"b": 1}}["a"]["b"], {"a": 1}.a, [1, 2][0], "abc"[1], (1, 2)[1]
[[1, 2], [3, 4]]|map("join", "+")|join(" ")
n if n > 5 else f
(s ~ "!")|upper|replace("!", "?")
s|upper is equalto "HELLO WORLD"
"x" is in s, "W" is in(s), s is not in ["a"]
1 == 1 and 2 == 2 or 3, not 1 == 2, not (1 == 1)
1.0 == 1, 1 == true, "1" == 1, none == false, [] == (), [1] == [1.0], {"a": 1} == {"a": 1.0}
[1, [2, [3, [4]]]], {"k": (1,)}, [[]], [{}]
f ~ "", 3.0 ~ "", 1e5 ~ "", 100000000000000000000.0 ~ ""
l[-1:], l[:1] + l[2:], l[1:2][0]
s.split(" ")[-1], s.split(" ")|last, (s.split(" "))[0][0]
"abc" in ["abc"], "ab" in ["abc"], ["a"] in [["a"]], (1, 2) in [(1, 2)]
1 is odd and 2 is even, 1 is odd or x.y.z
loop is defined
"%d" % 3.9, "%i" % true, "%5s|%-5s|" % ("é", "é"), "%.2s" % "abc", "%c" % "x", "%+d" % 5, "%e" % 12345.678, "%g" % 0.00001234
"a" != "b", 1 != 1, 1 <= 1, 2 >= 3
"ab" "cd"[0]
{"a": 1,}, [1, 2,], (1,)
{"a": 1}|length, {"a": 1, "a": 2}
"a" if nope is defined and nope.x else "b"
u == "Grüße 你好 🦙 ß", u < "H", "é" > "z"
"line1\nline2".split("\n")|map("trim")|select|join(" ")
"  a  " | trim | length
[1,2,3] | length > 2
1 ~ 2 + 3, (1 ~ 2)|int + 3, 2 * 3 ~ 4
"<think>x</think>y".split("</think>")[-1].lstrip("\n"), "<think>x</think>y".split("</think>")[0].rstrip("\n").split("<think>")[-1]
[4, 5, 6]|first + [7]|last
rows[0].role, rows[-1].sub.w, rows[0]["role"][0], rows[1:][0].role
rows|length - 1, rows[rows|length - 1].n
"%s" % [1, 2], "%s" % {"a": 1}, "%s-%s" % (l, d.a)
"""

TEMPLATES = [
    "a\n{% if t %}\nb\n{% endif %}\nc\n",
    "a\n  {% if t %}\n  b\n  {% endif %}\nc\n\n",
    "a {%- if t %} b {%- endif -%}  c",
    "a {% if t -%}\n\n  b\n  {%+ endif %}\n  c",
    "x{# comment #}\ny\n  {# indented #}\nz {#- strip -#}  w",
    "{{ 'a' -}}   b   {{- 'c' }}\n",
    "  {{ s }}\n  {%- set x = 1 %}\n{{ x }}",
    "{% raw %}{{ not }} {% if %}{% endraw %} after",
    "a\n{%- raw -%}\n  {{ x }}\n{%- endraw -%}\n b",
    "{% raw %}\nkeep\n{% endraw %}\nend",
    "{{ '{{ }} {% %}' }}{{ \"}}\" }}{{ {'a': {'b': 1}} }}",
    "{% for x in l %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/"
    "{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ x }};{% endfor %}",
    "{% for x in le %}x{% else %}none{% endfor %}|{% for x in nope %}x{% else %}none{% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index }}:{{ x }} {% else %}none{% endfor %}",
    "{% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }},{% endfor %}",
    "{% for k, v in d|items %}{{ k }}={{ v }},{% endfor %}",
    "{% for k, v in dd.items() %}{{ k }}={{ v }},{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3)), (4, (5, 6))] %}{{ a }}{{ b }}{{ c }} {% endfor %}",
    "{% for (a, b) in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}",
    "{% for c in 'héé' %}[{{ c }}]{% endfor %}{% for k in d %}{{ k }}{% endfor %}",
    "{% for x in 5 %}{% endfor %}",
    "{% for x in none %}{% endfor %}",
    "{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}"
    "{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} "
    "{% endfor %}|{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{% endfor %}",
    "{% for x in l %}{% set outer = loop.index %}{% for y in l %}{{ outer }}.{{ loop.index }} "
    "{% endfor %}{% endfor %}",
    "{% set x = 1 %}{% for i in l %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(x=1, found=false) %}{% for i in l %}{% set ns.x = ns.x + i %}"
    "{% endfor %}{{ ns.x }}{{ ns.found }}",
    "{% set ns.x = 1 %}",
    "{% set d.x = 1 %}",
    "{% if t %}{% set y = 5 %}{% endif %}{{ y }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (a, b) = (b, a) %}{{ a }}{{ b }}",
    "{% set a = 1, 2 %}{{ a }}",
    "{% set x %}block {{ n }}{% endset %}[{{ x }}]{{ x|length }}",
    "{% set x | upper | replace('B', 'C') %}block{% endset %}{{ x }}",
    "{% set x %}{% set inner = 3 %}{{ inner }}{% endset %}{{ x }}{{ inner }}",
    "{% macro m(a, b=2, c='x') %}{{ a }}-{{ b }}-{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 5) }}"
    "{{ m(c='z', a=0) }}{{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}",
    "{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}",
    "{% macro m(a, b=a ~ '!') %}{{ b }}{% endmacro %}{{ m('x') }}",
    "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}body {{ n }}{% endcall %}",
    "{% macro m(x) %}{% for i in x %}{{ caller(i, k=i * 2) }}{% endfor %}{% endmacro %}"
    "{% call(a, k) m(l) %}<{{ a }}:{{ k }}>{% endcall %}",
    "{% macro m() %}{% if caller %}{{ caller() }}{% else %}none{% endif %}{% endmacro %}{{ m() }}",
    "{% set v = 1 %}{% macro m() %}{{ v }}{% endmacro %}{% set v = 2 %}{{ m() }}",
    "{% macro m(v) %}{% set w = v %}{{ w }}{% endmacro %}{{ m(1) }}{{ w }}",
    "{% for i in l %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}",
    "{{ m() }}",
    "{% set ns = namespace() %}{% for i in l %}{% set k = i * 2 %}{% macro m() %}{{ k }}{% endmacro %}"
    "{% if loop.first %}{% set ns.m = m %}{% endif %}{{ ns.m() }}{% endfor %}",
    "{% macro m() %}x{% endmacro %}{{ m.name }}{{ m() ~ 'y' }}{{ m()|upper }}",
    "{% filter upper %}abc {{ s }}{% endfilter %}",
    "{% filter replace('a', 'b')|upper %}banana{% endfilter %}",
    "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% with %}{% set q2 = 1 %}{{ q2 }}{% endwith %}{{ q2 }}",
    "{% if no %}a{% elif n == 7 %}b{% elif t %}c{% else %}d{% endif %}",
    "{% if no %}a{% elif no %}b{% else %}d{% endif %}",
    "{% if nope %}a{% endif %}{% if le %}b{% endif %}{% if d %}c{% endif %}",
    "{% if (rows|selectattr('role', 'equalto', 'nobody')) %}yes{% endif %}",
    "{% generation %}in {{ s }}{% endgeneration %} out",
    "{% for r in rows %}{% generation %}{{ r.role }}{% endgeneration %}\n{% endfor %}",
    "{% include 'x' %}",
    "{% extends 'x' %}",
    "{% import 'x' as y %}",
    "{% nonsense %}",
    "{% if %}{% endif %}",
    "{% if t %}",
    "{% for x in l %}",
    "{% endif %}",
    "{{ }}",
    "{{ 1 + }}",
    "{{ (1 }}",
    "{{ 1) }}",
    "{{ 'open }}",
    "{{ a b }}",
    "{{ 1",
    "{# never closed",
    "{% raw %} never closed",
    "{{ x. }}",
    "{{ x| }}",
    "{{ 1 ! 2 }}",
    "{% set 5 = 1 %}",
    "{% set x %}",
    "{% break %}",
    "plain\r\ntext\rwith breaks\n",
    "",
    "\n",
    "\n\n",
    "just {braces} and } { % signs #",
    "{%- for r in rows -%}\n  {{- r.role }}: {{ r.n -}}\n{%- endfor -%}",
    "{% for r in rows %}\n{{ r.role }}\n{% endfor %}\n",
    "{% set it = l|map('string') %}{{ it|join }}-{{ it|join }}",
    "{% set j = joiner() %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}",
    "{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}",
    "{{ s }}{% set s = 'new' %}{{ s }}",
    "{% for s in l %}{{ s }}{% endfor %}{{ s }}",
    "{% set loop = 5 %}{{ loop }}",
    "{{ loop }}",
    "{{ range(3) | map('string') | join(',') }}{% for i in range(2, 0, -1) %}{{ i }}{% endfor %}",
    "{{ strftime_now('%d %b %Y %H:%M') }}",
    "{%- macro f(x, depth=0) -%}{%- if x is mapping -%}{ {%- for k, v in x|dictsort -%}"
    "{{ k }}: {{ f(v, depth + 1) }}{{ ', ' if not loop.last }}{%- endfor -%} }"
    "{%- elif x is iterable and x is not string -%}[{% for v in x %}{{ f(v) }},{% endfor %}]"
    "{%- else -%}{{ x }}{%- endif -%}{%- endmacro -%}{{ f(dd) }}",
    "{{- 'a' }}\n{{ 'b' -}}\n\n{{ 'c' }}\n\n",
    "{%  if   t%}x{%endif%}{{s}}{{  s  }}",
    "{% if t %}\n\n  two\n{% endif %}\t{% if t %}x{% endif %}\n  \t{% if t %}y{% endif %}",
    "{% for m in rows %}{% if loop.index0 % 2 == 0 and m.role != 'user' %}"
    "{{ raise_exception('alternate') }}{% endif %}{{ m.role }}{% endfor %}",
    "{{ [1, 2]|map('foo')|list }}",
    "{% set content = rows[0].missing %}{{ content is none }}{{ content is defined }}",
    "{{ rows[0].missing.x }}",
    "{{ rows[9].x }}",
    "{{ 'x' if rows[0].tag is defined and rows[0].tag is not none else 'y' }}",
]


def random_expression(rng, depth):
    """Numbers, comparisons and slices, where precedence and Python's arithmetic are easy to miss."""
    if depth == 0:
        return rng.choice(["n", "f", "neg", "z", "3", "2", "10", "0.5", "t", "l|length", "s|length"])
    kind = rng.randrange(9)
    a, b = random_expression(rng, depth - 1), random_expression(rng, depth - 1)
    if kind < 4:
        return "%s %s %s" % (a, rng.choice(["+", "-", "*", "/", "//", "%", "~", "<", "==", ">="]), b)
    if kind == 4:
        return "(%s) %s (%s)" % (a, rng.choice(["+", "-", "*", "//", "%", "and", "or"]), b)
    if kind == 5:
        return "(%s if %s else %s)" % (a, b, random_expression(rng, depth - 1))
    if kind == 6:
        return "(%s)|%s" % (a, rng.choice(["abs", "int", "float", "string|length", "round(1)"]))
    if kind == 7:
        return "-(%s)" % a
    return "s[%d:%d:%d]|length" % (rng.randrange(-14, 14), rng.randrange(-14, 14),
                                   rng.choice([-3, -2, -1, 1, 2, 3]))


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_keep"), [], [], body).set_lineno(line)

    def _keep(self, caller):
        return caller()


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: {"%d %b %Y %H:%M": "26 Jul 2024 12:00"}[f]
    return env


def main():
    rng = random.Random(20240726)
    env = environment()
    templates = ["{{ %s }}" % line for line in EXPRESSIONS.strip().split("\n")]
    templates += TEMPLATES
    templates += ["{{ %s }}" % random_expression(rng, 3) for _ in range(300)]
    cases = []
    for source in templates:
        case = {"template": source}
        try:
            case["out"] = env.from_string(source).render(**CONTEXT)
        except Exception as error:
            case["error"] = type(error).__name__ + ": " + str(error)[:120]
        cases.append(case)
    with open("test/text/template_cases.json", "w", encoding="utf-8") as out:
        out.write('{"now": 1721995200,\n"context": %s,\n"cases": [\n' % json.dumps(CONTEXT, ensure_ascii=False))
        out.write(",\n".join(json.dumps(c, ensure_ascii=False) for c in cases))
        out.write("\n]}\n")


if __name__ == "__main__":
    main()
