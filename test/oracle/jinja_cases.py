"""Renders small templates with jinja2, configured as in transformers; writes test/tokenizer/fixtures/jinja.json.

    python test/oracle/jinja_cases.py                       # the fixture: the templates below and 500 random ones
    python test/oracle/jinja_cases.py SEED COUNT FILE       # random ones only, to compare by hand

Needs transformers 5.24 and jinja2 3.1.6. `text` is missing if jinja2 raises or prints an address.
"""
import json
import os
import random
import re
import signal
import sys

import jinja2
import jinja2.sandbox
from transformers.utils import chat_template_utils as utils

VARS = {
 "s": "Hello World", "u": "naïve café 😀 ß", "e": "", "n": 7, "z": 0, "neg": -3, "f": 2.5, "big": 12345678901234, "t": True, "no": None,
 "l": [3, 1, 2], "ls": ["b", "A", "c", "a"], "mixed": ["x", 1, None, 2.5, [1, 2], {"k": "v"}],
 "d": {"b": 1, "a": 2, "C": 3}, "nested": {"x": {"y": [1, {"z": "deep"}]}, "items": [1, 2], "keys": "kk", "update": 5},
 "rows": [{"name": "ann", "age": 30, "city": "x"}, {"name": "Bob", "age": 25, "city": "y"}, {"name": "cy", "age": 30, "city": "X"}, {"name": "dd", "city": "y"}],
 "lines": "one\n  two\n\n three  ", "html": "<a href=\"x\">T&'</a>", "ws": " \t x y \n",
 "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi <b>"}, {"role": "assistant", "content": "Yes\n", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1, "b": [True, None, 1.5]}}}]}],
}

