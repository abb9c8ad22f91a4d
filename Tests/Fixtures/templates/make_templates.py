"""Writes rendered.json: what transformers renders of the chat templates in this folder, and of snippets, one for each thing
that Jinja's language does.

Needs transformers 5.24 and jinja2 3.1.6. Usage: python make_templates.py; python make_templates.py FOLDER OUT.json renders the
templates of another folder.

The templates (*.jinja) are those of published models whose licences let them be passed on, as llama.cpp keeps them
(https://github.com/ggml-org/llama.cpp/tree/master/models/templates): Apache-2.0: Qwen2.5, Qwen3, Qwen3-Coder, Granite 3.3 and 4.0
(IBM), Mistral-Nemo, Devstral-Small-2507, SmolLM3, gpt-oss, Seed-OSS; MIT: DeepSeek-V3.1, Phi-3.5-mini (Microsoft), GLM-4.6 (Z.ai).
Files named own-* are written for these tests with the constructs that Llama's, Gemma's, StarCoder2's and DeepSeek-Coder's use.
"""
import datetime, json, os, sys

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import transformers.utils.chat_template_utils as utils

HERE = os.path.dirname(os.path.abspath(__file__))
CLOCK = [2026, 3, 7, 14, 5, 9]


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(*CLOCK)


utils.datetime = Clock

TOOLS = [{"type": "function", "function": {
    "name": "read_file", "description": "Reads a file.", "parameters": {
        "type": "object", "required": ["path"], "properties": {
            "path": {"type": "string", "description": "Where it lies."},
            "lines": {"type": "array", "items": {"type": "integer"}, "description": "Which, é < 3 & \"x\""},
            "mode": {"type": "string", "enum": ["text", "bytes"], "default": "text"}}}}}, {"type": "function", "function": {
    "name": "stop", "description": "Ends the job.", "parameters": {"type": "object", "properties": {}}}}]
CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"id": "call12345", "type": "function", "function": {"name": "read_file", "arguments": {"path": "a.py", "lines": [1, 2]}}}]}
CHATS = {
    "short": {"messages": [{"role": "user", "content": "Write a loop in C."}]},
    "system": {"messages": [{"role": "system", "content": "You write Swift.\n"}, {"role": "user", "content": " What is 1 < 2 & 'x'? "}]},
    "turns": {"messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "def f():"},
        {"role": "assistant", "content": "<think>\nHm.\n</think>\n\n    return 1\n"}, {"role": "user", "content": "And ünïcode 日本\n\n?"},
        {"role": "assistant", "content": "    return 'ß'"}, {"role": "user", "content": "Thanks"}]},
    "reasoning": {"messages": [
        {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So.", "reasoning_content": "Because\n"},
        {"role": "user", "content": "Really?"}]},
    "tools": {"messages": [{"role": "system", "content": "Use tools."}, {"role": "user", "content": "Read a.py"}], "tools": TOOLS},
    "calls": {"messages": [{"role": "user", "content": "Read a.py"}, CALL, {"role": "tool", "tool_call_id": "call12345", "name": "read_file", "content": "x = 1\n"},
                           {"role": "assistant", "content": "It sets x."}, {"role": "user", "content": "Good"}], "tools": TOOLS},
    "ends": {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "thinking": None}]},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Look: "}, {"type": "text", "text": "here"}]}]},
    "two users": {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
    "nothing": {"messages": []},
    "settings": {"messages": [{"role": "user", "content": "a"}], "others": {"enable_thinking": False, "reasoning_effort": "high", "thinking": True}},
}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
VALUES = {"n": 3, "f": 2.5, "t": " Ab cd\n", "l": [3, 1, 2], "d": {"b": 1, "a": [True, None, 1.0], "Ç": "é\"\n"}, "e": [], "z": None, "u": "日本é",
          "people": [{"name": "Bo", "age": 3}, {"name": "al", "age": 12, "x": {"y": 1}}, {"name": "Cy"}], "items": {"items": 1, "k": 2}}
