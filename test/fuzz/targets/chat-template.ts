/** @file Chat templates: Jinja, changed word by word, rendered with messages, tools and the mask of the assistant's words. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CHAT_TEMPLATE, compileTemplate } from "../../../src/tokenizer/chat/jinja/index.js";
import { encodeChat, renderChat, Tokenizer, trainTokenizer } from "../../../src/tokenizer/index.js";
import { type Json, jsonText, mutateJson, mutateText, NUMBERS, several } from "../mutations.js";
import type { Random } from "../random.js";
import { fixtureJson } from "../seeds.js";
import type { Target } from "../target.js";

const TEMPLATES = [
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
  "{%- set ns = namespace(found=false, n=0) -%}{%- for m in messages[::-1] -%}{%- if not ns.found and m.role == 'user' -%}{%- set ns.found = true -%}{%- set ns.n = loop.index0 -%}{%- endif -%}{%- endfor -%}{%- for m in messages -%}[{{ m.role | upper }}] {{ m.content or '' }}{{ loop.index ~ '/' ~ loop.length }}{%- endfor -%}{{ ns.n }}",
  "{% macro show(x, depth=0) %}{% if x is mapping %}{% for k, v in x.items() %}{{ ' ' * depth }}{{ k }}: {{ show(v, depth + 1) }}{% endfor %}{% elif x is iterable and x is not string %}{{ x | map('string') | join(', ') }}{% else %}{{ x | tojson(indent=2) }}{% endif %}{% endmacro %}{{ show(messages) }}",
  "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages if m.role != 'system' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}none{% endfor %}{{ raise_exception('no') if messages | length > 9 else '' }}",
  "{{ bos_token }}{% set x = messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list %}{{ x | first | default('?') | replace('a', 'b') | indent(2) }}{{ range(3) | list }}{{ strftime_now('%Y') }}{{ '%05d|%s' % (3, 'a') }}{{ '{:>10}'.format('a') }}{{ 'a,b'.split(',')[0:2] }}",
];
const WORDS = [
  ..."{{ }} {% %} {%- -%} {# #} for in if else elif endif endfor set endset macro endmacro call endcall filter endfilter raw endraw".split(
    " ",
  ),
  ..."and or not is is-not ( ) [ ] { } , . | ~ + - * / // % ** == != < > <= >= = : '' 'a' \"b\" 1 0 -1 1.5 1e9 none true messages".split(
    " ",
  ),
  ..."loop.index loop.cycle(1,2) range(1000000000) |length |join |sort |groupby('role') |batch(2) |tojson |string |int |float |list".split(
    " ",
  ),
  ..."|map(attribute='role') |selectattr('role') |reject('none') |dictsort |unique |center(2000000000) |format(1) |xmlattr |wordwrap(1)".split(
    " ",
  ),
  ..."namespace() caller() self super() loop({}) **x *x x.__class__ .format(1) [::-1] [::0] 'a'*1000000000 9**9**9 joiner() cycler(1)".split(
    " ",
  ),
  ..."recursive include import extends block endblock break continue do generation endgeneration autoescape trans".split(
    " ",
  ),
];
const MESSAGES: Json = [
  { role: "system", content: "Be kind." },
  { role: "user", content: [{ type: "text", text: "Hi <b>" }, { type: "image" }] },
  {
    role: "assistant",
    content: "Yes\n",
    tool_calls: [{ function: { name: "f", arguments: { a: 1, b: [true, null, 1.5] } } }],
  },
  { role: "tool", content: "20" },
  { role: "assistant", content: "A long answer. ".repeat(20) },
];

/** A change that mostly leaves a template that can be parsed: inside of an expression. */
function mutateTemplate(text: string, random: Random): string {
  if (random.chance(0.08)) return mutateText(text, random, WORDS);
  const operands = [
    ...text.matchAll(/'[^']*'|\b\d+\b|\b(?!for|in|if|else|elif|end\w+|set|macro|is|not|and|or|generation)[a-z_]\w*\b/g),
  ];
  if (operands.length === 0) return text;
  const one = random.pick(operands);
  const other = random.oneOf<string>(
    () => random.pick(operands)[0],
    () => String(random.pick(NUMBERS)),
    () =>
      random.pick([
        "none",
        "true",
        "[]",
        "{}",
        "()",
        "messages",
        "tools",
        "undefined_name",
        "loop",
        "'x' * 10000",
        "range(5)",
        "namespace()",
        "(1, 2)",
        "1e400",
        "-1",
        "''",
        "lipsum",
        "dict(a=1)",
      ]),
    () =>
      `(${one[0]} ${random.pick(["+", "-", "*", "/", "//", "%", "**", "~", "<", "==", "in", "and", "or", "not in"])} ${random.pick(operands)[0]})`,
    () =>
      `${one[0]}${random.pick(["|length", "|trim", "|tojson", "|join('x')", "|sort", "|int", "|list", "|first", "|string", ".items()", "[0]", "[::-1]", "|groupby('a')", "|batch(0)", "|round(400)", "|indent(1000000)", ".split('')", "|center(100000000)", "|reverse", "|sum", "|unique", ".join(messages)"])}`,
    () => `(${one[0]} if ${random.pick(operands)[0]} else ${random.pick(operands)[0]})`,
  );
  return text.slice(0, one.index) + other + text.slice(one.index + one[0].length);
}

function canBeParsed(template: string): boolean {
  try {
    compileTemplate(template, CHAT_TEMPLATE);
    return true;
  } catch {
    return false;
  }
}

export async function open(): Promise<Target> {
  const { cases } = fixtureJson("tokenizer/fixtures/jinja.json") as { cases: { template: string }[] };
  const base = await trainTokenizer(["some text to train on"], { vocabSize: 260 });
  return {
    make(random) {
      let template = random.chance(0.5) ? random.pick(TEMPLATES) : random.pick(cases).template;
      const before = template;
      const mutated = () => several(before, random, (text) => mutateTemplate(text, random));
      template = mutated();
      // Most words are wrong in most places; of those that cannot be parsed, half are enough.
      if (!canBeParsed(template) && random.chance(0.5)) template = mutated();
      // One of several lines more often parses than one long line: what is sound stands first.
      if (random.chance(0.3)) template = `${before}\n${template}`;
      const messages = random.chance(0.4) ? mutateJson(MESSAGES, random) : MESSAGES;
      return { "chat_template.jinja": template.slice(0, 100_000), "messages.json": jsonText(messages, random) };
    },
    async read(folder, reached) {
      const template = readFileSync(join(folder, "chat_template.jinja"), "utf8");
      if (canBeParsed(template)) reached();
      const tokenizer = new Tokenizer({ ...base.parts, config: { chat_template: template, bos_token: "<s>" } });
      let messages: never;
      try {
        messages = JSON.parse(readFileSync(join(folder, "messages.json"), "utf8")) as never;
      } catch {
        return;
      }
      const tools = [{ type: "function", function: { name: "f", parameters: { a: 1 } } }];
      for (const work of [
        () => renderChat(tokenizer, messages, { tools, addGenerationPrompt: true }),
        () => renderChat(tokenizer, messages, { continueFinalMessage: true }),
        () => encodeChat(tokenizer, messages),
      ]) {
        await work().catch((error: unknown) => {
          if ((error as Error)?.name !== "QuernError") throw error;
        });
      }
    },
  };
}