# One template per line.
LINES = r'''
{{ s }}|{{ u }}|{{ e }}|{{ n }}|{{ f }}|{{ t }}|{{ no }}|{{ l }}|{{ d }}|{{ mixed }}|{{ nested }}
{{ true }}|{{ none }}|{{ ['a', true, none] }}|{{ {'a': 1} }}|{{ 4 / 2 }}|{{ 'hELLO wORLD' | capitalize }}
{% raw %}{{x}}{% endraw %}|{% with y = 3 %}{{ y }}{% endwith %}|{{ 'a,b'.rsplit(',',1)[0] }}|{{ ('b',)[0] }}
{{ lines.lstrip('\n') }}|{{ 'xxaxx'.strip('x') }}|{{ 'xxaxx'.lstrip('x') }}|{{ 'xxaxx'.rstrip('x') }}|{{ 'abcab'.strip('ab') }}
{{ 1 < 2 < 3 }}|{{ 1 < 3 < 2 }}|{{ 3 > 2 >= 2 != 1 }}
{{ [1,2,3]|trim }}|{{ none|trim }}|{{ '  x '|trim }}|{{ 'xyx'|trim('x') }}
{{ 'hello world foo-bar'|title }}|{{ "it's a dog's"|title }}|{{ "it's".title() }}|{{ 'ß'.upper() }}|{{ 'ßa'.capitalize() }}|{{ 'ﬁx'.title() }}
{%+ if true %}a{% endif %}
  {%- if true -%}  b  {%- endif +%}
 x {%- set y = 1 -%}   z {{- y -}}  w
{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.cycle('a','b') }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.changed(x > 1) }};{% endfor %}
{% for x in [none, none, 1] %}{{ x }}{{ loop.last }}{{ loop.nextitem is defined }}{% endfor %}
{{ 'abc'.startswith(('x', 'a')) }}|{{ 'abc'.endswith(('x', 'c')) }}|{{ 'abc'.startswith('b', 1) }}
{{ '{} {x} {0}'.format(1, x=2) }}
{{ '{} {x} {!r:>5}'.format(1, 'a', x=2) }}|{{ '{0.x} {1[0]}'.format({'x': 5}, [7]) }}|{{ '{:05.1f}|{:>5}|{:<5}|{:^5}|{:,}|{:x}|{:+d}|{:e}|{:%}'.format(3.14159, 'a', 'b', 'c', 1234567, 255, 5, 12345.678, 0.25) }}
{{ '%s %r %d %5.2f %-5s| %05d %x %%'|format('a', 'b', 3, 2.345, 'c', 42, 255) }}|{{ '%(a)s %(b)s' % {'a': 1, 'b': 2} }}|{{ '%s' % [1] }}|{{ '%s %s' % (1, 2) }}
{{ [1, 2, 3]|sum }}|{{ [1.5, 2]|sum }}|{{ [[1],[2]]|sum(start=[]) }}|{{ rows[:3]|sum(attribute='age') }}
{{ 42.55|round }}|{{ 42.55|round(1, 'floor') }}|{{ 2.5|round }}|{{ 3.5|round }}|{{ 7|round }}|{{ 2.675|round(2) }}|{{ 1234|round(-2) }}|{{ 42.51|round(1,'ceil') }}|{{ -0.4|round }}
{{ html|escape }}|{{ html|e|upper }}|{{ ('<'|safe) + '>' }}|{{ '>' + ('<'|safe) }}|{{ ('<'|safe) ~ '>' }}|{{ html|e|e }}|{{ html|forceescape }}|{{ html|striptags }}
{{ {'b': 1, 'a': [1, 2.0, none, true, 'é"\n']}|tojson }}|{{ {'a': 'é'}|tojson(ensure_ascii=true) }}
{{ {'a': [1, {'b': []}], 'c': {}}|tojson(indent=2) }}
{{ {'a': 1, 'b': [1,2]}|tojson(separators=(',', ':')) }}|{{ {'b': 1, 'a': 2}|tojson(sort_keys=true) }}|{{ (1,2)|tojson }}|{{ {1: 2, true: 3, none: 4, 1.5: 5}|tojson }}
{{ d|list }}|{{ d|dictsort }}|{{ d|dictsort(true) }}|{{ d|dictsort(false, 'value') }}|{{ d|dictsort(reverse=true) }}
{{ 4 is divisibleby 2 }}|{{ 4 is divisibleby(3) }}|{{ 3 is odd }}|{{ 3 is even }}|{{ s is string }}|{{ d is mapping }}|{{ l is iterable }}|{{ l is sequence }}|{{ d is sequence }}|{{ n is number }}|{{ t is number }}|{{ t is integer }}|{{ f is float }}|{{ none is none }}
{{ strftime_now is defined }}
{{ raise_exception('no') }}
{% set ns = namespace(a=1, b='x') %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}|{{ ns }}|{{ ns.b }}|{{ ns['a'] }}|{{ ns.zz is defined }}
{% macro m(a, b=2, c=a) %}[{{ a }}{{ b }}{{ c }}{{ varargs }}{{ kwargs }}]{% endmacro %}{{ m(1) }}{{ m(1, 2, 3, 4, x=5) }}{{ m(b=3, a=0) }}
{% macro m(a) %}<{{ caller(a) }}>{% endmacro %}{% call(x) m(3) %}got {{ x }}{% endcall %}
{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}
{% macro m(a, b) %}{{ a }}{{ b is defined }}{{ b }}{% endmacro %}{{ m(1) }}
{% macro m() %}{% endmacro %}{{ m.name }}|{{ m.arguments }}|{{ m.catch_kwargs }}|{{ m }}
{{ 7 // 2 }}|{{ -7 // 2 }}|{{ 7 % 3 }}|{{ -7 % 3 }}|{{ 7.5 // 2 }}|{{ -7.5 % 2 }}|{{ 2 ** 10 }}|{{ 2 ** -1 }}|{{ 10 / 4 }}|{{ 1e16 }}|{{ 1e-5 }}|{{ 0.1 + 0.2 }}|{{ 1e22 }}|{{ 123456789.123 }}
{{ 'ab' * 3 }}|{{ 3 * 'ab' }}|{{ [1] * 2 }}|{{ 'a' * -1 }}|{{ (1,) * 2 }}
{{ l[1:] }}|{{ l[::-1] }}|{{ s[1:8:2] }}|{{ s[-3:] }}|{{ s[-1] }}|{{ l[-1] }}|{{ u[-3:] }}|{{ u[11] }}|{{ (1,2,3)[:2] }}|{{ l[10:] }}|{{ s[::-1] }}
{{ 1 ~ 'a' ~ none ~ 2.0 }}|{{ 'a' in 'abc' }}|{{ 'x' not in d }}|{{ 'a' in d }}|{{ 1 in l }}|{{ none in [none] }}
{{ missing }}|{{ missing is defined }}|{{ missing|default('x') }}|{{ none|default('x') }}|{{ none|default('x', true) }}|{{ d.missing }}|{{ d.missing is defined }}|{{ l[10] is defined }}|{{ missing == missing2 }}|{{ missing|length }}|{{ missing|list }}|{{ [missing] }}
{{ missing.x }}
{{ missing + 1 }}
{{ missing < 1 }}
{{ missing() }}
{{ missing[0] }}
{{ none.x }}|{{ none.x is defined }}|{{ none['x'] is undefined }}|{{ n.x is defined }}
{{ none + 1 }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ [] + () }}
{{ range(5)|list }}|{{ range(5) }}|{{ range(1, 10, 3)|list }}|{{ range(5)[2] }}|{{ range(3)|length }}|{{ 2 in range(3) }}|{{ range(5, 0, -2)|list }}
{{ rows|selectattr('age')|map(attribute='name')|list }}|{{ rows|selectattr('age', 'defined')|list|length }}|{{ rows|rejectattr('age', 'defined')|map(attribute='name')|join }}|{{ rows|selectattr('age', '==', 30)|map(attribute='name')|join(',') }}|{{ rows|map(attribute='age', default=0)|list }}
{{ ls|map('upper')|list }}|{{ ls|select('in', ['a', 'b'])|list }}|{{ l|reject('odd')|list }}|{{ ls|sort }}|{{ ls|sort(case_sensitive=true) }}|{{ ls|sort(reverse=true) }}|{{ rows|sort(attribute='name')|map(attribute='name')|join }}|{{ ls|unique|list }}|{{ l|min }}|{{ ls|max }}|{{ ls|map('replace', 'a', 'z')|list }}
{% for g, items in rows|groupby('city') %}{{ g }}:{{ items|map(attribute='name')|join(',') }};{% endfor %}|{% for g in rows|groupby('city', case_sensitive=true) %}{{ g.grouper }}{{ g.list|length }}{% endfor %}|{{ rows[:1]|groupby('city') }}
{{ l|batch(2)|list }}|{{ l|batch(2, 'x')|list }}|{{ [1,2,3,4,5]|slice(2)|list }}|{{ [1,2,3,4,5]|slice(3, 'x')|list }}|{{ l|first }}|{{ l|last }}|{{ []|first }}|{{ 'abc'|first }}|{{ 'abc'|last }}
{{ l|reverse|list }}|{{ 'abc'|reverse }}|{{ l|join('-') }}|{{ [1, none, true]|join(',') }}|{{ rows|join(',', attribute='name') }}
{{ 'a b c'.split() }}|{{ 'a,b,,c'.split(',') }}|{{ 'a b c'.split(' ', 1) }}|{{ ' a  b '.split() }}|{{ ' a  b '.rsplit(None, 1) }}|{{ 'a\nb\r\nc'.splitlines() }}|{{ 'a\nb\n'.splitlines(true) }}|{{ 'a-b-c'.partition('-') }}|{{ 'a-b-c'.rpartition('-') }}|{{ ''.split() }}|{{ ''.split(',') }}
{{ 'abc'.find('c') }}|{{ 'abc'.find('x') }}|{{ 'abc'.index('b') }}|{{ 'aXbX'.count('X') }}|{{ 'abc'.replace('b', 'x') }}|{{ 'aaa'.replace('a', 'b', 2) }}|{{ 'abc'.replace('', '-') }}|{{ 'abc'.replace('', '-', 2) }}|{{ 'a'.zfill(3) }}|{{ '-1'.zfill(4) }}|{{ 'a'.center(4, '*') }}|{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '.') }}
{{ 'abc'.index('x') }}
{{ 'Ab1'.isalnum() }}|{{ 'ab'.isalpha() }}|{{ '12'.isdigit() }}|{{ ' '.isspace() }}|{{ 'Ab'.istitle() }}|{{ 'AB'.isupper() }}|{{ 'ab'.islower() }}|{{ ''.isalpha() }}|{{ 'abc'.isidentifier() }}|{{ 'a b'.swapcase() }}|{{ 'prefixed'.removeprefix('pre') }}|{{ 'x.txt'.removesuffix('.txt') }}|{{ 'a\tb'.expandtabs(4) }}|{{ '-'.join(['a', 'b']) }}
{{ '-'.join([1]) }}
{{ d.items() }}|{{ d.keys() }}|{{ d.values() }}|{{ d.items()|list }}|{{ d.get('a') }}|{{ d.get('x') }}|{{ d.get('x', 5) }}|{{ d.keys()|list }}|{{ d.items()|length }}
{{ nested.items }}
{{ nested['items'] }}|{{ nested.items is defined }}|{{ nested['keys'] }}|{{ nested['update'] }}|{{ nested.update is defined }}|{{ nested.get is callable }}|{{ nested['get'] is defined }}|{{ nested['nope'] is defined }}
{{ l.append is defined }}|{{ l.copy() }}|{{ l.index(1) }}|{{ l.count(3) }}|{{ d.copy() }}
{{ l.append(1) }}
{{ d.update({'x': 1}) }}
{{ d.__class__ }}|{{ s.__class__ is defined }}|{{ l.__len__ is defined }}|{{ ''.__class__.__mro__ }}
{{ d.constructor }}|{{ d.__proto__ }}|{{ s.constructor is defined }}|{{ l.length is defined }}|{{ d.toString is defined }}|{{ s.length is defined }}
{% for k, v in d.items() %}{{ k }}={{ v }},{% endfor %}|{% for k, v in d|items %}{{ k }}{% endfor %}|{% for k in d %}{{ k }}{% endfor %}|{% for c in 'añ😀' %}[{{ c }}]{% endfor %}
{% for x in [] %}a{% else %}none{% endfor %}|{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% else %}E{% endfor %}|{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}|{% for x in [1] %}{% continue %}{% else %}E{% endfor %}
{% for x in l if x > 1 %}{{ x }}{{ loop.length }}{{ loop.last }}{% endfor %}|{% for x in l if x > 5 %}{% else %}empty{% endfor %}
{% for x in [[1, [2]], [3, []]] recursive %}{{ x[0] if x is sequence else x }}{{ loop.depth }}{% if x is sequence and x[1] %}({{ loop(x[1:]) }}){% endif %}{% endfor %}
{% for node in tree recursive %}{{ node.n }}{% if node.c %}<{{ loop(node.c) }}>{% endif %}{% endfor %}
{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }},{% endfor %}{{ x }}
{% if true %}{% set q = 5 %}{% endif %}{{ q }}
{% for i in l %}{{ s }}{% endfor %}{% set s = 'later' %}{{ s }}
{% for i in l %}{{ y }}{% set y = i %}{{ y }}{% endfor %}|{{ y }}
{% macro a() %}{{ v }}{% endmacro %}{% set v = 1 %}{{ a() }}{% set v = 2 %}{{ a() }}
{% macro a() %}{{ s }}{% endmacro %}{{ a() }}{% set s = 2 %}{{ a() }}
{% macro fact(n) %}{{ 1 if n < 2 else n * (fact(n - 1)|int) }}{% endmacro %}{{ fact(5) }}
{% macro r(n) %}{{ r(n + 1) }}{% endmacro %}{{ r(0) }}
{% set block %}a{{ n }}b{% endset %}{{ block }}|{% set b2 | upper %}abc{% endset %}{{ b2 }}|{% filter upper|replace('A', 'x') %}abc{% endfilter %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}|{% set (a, b) = [3, 4] %}{{ a }}{{ b }}|{% set a = 1, 2 %}{{ a }}
{% set a, b = 1 %}
{% set a, b = [1, 2, 3] %}
{% set ns.x = 1 %}
{% set ns = {} %}{% set ns.x = 1 %}
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}|{% with %}{% set z = 4 %}{{ z }}{% endwith %}{{ z }}|{% set a = 5 %}{% with a = a + 1 %}{{ a }}{% endwith %}{{ a }}
{% generation %}x{% set g = 1 %}{{ g }}{% endgeneration %}{{ g }}
  {% generation %}
a
  {% endgeneration %}
b
{%- generation -%} a {%- endgeneration -%} b
{{ 'a' if true }}|{{ 'a' if false }}|{{ 'a' if false else 'b' }}|{{ 'a' if n == 7 else 'b' if n == 8 else 'c' }}|{{ ('a' if false) is defined }}
{{ not true }}|{{ not missing }}|{{ true and 'x' }}|{{ '' or 'y' }}|{{ none and 1 }}|{{ 0 or none }}|{{ not 1 == 2 }}|{{ 1 == 1.0 }}|{{ true == 1 }}|{{ '1' == 1 }}|{{ [1] == [1.0] }}|{{ (1,) == [1] }}|{{ {'a': 1} == {'a': 1.0} }}
{{ -n }}|{{ +n }}|{{ -f }}|{{ - 3|abs }}|{{ -t }}|{{ -(2 ** 3) }}|{{ -2 ** 2 }}|{{ 2 ** 3 ** 2 }}|{{ 1 + 2 ~ 3 }}|{{ 2 * 3 ~ 4 }}
{{ '42'|int }}|{{ '42.7'|int }}|{{ 'x'|int }}|{{ 'x'|int(5) }}|{{ '0x1f'|int(base=16) }}|{{ none|int }}|{{ 3.9|int }}|{{ '1_000'|int }}|{{ ' 5 '|int }}|{{ '3.5'|float }}|{{ 'x'|float }}|{{ 'x'|float(none) }}|{{ true|int }}|{{ 5|float }}|{{ '1e3'|float }}|{{ 'inf'|float }}|{{ 'nan'|float }}
{{ 'inf'|float|int }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 'abc'|length }}|{{ u|length }}|{{ d|count }}|{{ {}|length }}
{{ 5|length }}
{{ none|length }}
{{ none|list }}
{% for x in none %}{% endfor %}
{% for x in 5 %}{% endfor %}
{{ 'hello'|center(11) }}|{{ lines|indent }}|{{ lines|indent(2, true) }}|{{ lines|indent('>', blank=true) }}|{{ 'a long text here to cut'|truncate(10) }}|{{ 'a long text here to cut'|truncate(10, true) }}|{{ 'abc def'|wordcount }}|{{ 'a b&c=d/é'|urlencode }}|{{ {'a': 1, 'b c': 'd'}|urlencode }}|{{ 1000000|filesizeformat }}|{{ 12|filesizeformat }}|{{ 1536|filesizeformat(true) }}|{{ {'a': 1, 'b': none}|xmlattr }}
{{ s|attr('upper') is defined }}|{{ d|attr('a') is defined }}|{{ d|attr('keys') is defined }}|{{ 'tojson' is filter }}|{{ 'nope' is filter }}|{{ 'odd' is test }}|{{ s is sameas none }}|{{ none is sameas none }}|{{ t is sameas true }}|{{ 1 is sameas true }}
{{ x|nope }}
{% if false %}{{ x|nope }}{% endif %}ok
{% if true %}{{ x|nope }}{% endif %}
{{ x is nope }}
{% nope %}
{% if %}x{% endif %}
{% if true %}x
{% endif %}
{{ 'a }}
{{ (1 }}
{{ 1) }}
{# comment #}a{#- c -#} b {#+ d +#}
{{ "a" 'b' }}|{{ "\u00e9\x41\n\t\\\"" }}|{{ 'a\qb' }}|{{ '\é' }}|{{ '\101' }}
{{ 0x1F }}|{{ 0b101 }}|{{ 0o17 }}|{{ 1_000 }}|{{ 1.5e3 }}|{{ 1e3 }}|{{ 00 }}
{{ [1,2,] }}|{{ (1,) }}|{{ () }}|{{ [] }}|{{ {} }}|{{ {'a': 1,} }}|{{ (1) }}|{{ 1, 2 }}
{{ {1: 'a', 1.0: 'b', true: 'c'} }}|{{ {(1,2): 3}[(1,2)] }}|{{ {none: 1}[none] }}
{{ {[1]: 2} }}
{{ 'it''s' }}|{{ ["it's", 'say "x"', 'both \' "', 'a\\b', 'tab\t', '\x00\x7f\xa0é\u200b😀'] }}
{{ dict(a=1, b=2) }}|{{ dict([('a', 1)]) }}|{{ dict({'x': 1}, y=2) }}|{{ dict.fromkeys(['a'], 0) }}
{{ cycler('a', 'b').next() }}|{% set c = cycler(1, 2, 3) %}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set j = joiner('|') %}{{ j() }}a{{ j() }}b
{{ loop is defined }}|{% for x in l %}{% for y in l %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}
{% for x in l %}{% set loop = 1 %}{% endfor %}
{{ s.upper is defined }}|{{ s.nope is defined }}|{{ s.upper() }}
{{ s.upper }}
{{ l|map('upper') }}
{{ self }}
{% set it = l|map('string') %}{{ it|list }}{{ it|list }}
{% set it = d|items %}{% for k, v in it %}{{ k }}{% endfor %}{% for k, v in it %}{{ k }}{% endfor %}
{% set r = l|reverse %}{{ r|first }}{{ r|list }}
{{ messages|map(attribute='role')|join(',') }}|{{ messages|selectattr('role', 'equalto', 'user')|first }}|{{ (messages|last).tool_calls[0].function.arguments|tojson }}|{{ messages[-1]['content']|trim ~ '!' }}|{{ messages|selectattr('tool_calls', 'defined')|list|length }}
{% for m in messages %}{% if loop.first and m.role != 'system' %}{% set d = 1 %}{% endif %}{{ '<|' + m['role'] + '|>' + m['content'] | trim + '<|end|>' }}
{% endfor %}
{%- for m in messages %}
    {%- if m.role == 'user' %}
        {{- 'U:' ~ m.content }}
    {%- else %}
        {{- 'O' }}
    {%- endif %}
{%- endfor %}
  {% if true %}
  a
  {% endif %}
b {% if true %}
c{% endif %}

{% raw -%} {{ a }} {%- endraw %} x
{%- raw %}
  {{ a }}
{% endraw %}
y
a
{{ 'b' }}
c {{ 'd' }} {# e #}
f
{{ nested.x.y[1].z }}|{{ nested['x']['y'][0] }}|{{ nested.x.y.1.z }}|{{ l.0 }}
{{ 'a' < 'b' }}|{{ [1,2] < [1,3] }}|{{ (1,) < (1,2) }}|{{ true < 2 }}|{{ '😀' > '\uffff' }}
{{ 1 < 'a' }}
{{ none < none }}
{{ [3, 'a']|sort }}
{{ rows|sort(attribute='age') }}
{{ rows|groupby('age') }}
{{ missing|upper }}|{{ missing|trim }}|{{ missing|join }}|{{ missing|first is defined }}|{{ missing|string }}|{{ missing ~ 'x' }}|{{ '%s' % missing }}|{{ missing is iterable }}|{{ missing is sequence }}|{{ missing is callable }}|{{ missing is mapping }}|{{ 1 in missing }}|{{ missing in [1] }}|{% for x in missing %}{% else %}none{% endfor %}
{{ missing|tojson }}
{{ missing|int }}
{{ missing|float }}
{{ missing|abs }}
{{ missing|dictsort }}
{{ missing|items|list }}|{{ missing|sort }}|{{ missing|unique|list }}|{{ missing|map('upper')|list }}|{{ missing|replace('a', 'b') }}|{{ missing|escape }}
{{ l|items }}
{{ l|items|list }}
{% set x = l %}{% do x.append(1) %}
{% include 'x' %}
{% block a %}x{% endblock %}
{% autoescape true %}{{ html }}{% endautoescape %}
{% print 1, 2 %}
{{ namespace(_x=1) }}
{% set ns = namespace() %}{% set ns._x = 1 %}
{{ namespace({'a': 1}, b=2) }}|{{ namespace().x is defined }}
{{ m1(1) }}{% macro m1(x) %}{{ x }}{% endmacro %}
{% if true %}{% macro m2(x) %}{{ x }}{% endmacro %}{% endif %}{{ m2(3) }}
{% for x in [1] %}{% macro m3() %}{{ x }}{% endmacro %}{{ m3() }}{% endfor %}
{% macro outer() %}{% set inner = 5 %}{% macro in2() %}{{ inner }}{% endmacro %}{{ in2() }}{% endmacro %}{{ outer() }}
{% macro f(x, y) %}{{ x }}{{ y }}{% endmacro %}{{ f(1, 2, 3) }}
{% macro f(x) %}{{ x }}{% endmacro %}{{ f(1, z=3) }}
{% macro f(x) %}{{ x }}{% endmacro %}{{ f(1, x=3) }}
{{ s.upper(1) }}
{{ s.replace('a') }}
{{ s.split(maxsplit=1) }}|{{ s.split(sep='o') }}|{{ d.get('zz', none) }}
{{ d.get(key='a') }}
{{ s.replace(old='a', new='b') }}
{{ '{:>{w}}'.format('a', w=4) }}|{{ '{{}}'.format() }}|{{ '{a[b]}'.format(a={'b': 1}) }}
{{ '{}'.format() }}
{{ '{0} {}'.format(1, 2) }}
{{ '%d' % 'a' }}
{{ '%s %s' % (1,) }}
{{ '%s' % (1, 2) }}
{{ 'abc' % 1 }}
{{ 'abc' % [] }}|{{ 'abc' % {} }}|{{ '%s' % none }}|{{ '%5s|%-5s|%.2s' % ('a', 'b', 'cde') }}|{{ '%g %g %g %e' % (1.0, 1e10, 0.0001, 0) }}|{{ '%c%c' % ('a', 66) }}|{{ '%+d % d' % (1, 2) }}|{{ '%i' % 3.7 }}
{{ 1.0 }}|{{ 1e300 * 1e10 }}|{{ 5.0 // 0.3 }}|{{ 5 % 0.3 }}|{{ 3.0 == 3 }}|{{ 100000000000000000.0 }}|{{ 0.00001 }}|{{ 1/3 }}|{{ 2/3|round(2) }}|{{ 10**20 }}|{{ 2**100 }}
{{ 'a'|default('b') }}|{{ ''|d('b', true) }}|{{ missing|d }}|{{ missing.foo|default('x') }}
{{ l is not none }}|{{ l is not defined }}|{{ 1 is in [1] }}|{{ 'x' is eq 'x' }}|{{ 3 is gt 2 }}|{{ 3 is lessthan 2 }}|{{ 'ABC' is upper }}|{{ 'abc' is lower }}|{{ 1 is boolean }}|{{ false is false }}|{{ true is true }}|{{ html|safe is escaped }}
{{ ('a'|safe).upper() is escaped }}|{{ ('<a>'|safe)|replace('a', '<') }}|{{ ('<a>'|safe).replace('a', '<') }}|{{ (['<', '>'|safe]|join) }}|{{ ('%s'|safe) % '<' }}|{{ ('{}'|safe).format('<') }}|{{ ('<'|safe) * 2 }}|{{ ['<'|safe] }}|{{ ('a,b'|safe).split(',') }}|{{ ('a'|safe).join(['<', '>']) }}|{{ ('<x>'|safe)[0] }}|{{ ('<x>'|safe) == '<x>' }}|{{ {'<x>': 1}['<x>'|safe] }}
{{ ('<'|safe)|trim + '>' }}|{{ '<' ~ ('>'|safe)|string + '&' }}|{{ ('<'|safe)|capitalize + '&' }}|{{ ('<'|safe)|tojson }}|{{ (('<'|safe)|string) + '&' }}|{{ ('a'|safe)|title + '&' }}|{{ (('<'|safe)|lower) + '<' }}
'''
BLOCKS = [
"{% for m in messages %}\n  {% if m.role == 'user' %}\n    {{ m.content }}\n  {% elif m.role == 'system' %}\n\n  S\n  {% else %}\n  {{- m.content -}}\n  {% endif %}\n{% endfor %}\nend\n",
"  {% if true %}\n  a\n  {% endif %}\nb {% if true %}\nc{% endif %}\n\n",
"{% raw -%} {{ a }} {%- endraw %} x\n{%- raw %}\n  {{ a }}\n  {% endraw %}\ny",
"a\r\n{{ 'b\r\nc' }}\r{# x #}\r\nd\n",
"a\n\n",
"\n  {%- set x = 1 %}\n  {{ x }}\n  {#- c #}\n  {# d -#}\n\n e",
"{% set x %}\n  a\n{% endset %}\n[{{ x }}]",
"{%- macro f(a) -%}\n  {{ a }}\n{%- endmacro -%}\n{{ f(1) }}\n{{- f(2) }}",
"{% for i in range(3) %}\n{{ i }}{% if not loop.last %}, {% endif %}\n{% endfor %}",
"{% generation %}\n{{ s }}\n{% endgeneration %}\n\nx\n",
"x{% generation %} a {% endgeneration %}\ny {%- generation -%} b {%- endgeneration -%} z",
"{{ [\n 1,\n 2\n] }}{{\n'x'\n}}",
"{%\nif true\n%}a{%\nendif\n%}",
"{{ 'a\nb' }}|{{ \"x\ty\" }}",
" \t{%+ if true %}a\n \t{%- endif %}b",
"a {%- if true +%}\n b{% endif +%}\nc",
"{% if true -%}\n\n  a\n\n{%- endif %}\n\nb",
"{{ s }}\n{{ s -}}\n\n{{- s }}",
"\u00a0{%- if true %} x\u2003{%- endif %}",
"{#\nmulti\n#}\nx{# y #}\n\n z",
]