SNIPPETS = """
{{ n + 1 }} {{ n / 2 }} {{ n // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ n * 2.0 }} {{ 1e3 }} {{ 1_000 }} {{ -n }} {{ +n }} {{ 2 ** -1 }}
{{ 1e16 }} {{ 1e15 }} {{ 12345678901234567000.0 }} {{ 1e-5 }} {{ 0.0001 }} {{ 0.1 + 0.2 }} {{ 1e22 }} {{ -1e16 }} {{ 9007199254740993.0 }}
{{ true }} {{ false }} {{ none }} {{ missing }} {{ l }} {{ d }} {{ (1,) }} {{ (1, 'a') }} {{ [missing] }} {{ {} }} {{ "it's" }} {{ ["it's", 'a"b', 'é\\n\\t\\x07\\u200b'] }}
{{ d | tojson }} {{ d | tojson(indent=2) }} {{ [] | tojson(indent=2) }} {{ d | tojson(ensure_ascii=True, sort_keys=True) }} {{ d | tojson(separators=(',', ':')) }}
{{ u | length }} {{ u[0] }} {{ u[-1] }} {{ u[1:] }} {{ u[::-1] }} {{ l[:2] }} {{ l[-2:] }} {{ l[::2] }} {{ l[10:] }} {{ l[2:0:-1] }} {{ l[5] is defined }} {{ d.a[0] }} {{ d['b'] }} {{ l.0 }}
{{ t.strip() }}|{{ t.lstrip() }}|{{ t.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ t | trim }}|{{ 'xay' | trim('xy') }}
{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a b c'.split(None, 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ 'aaa'.split('aa') }} {{ 'aaa'.rsplit('aa', 1) }} {{ ' a b '.rsplit(None, 1) }} {{ ' a b c '.split(None, 1) }}
{{ 'a\\nb\\r\\nc\\n'.splitlines() }} {{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'ab'.partition('x') }}
{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'bc')) }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }} {{ 'banana'.replace('an', 'x', 1) }} {{ 'ab' | replace('', '-') }} {{ 'abab' | replace('ab', 'c') }}
{{ 'abcb'.find('b') }} {{ 'abcb'.rfind('b') }} {{ 'abc'.find('x') }} {{ 'banana'.count('an') }} {{ 'x'.join(['a', 'b']) }} {{ 'ab1'.isalnum() }} {{ '12'.isdigit() }} {{ 'AB'.isupper() }} {{ ''.isspace() }} {{ '7'.zfill(3) }} {{ '-7'.zfill(4) }}
{{ 'a {} {}{{}}'.format(1, 'x') }} {{ '{0}{b}'.format('a', b=2) }} {{ 'heLLo wORLD-x'.title() }} {{ "it's o'neil" | title }} {{ 'ABC' | capitalize }} {{ u | upper }} {{ 'ß' | upper }}
{{ 'a' ~ 1 ~ none ~ missing }} {{ 'a' * 3 }} {{ [1] * 2 }} {{ [1] + [2] }} {{ 'a' 'b' }} {{ 3 * 'ab' }}
{{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' == 'a' }} {{ [1] == (1,) }} {{ {'a': 1} == {'a': 1.0} }} {{ missing == missing2 }} {{ none == false }} {{ 1 < 2 < 3 }} {{ 'a' < 'b' }} {{ 2 >= 2 }} {{ [1, 2] < [1, 3] }} {{ 1 != '1' }}
{{ 'a' in 'cat' }} {{ 2 in l }} {{ 'b' in d }} {{ 'x' not in d }} {{ 1 in missing }} {{ '' in '' }}
{{ n and 0 }} {{ 0 or 'x' }} {{ not n }} {{ 'yes' if n else 'no' }} {{ 'yes' if e }} {{ 1 if 0 else 2 if 0 else 3 }}
{{ n is number }} {{ f is number }} {{ f is float }} {{ n is integer }} {{ true is integer }} {{ true is boolean }} {{ true is number }} {{ t is string }} {{ l is sequence }} {{ d is mapping }} {{ d is sequence }} {{ t is iterable }} {{ z is none }} {{ missing is undefined }} {{ n is odd }} {{ n is even }} {{ n is divisibleby 3 }} {{ n is eq 3 }} {{ n is in [3] }} {{ n is not in [3] }} {{ true is true }} {{ 1 is true }} {{ missing is iterable }} {{ 'ab' is lower }} {{ n is callable }} {{ none is defined }} {{ n is ge(3) }} {{ n is lt 3 }}
{{ missing | default('x') }} {{ z | default('x') }} {{ '' | default('x', true) }} {{ missing | d }} {{ z | default('x', boolean=true) }}
{{ l | join(', ') }} {{ people | join('-', attribute='name') }} {{ l | first }} {{ l | last }} {{ e | first is defined }} {{ l | sort }} {{ l | sort(reverse=true) }} {{ people | map(attribute='name') | sort | list }} {{ l | reverse | list }} {{ 'abc' | reverse }} {{ l | max }} {{ l | min }} {{ l | sum }} {{ [1, 1, 2] | unique | list }} {{ ['a', 'A'] | unique | list }}
{{ people | selectattr('age') | map(attribute='name') | join(',') }} {{ people | selectattr('age', 'defined') | list | length }} {{ people | rejectattr('age', 'gt', 5) | map(attribute='name') | list if false }} {{ people | selectattr('name', 'equalto', 'Bo') | list }} {{ l | select('odd') | list }} {{ l | reject('eq', 1) | list }} {{ ['a', ''] | select | list }} {{ people | map(attribute='x.y', default=0) | list }} {{ none | selectattr('a') | list }} {{ z | map('upper') | list }} {{ ['a', 'b'] | map('upper') | join }} {{ [' a'] | map('trim') | list }}
{{ d | dictsort | list }} {{ {'b': 1, 'A': 2} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(true) }} {{ {'b': 1, 'a': 2} | dictsort(by='value', reverse=true) }} {{ {'a': 1} | items | list }} {{ d | length }} {{ d | list }}
{{ '3' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ 3.9 | int }} {{ '3.7' | int }} {{ '2.5' | float }} {{ 'x' | float(1.5) }} {{ -3 | abs }} {{ 2.5 | round }} {{ 3.5 | round }} {{ 2.1 | round(method='ceil') }} {{ n | string ~ 'x' }} {{ true | int }}
{{ 'a\\n\\nb' | indent }}|{{ 'a\\nb' | indent(2, true) }}|{{ 'a\\n\\nb' | indent(2, blank=true) }}|{{ 'a\\nb\\n' | indent('> ') }}|{{ '' | indent }}
{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for k in d.keys() %}{{ k }}{% endfor %}{% for k, v in d | items %}{{ k }}{% endfor %}{% for c in 'ab' %}{{ c }}-{% endfor %}
{% for x in l if x > 1 %}{{ x }}{{ loop.index }}{% else %}none{% endfor %}{% for x in e %}{{ x }}{% else %}none{% endfor %}{% for x in missing %}{% else %}no{% endfor %}
{% for x in range(5) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}{{ range(2, 10, 3) | list }}{{ range(3, 0, -1) | list }}{{ range(0) | list }}
{% set x = 0 %}{% for i in l %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}{% for i in l %}{% if loop.first %}{% set y = 1 %}{% endif %}{{ y }}{% endfor %}
{% set ns = namespace(a=1) %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.b is defined }}{% set ns.b = [1] %}{{ ns.b }}{% set ns2 = namespace({'q': 5}) %}{{ ns2.q }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d2) = (3, 4) %}{{ c }}{{ d2 }}{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}{{ a }}
{% set x %}a{{ n }}b{% endset %}{{ x }}{% set x | upper %}ab{% endset %}{{ x }}{% filter upper | replace('B', 'x') %}abc{{ n }}{% endfilter %}
{% macro m(a, b=2, c=none) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, c=3) }}{{ m() }}{{ m(b=1, a=0) }}{{ m is callable }}
{% macro f(x) %}{% if x > 0 %}{{ x }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(3) }}{% macro g() %}{{ later }}{% endmacro %}{% set later = 5 %}{{ g() }}
{% set x = 1 %}{% macro h() %}{% set x = 2 %}{{ x }}{% endmacro %}{{ h() }}{{ x }}{% if true %}{% set x = 9 %}{% endif %}{{ x }}{% with x = 3, y = 4 %}{{ x }}{{ y }}{% set x = 7 %}{% endwith %}{{ x }}
{{ d.get('b') }} {{ d.get('x') }} {{ d.get('x', 4) }} {{ items.items is callable }} {{ items['items'] }} {{ items.k }} {{ d.keys() | list }} {{ d.values() | list }} {{ d.x is defined }} {{ l.index(1) }} {{ l.count(3) }} {{ dict(a=1, b=2) }} {{ dict([('a', 1)]) }}
{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S %j %A %a %B %p %I %y %%') }} {{ strftime_now('%-d') }}
{% raw %}{{ n }} {% if %}{% endraw %} {%- raw -%}  x  {%- endraw %} {# a comment {{ n }} #}{#- b -#} y
{{ '<b>' | safe }} {{ 'a' | safe ~ '<' }} {{ ('a' | safe) is string }} {{ 'x' | safe | length }} {{ '<' + ('>' | safe) + '&\"' }} {{ ('<' | safe) + 'a' | safe }} {{ d | tojson | safe }}
{% generation %}a{{ n }}{% endgeneration %}{{ {'a': 1, 'b': [1, {}]} | tojson(indent=4) }}
{{ "\\u00e9\\x41\\n\\t\\\\ \\q \\'" }}{{ '\\101' }}
{{ people[0].name }} {{ people[1]['x']['y'] }} {{ people[-1].name }} {{ people | length > 2 }} {{ (people | first).name }} {{ people[0]['age'] + 1 }}
{{ l | map('string') | map('length') | sum }} {{ 'a' if l | length == 3 else 'b' }} {{ -l[0] }} {{ not l | length == 3 }} {{ 2 * 3 + 4 }} {{ 2 + 3 * 4 }} {{ 'a' ~ 1 * 2 ~ 3 }} {{ 10 - 2 - 3 }} {{ 2 ** 3 ** 2 }} {{ (1 + 2) * 3 }}
""".strip("\n").split("\n") + [
    "a\n{% if n %}\nb\n{% endif %}\nc\n", "  {% if n %}\n  b\n  {% endif %}\n", "a  {%- if n -%}  b  {%- endif -%}  c", "a\n  {%+ if n %}b{% endif +%}\n c",
    "x {{- n -}} y", " {{ n }} \n {# c #}\n d", "{# c #}\n\nx", "a\r\nb{% if n %}\r\nc{% endif %}\r\n", "a\n\n", "{%- set x = 1 -%}\n\n  {{ x }}\n", "{% for i in l -%}\n  {{ i }}\n{% endfor %}",
    "{% if n %}  {% endif %}|", "  {{ n }}{% if n %} {% endif %}", "\t{% set a = 1 %}\n\t{# #}x", "{{ '}}' }}{{ \"%}\" }}{{ {'a': {'b': 1}} }}", "a{#- x -#}\n b", "{{ n }}\n{% if n %}\n\n{% endif %}",
    "{{ l\n | join }}\n{{- 'x' }}",
]
FAILING = """
{{ missing.x }}
{{ missing + 1 }}
{{ missing() }}
{{ none | length }}
{{ 1 + 'a' }}
{{ 'a' < 1 }}
{{ l.append(1) }}
{{ d.update({'a': 1}) }}
{{ missing | tojson }}
{% for x in 5 %}{% endfor %}
{{ raise_exception('no') }}
{% include 'x' %}
{% if n %}
{{ n
{% endif %}
{{ n | nothing }}
{{ n is nothing }}
{{ range(1000000) }}
{% set n.x = 1 %}
{{ 1 // 0 }}
{% for a, b in [1] %}{% endfor %}
{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}
{% break %}
{{ ) }}
{{ 'a }}
{# a
{% set a, b = [1] %}
{{ ''.split('') }}
{{ [1] | tojson(indent=2, x=1) }}
{{ l | first(1) }}
{{ x y }}
{{ 'abc'.index('z') }}
""".strip("\n").split("\n")