def own_cases():
    cases = [{"template": line} for line in LINES.strip("\n").split("\n")]
    cases += [{"template": t} for t in BLOCKS] + [{"template": t, "env": "plain"} for t in BLOCKS if "generation" not in t]
    cases += [{"template": t, "env": "strict"} for t in ["{{ missing }}","{{ missing is defined }}","{{ missing|default('x') }}","{{ d.missing }}","{% if missing %}{% endif %}","{% for x in missing %}{% endfor %}","{{ missing == 1 }}","{{ not missing }}","{{ missing ~ 'x' }}","{{ 'a' if missing else 'b' }}","{{ s }}\n","{{ d.missing|default('q') }}","{{ missing|length }}","{{ [missing]|length }}","{{ [missing] }}","{{ missing in [1] }}","{{ missing|string }}","{{ missing.x|default('y') }}", "{{ {'a': 'é<'}|tojson }}", "{{ missing is none }}", "{{ missing and 1 }}", "{{ 'a' if false }}"]]
    cases += [{"template": t, "env": "chain"} for t in ["{{ missing.a.b }}","{{ missing['x'].y|default('z') }}","{{ missing.a + 1 }}","{{ missing.a is defined }}","{{ missing.a() }}", "{{ d.x.y.z }}|{{ missing|upper }}"]]
    cases += [{"template": t, "env": "plain"} for t in ["{{ {'b': 'é<&>\\'', 'a': 1}|tojson }}","{{ {'b': [1], 'a': 1}|tojson(2) }}","{{ raise_exception('x') }}","{% for x in l %}{% break %}{% endfor %}","{{ dict(a=1) }}", "  {% if true %}\n x{% endif %}\n", "{{ ({'a': 1}|tojson) + '<' }}"]]
    cases +=[{"template":"{% for node in tree recursive %}{{ node.n }}{{ loop.depth0 }}{% if node.c %}<{{ loop(node.c) }}>{% endif %}{% else %}none{% endfor %}","variables":{"tree":[{"n":1,"c":[{"n":2,"c":[]},{"n":3,"c":[{"n":4}]}]},{"n":5}]}}]
    return cases


def random_cases(seed, count):
    R = random.Random(seed)
    c = R.choice
    NAMES = ["s","u","e","n","z","neg","f","t","no","l","ls","mixed","d","nested","rows","lines","html","ws","missing","big"]
    STRS = ["'a'","'Hello World'","''","'  x y '","'a,b,,c'","'1'","'42.5'","'é😀ß'","'\\n a\\n'","'<b>&'","'xyx'","\"it's\"","'%s'","'{}'","'AbC dEf-gHi'", "'ﬁ ǆ İ'", "'Σας ΣΑΣ'", "'0x1F'", "'1_0'"]
    NUMS = ["0","1","2","3","-1","7","2.5","0.0","1e3","-0.5","10","100","3.14159","1.005","2.675","1e16","123456789"]
    KEYS = ["a","b","x","name","age","items","keys","get","C","upper","y","0","foo","role","count","index","real","values","__class__","_p","copy","city"]
    FILT = ["abs","attr('upper')","attr('a')","batch(2)|list","batch(2,'x')|list","capitalize","center(9)","count","default('d')","default('d',true)","dictsort","dictsort(true)","dictsort(false,'value')","e","escape","first","float","float(1.5)","forceescape","format(1)","format('a')","groupby('age')","groupby('city')","indent","indent(2,true,true)","int","int(3)","int(base=16)","join","join(',')","join('-',attribute='name')","last","length","list","lower","items|list","map('upper')|list","map('string')|list","map('length')|list","map(attribute='name')|list","map(attribute='age',default=0)|list","max","min","reject|list","reject('string')|list","rejectattr('age')|list","replace('a','b')","replace('','-')","replace('a','b',1)","reverse","reverse|list","round","round(1)","round(2,'floor')","round(-1)","round(0,'ceil')","safe","select|list","select('defined')|list","select('odd')|list","selectattr('age')|list","selectattr('age','==',30)|list","slice(2)|list","sort","sort(reverse=true)","sort(case_sensitive=true)","sort(attribute='name')","string","striptags","sum","sum(start=1.5)","sum(attribute='age')","title","tojson","tojson(indent=2)","tojson(ensure_ascii=true)","tojson(sort_keys=true)","trim","trim('x')","truncate(5)","truncate(5,true,'.',0)","unique|list","upper","urlencode","wordcount","filesizeformat","xmlattr"]
    TESTS = ["odd","even","divisibleby 2","defined","undefined","none","boolean","false","true","integer","float","lower","upper","string","mapping","number","sequence","iterable","callable","escaped","in [1,2,'a']","eq 1","ne 'a'","gt 1","ge 2","lt 3","le 2.5","sameas none","filter","test"]
    METH = ["upper()","lower()","strip()","strip('x')","lstrip()","rstrip('\\n')","split()","split(',')","split(',',1)","rsplit(',',1)","rsplit(None,1)","rsplit()","splitlines()","splitlines(true)","startswith('a')","startswith(('a','H'))","endswith('x')","replace('a','b')","replace('a','b',1)","find('a')","rfind('l')","index('a')","count('l')","title()","capitalize()","swapcase()","zfill(6)","center(8,'*')","ljust(6)","rjust(6,'.')","join(['p','q'])","join(ls)","isdigit()","isalpha()","isalnum()","islower()","isupper()","isspace()","istitle()","isdecimal()","isidentifier()","isprintable()","partition(',')","rpartition('l')","removeprefix('a')","removesuffix('c')","expandtabs(3)","format(1,2)","format(*l)","casefold()","keys()","values()","items()","keys()|list","items()|list","get('a')","get('zz',5)","get('a','q')","copy()","index(1)","count(1)","encode()","is_integer()","translate({97:'z'})"]
    FMT = ["'{:>8}'","'{:<8}|'","'{:^8}'","'{:05}'","'{:.2f}'","'{:,}'","'{:x}'","'{:e}'","'{:g}'","'{:+}'","'{!r}'","'{0} {0}'","'{:08.3f}'","'{:%}'","'{:d}'","'{:s}'","'{:b}'","'{:#x}'","'{:_}'","'{:.3}'","'{:*^9}'","'{:=+8}'","'{:c}'","'{!s:>5}'", "'{[0]}'", "'{.x}'"]
    PCT = ["'%s'","'%d'","'%5d|'","'%-5d|'","'%05d'","'%.2f'","'%r'","'%x'","'%e'","'%g'","'%+d'","'%s %s'","'%5s'","'%-5s|'","'%.2s'","'%c'","'%%'","'%(a)s'","'%G'","'%.3g'","'%#x'","'%i'","'%8.3f|'", "'% d'"]
    def atom(k):
        r = R.random()
        if r < .42: return c(NAMES)
        if r < .6: return c(STRS)
        if r < .78: return c(NUMS)
        if r < .84: return c(["true","false","none"])
        if k <= 0: return c(NAMES)
        if r < .9: return "[" + ", ".join(expr(k-1) for _ in range(R.randint(0,3))) + "]"
        if r < .94: return "(" + ", ".join(expr(k-1) for _ in range(R.randint(2,3))) + ")"
        if r < .97: return "{" + ", ".join(c(["'a'","'b'","1","none","true","1.0","(1,2)"]) + ": " + expr(k-1) for _ in range(R.randint(0,3))) + "}"
        return c(["range(3)","range(1,5)","dict(a=1)","namespace(a=1,b='x')","range(5,0,-2)","d.items()","l|map('string')","rows|map(attribute='name')"])
    def expr(k):
        if k <= 0: return atom(0)
        r = R.random()
        if r < .2: return atom(k)
        if r < .42: return post(k) + "|" + c(FILT)
        if r < .5: return post(k) + " is " + c(["","not "]) + c(TESTS)
        if r < .64: return "(" + expr(k-1) + " " + c(["+","-","*","/","//","%","~","+","~","*"]) + " " + expr(k-1) + ")"
        if r < .72: return "(" + expr(k-1) + " " + c(["==","!=","<",">","<=",">=","in","not in","==","in"]) + " " + expr(k-1) + ")"
        if r < .77: return "(" + expr(k-1) + c([" and "," or "]) + expr(k-1) + ")"
        if r < .8: return "(not " + expr(k-1) + ")"
        if r < .83: return "(-" + post(k) + ")"
        if r < .87: return "(" + expr(k-1) + " if " + expr(k-1) + c([" else " + expr(k-1), ""]) + ")"
        if r < .9: return c(FMT) + ".format(" + expr(k-1) + ")"
        if r < .94: return "(" + c(PCT) + " % " + c([expr(k-1), "(" + expr(k-1) + ",)", "(" + expr(k-1) + ", " + expr(k-1) + ")"]) + ")"
        if r < .96: return "(" + expr(k-1) + " < " + expr(k-1) + " <= " + expr(k-1) + ")"
        return post(k)
    def post(k):
        b = atom(k-1) if R.random() < .7 else "(" + expr(k-1) + ")"
        for _ in range(R.choice([0,1,1,1,2])):
            r = R.random()
            if r < .35: b += "." + c(METH)
            elif r < .5: b += "." + c(KEYS)
            elif r < .62: b += "['" + c(KEYS) + "']"
            elif r < .75: b += "[" + c(["0","1","-1","5","2.0","true","none","'a'"]) + "]"
            else: b += "[" + c(["1:",":-1","::2","::-1","1:3","-2:",":10","3:1:-1","none:2","5:","::3"]) + "]"
        if b[0].isdigit() or b[0] == '-': b = b if R.random() < .5 and '.' not in b else b
        return b
    def stmt(k):
        r = R.random()
        ws = lambda: c(["","","","-","+"])
        nl = lambda: c(["","","\n","\n  "," "])
        e = lambda: expr(1)
        body = lambda: "".join(stmt(k-1) for _ in range(R.randint(1,2))) if k > 0 else "{{ " + c(["x","y","s","loop.index","ns.a","m(1)","loop.last","q"]) + " }}"
        if r < .2: return nl() + "{{" + c(["","-"]) + " " + c(["x","y","q","s","loop.index0","loop.last","loop.nextitem","m(x)","ns.a","loop.revindex", "loop.length", "loop.previtem", "loop.cycle(1,2)", "loop.changed(x)"]) + " " + c(["","-"]) + "}}" + nl()
        if r < .32: return nl() + "{%" + ws() + " set " + c(["x","y","q","s","x, y","ns.a"]) + " = " + c([e(), "x", "y", "(1, 2)", "x ~ 'k'"]) + " " + ws() + "%}" + nl()
        if r < .5: return nl() + "{%" + ws() + " if " + c([e(), "x is defined", "loop.first", "y"]) + " " + ws() + "%}" + nl() + body() + c(["", "{%" + ws() + " else %}" + body(), "{% elif " + e() + " %}" + body()]) + nl() + "{%" + ws() + " endif " + ws() + "%}" + nl()
        if r < .72: return nl() + "{%" + ws() + " for " + c(["x in l","y in l","x in rows","x, y in d.items()","q in range(2)","x in [1, none]","x in l if x > 1","y in l if x","s in ls"]) + " %}" + nl() + body() + c(["", "", "{% if x == 1 %}{% break %}{% endif %}", "{% if x == 1 %}{% continue %}{% endif %}"]) + c(["", "{% else %}" + body()]) + "{%" + ws() + " endfor " + ws() + "%}" + nl()
        if r < .8: return "{% macro " + c(["m","m2"]) + "(" + c(["x","x, y=2","x=y","","q"]) + ") %}" + nl() + body() + "{%" + ws() + " endmacro %}" + c(["{{ m(1) }}", "{{ m() }}", ""])
        if r < .86: return "{% set " + c(["x","q"]) + " %}" + nl() + body() + "{% endset %}" + nl()
        if r < .9: return "{% with " + c(["x = 1","q = x, y = 2","s = s"]) + " %}" + body() + "{% endwith %}"
        if r < .93: return "{% filter upper %}" + body() + "{% endfilter %}"
        if r < .96: return "{% generation %}" + nl() + body() + "{% endgeneration %}" + nl()
        return nl() + c(["{# c #}","{#- c -#}","{% raw %} {{ x }} {% endraw %}","text","  \n\n"]) + nl()
    cases = []
    for i in range(count):
        if i % 5 == 4: t = "".join(stmt(2) for _ in range(R.randint(1,4)))
        elif i % 5 == 3: t = "{% set ns = namespace(a=0) %}" + "".join(stmt(2) for _ in range(R.randint(1,3)))
        else: t = "{{ " + expr(R.randint(1,3)) + " }}"
        cases.append({"template": t})
    return cases