def render(template, messages=(), tools=None, prompt=True, **others):
    try:
        chats, _ = utils.render_jinja_template([utils._normalize_chat_messages(list(messages))], tools=tools, chat_template=template, add_generation_prompt=prompt, **others)
        return {"text": chats[0]}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:200]}


def main(folder=HERE, output=None):
    cases = []
    names = sorted(name for name in os.listdir(folder) if name.endswith(".jinja"))
    for name in names:
        text = open(os.path.join(folder, name), encoding="utf-8", newline="").read()
        for chat, given in CHATS.items():
            for prompt in [True, False] if chat in ("turns", "ends", "calls") else [True]:
                found = render(text, given["messages"], given.get("tools"), prompt, **TOKENS, **given.get("others", {}))
                cases.append({"template": name, "chat": chat, "prompt": prompt, **found})
    snippets = [{"template": text, **render(text, **VALUES)} for text in SNIPPETS]
    failing = [{"template": text, **render(text, **VALUES)} for text in FAILING]
    assert all("text" in item for item in snippets), [item for item in snippets if "text" not in item]
    assert all("error" in item for item in failing), [item for item in failing if "error" not in item]
    result = {"clock": CLOCK, "tokens": TOKENS, "chats": CHATS, "values": VALUES, "cases": cases, "snippets": snippets, "failing": failing}
    with open(output or os.path.join(HERE, "rendered.json"), "w", encoding="utf-8") as file:
        json.dump(result, file, ensure_ascii=False, indent=0)
        file.write("\n")
    print(len(names), "templates,", len(cases), "cases,", sum("error" in case for case in cases), "refused")


main(*sys.argv[1:])