def typed_cases(seed, count):
    R = random.Random(seed); c = R.choice
    def S(k):
        if k <= 0: return c(["s","u","e","lines","html","ws","'a'","'Hello World'","''","'  x y '","'a,b,,c'","'1'","'42.5'","'é😀ß'","'\\n a\\n'","'<b>&'","'xyx'","\"it's\"","'AbC dEf-gHi'","'Σας ΣΑΣ'","ls[0]","rows[0].name","messages[1].content","missing"])
        r = R.random()
        if r < .3: return "(" + S(k-1) + ")." + c(["upper()","lower()","strip()","strip('x')","strip('ab ')","lstrip()","rstrip('\\n')","rstrip()","lstrip('H\\n')","replace("+S(0)+", "+S(0)+")","replace('a','b',1)","replace('','-',"+I(0)+")","title()","capitalize()","zfill("+I(0)+")","center("+I(0)+",'*')","ljust(6)","rjust(6,'.')","join(ls)","removeprefix("+S(0)+")","removesuffix('c')","expandtabs(3)","split("+S(0)+")[0]","rsplit(None,1)[-1]","split()|join('+')","split('l',1)[1]","partition(',')[2]","rpartition("+S(0)+")[0]","splitlines()|join('/')","splitlines(true)|tojson"])
        if r < .55: return "(" + S(k-1) + "|" + c(["upper","lower","trim","trim('x')","title","capitalize","replace('a','b')","replace("+S(0)+","+S(0)+")","indent","indent(2,true,true)","indent(1,first=true)","center(9)","truncate(5)","truncate(4,true,'.',0)","truncate(8,end='')","e","safe","escape","forceescape","string","reverse","urlencode","tojson","tojson(ensure_ascii=true)","striptags","default('d')","default('d',true)","d","format(1)","first|string","last|string","list|join('-')","join('.')","map('upper')|join","sort|join","unique|join(',')","batch(2)|map('join')|join('_')"]) + ")"
        if r < .68: return "(" + S(k-1) + c([" ~ "," + "," ~ "]) + c([S(k-1), S(k-1), "("+c([I,F,L,D])(k-1)+")|string"]) + ")"
        if r < .74: return "(" + S(k-1) + ")[" + c(["1:","::2","::-1","1:3","-2:",":10","3:1:-1","none:2","5:","::-3", "0", "-1", ":-1", I(0)+":"+I(0)]) + "]"
        if r < .78: return "(" + S(k-1) + " * " + c(["2","0","-1","3"]) + ")"
        if r < .84: return c(["'{}'","'{:>8}'","'{:<8}|'","'{:^8}'","'{!r}'","'{0} {0}'","'{:s}'","'{:.3}'","'{:*^9}'","'{!s:>5}'"]) + ".format(" + S(k-1) + ")"
        if r < .88: return c(["'{:05}'","'{:.2f}'","'{:,}'","'{:e}'","'{:g}'","'{:+}'","'{:08.3f}'","'{:%}'","'{:+.1e}'","'{:12,.2f}'","'{:<9}|'","'{:^+9.1f}|'","'{:G}'","'{:.0f}'","'{:.10g}'"]) + ".format(" + c([I,F])(k-1) + ")"
        if r < .92: return "(" + c(["'%s'","'%r'","'%5s'","'%-5s|'","'%.2s'"]) + " % (" + A(k-1) + ",))"
        if r < .96: return "(" + c(["'%d'","'%5d|'","'%-5d|'","'%05d'","'%.2f'","'%e'","'%g'","'%+d'","'%G'","'%.3g'","'%i'","'%8.3f|'","'% d'","'%s'","'%.0f'","'%#.3g'"]) + " % " + c([I,F])(k-1) + ")"
        return "(" + S(k-1) + " if " + B(k-1) + " else " + S(k-1) + ")"
    def I(k):
        if k <= 0: return c(["0","1","2","3","-1","7","10","n","z","neg","big","l[0]","4","5"])
        r = R.random()
        if r < .4: return "(" + I(k-1) + c([" + "," - "," * "," // "," % "]) + I(k-1) + ")"
        if r < .6: return "(" + c([S,L,D])(k-1) + c(["|length","|count","|length"]) + ")"
        if r < .7: return "(" + c([S,F,I])(k-1) + "|int)"
        if r < .78: return "(" + S(k-1) + c([".find('a')",".count('l')",".rfind("+S(0)+")",".find("+S(0)+",1)"]) + ")"
        if r < .84: return "(-" + I(k-1) + ")"
        if r < .9: return "(" + I(k-1) + c(["|abs","|round","|int(3)","|round(-1)"]) + ")"
        return c(["l|sum","l|max","l|min","rows|map(attribute='age',default=1)|sum","(1 if "+B(0)+" else 2)", "true", "s|wordcount"])
    def F(k):
        if k <= 0: return c(["f","2.5","0.0","1e3","-0.5","3.14159","1.005","2.675","1e16","0.1","1e-7","123456.789","5e-324","1.7976931348623157e308","0.30000000000000004","1e22"])
        r = R.random()
        if r < .5: return "(" + c([F,I])(k-1) + c([" + "," - "," * "," / "," // "," % "]) + F(k-1) + ")"
        if r < .6: return "(" + I(k-1) + " / " + I(k-1) + ")"
        if r < .85: return "(" + F(k-1) + c(["|round","|round(1)","|round(2)","|round(2,'floor')","|round(1,'ceil')","|abs","|float","|round(-1)","|round(15)"]) + ")"
        return "(" + S(k-1) + "|float)"
    def L(k):
        if k <= 0: return c(["l","ls","mixed","rows","[]","[1,2]","['b','A']","(1,2)","range(4)|list","('x',)","messages","[none,true,1.0]","[[2],[1]]"])
        r = R.random()
        if r < .25: return "(" + L(k-1) + "|" + c(["list","reverse|list","unique|list","sort","sort(reverse=true)","sort(case_sensitive=true)","batch(2)|list","batch(3,none)|list","slice(2)|list","slice(3,'x')|list","map('string')|list","select|list","reject('none')|list","select('string')|list","map('upper')|list","map('default','q',true)|list","select('in',[1,'a'])|list","reject('number')|list","map('length')|list","map('tojson')|list","select('ne',1)|list"]) + ")"
        if r < .4: return "(" + L(k-1) + ")[" + c(["1:","::2","::-1","1:3","-2:",":10","3:1:-1",":-1"]) + "]"
        if r < .5: return "(" + L(k-1) + " + " + L(k-1) + ")"
        if r < .62: return "[" + ", ".join(A(k-1) for _ in range(R.randint(0,3))) + "]"
        if r < .7: return "(" + ", ".join(A(k-1) for _ in range(R.randint(2,3))) + ")"
        if r < .8: return "(" + S(k-1) + c([".split()",".split(',')",".rsplit('l',1)",".splitlines()","|list",".partition('a')",".rsplit()",".split(None,1)"]) + ")"
        if r < .9: return "(" + D(k-1) + c(["|list",".keys()|list",".values()|list",".items()|list","|dictsort","|dictsort(by='value')","|items|list"]) + ")"
        return "(rows|" + c(["map(attribute='name')|list","selectattr('age','defined')|list","groupby('city')","rejectattr('age')|list","selectattr('name','in',['ann'])|list","sort(attribute='city,name')","map(attribute='age',default=0)|list","groupby('age',default=0)","sort(attribute='name',reverse=true)|map(attribute='name')|list","selectattr('age','gt',26)|list","unique(attribute='city')|list","map(attribute='name.upper')|list|length"]) + ")"
    def D(k):
        if k <= 0: return c(["d","nested","rows[0]","{}","{'a': 1}","messages[2]","{1: 'x', none: 2}"])
        r = R.random()
        if r < .5: return "{" + ", ".join(c(["'a'","'b'","1","none","true","1.0","(1,2)","s"]) + ": " + A(k-1) for _ in range(R.randint(0,3))) + "}"
        if r < .7: return "dict(" + D(k-1) + ", z=" + A(k-1) + ")"
        return D(0)
    def B(k):
        if k <= 0: return c(["t","true","false","n > 2","s == 'a'","missing is defined"])
        r = R.random()
        X = c([S,I,F,L,D])
        if r < .2: return "(" + c([I,F])(k-1) + c([" < "," > "," <= "," >= "," == "," != "]) + c([I,F])(k-1) + ")"
        if r < .35: return "(" + S(k-1) + c([" < "," > "," == "," in "," not in "]) + S(k-1) + ")"
        if r < .5: return "(" + A(k-1) + c([" in "," not in "]) + c([L,D])(k-1) + ")"
        if r < .6: return "(" + L(k-1) + c([" == "," < "," != "]) + L(k-1) + ")"
        if r < .8: return "(" + A(k-1) + " is " + c(["","not "]) + c(["defined","none","boolean","string","mapping","number","sequence","iterable","integer","float","callable","escaped","true","false","eq 1"]) + ")"
        if r < .9: return "(" + S(k-1) + "." + c(["startswith('a')","endswith(('x',' '))","isdigit()","isalpha()","isalnum()","islower()","isupper()","isspace()","istitle()","isprintable()","isidentifier()","isascii()","startswith("+S(0)+",1)"]) + ")"
        return "(" + B(k-1) + c([" and "," or "]) + B(k-1) + ")"
    def A(k): return c([S,S,I,F,L,D,B])(k)
    out = []
    for i in range(count):
        e = A(R.randint(1,3))
        e2 = c([e, "(" + e + ")|tojson", "(" + e + ")|string|length", e])
        out.append({"template": "{{ " + e2 + " }}"})
    return out


ENVIRONMENTS = {
    "plain": jinja2.sandbox.ImmutableSandboxedEnvironment(),
    "strict": jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True),
    "chain": jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.ChainableUndefined),
}


def slow(*_):
    raise TimeoutError


signal.signal(signal.SIGALRM, slow)


def rendered(case):
    env = case.get("env", "chat")
    signal.alarm(2)
    try:
        compiled = utils._compile_jinja_template(case["template"]) if env == "chat" else ENVIRONMENTS[env].from_string(case["template"])
        text = compiled.render(**case.get("variables", VARS))
        text.encode("utf-8")
    except Exception:
        return case
    finally:
        signal.alarm(0)
    if re.search(r" at 0x[0-9a-f]|<TemplateReference", text) or len(text) > 20000:
        return case
    return {**case, "text": text}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        seed, count, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        cases = [rendered(case) for case in random_cases(seed, count) + typed_cases(seed, count)]
    else:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tokenizer/fixtures/jinja.json")
        chosen = [rendered(case) for case in random_cases(7, 600) + typed_cases(7, 500)]
        renders = [case for case in chosen if "text" in case and len(case["text"]) < 400][:420]
        raises = [case for case in chosen if "text" not in case][:80]
        cases = [rendered(case) for case in own_cases()] + renders + raises
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"variables": ' + json.dumps(VARS, ensure_ascii=False) + ',\n"cases": [\n')
        file.write(",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]}\n")
    print(len(cases), "cases,", sum("text" not in case for case in cases), "without text")
