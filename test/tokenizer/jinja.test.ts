import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { renderer } from "../../src/tokenizer/chat/chat.js";
import {
  CHAT_TEMPLATE,
  compileTemplate,
  TemplateFailure,
  type TemplateOptions,
} from "../../src/tokenizer/chat/jinja/index.js";
import { type ChatMessage, renderChat, Tokenizer, trainTokenizer } from "../../src/tokenizer/index.js";

const fixture = (name: string) => JSON.parse(readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8"));

interface Case {
  readonly template: string;
  readonly env?: "plain" | "strict" | "chain";
  readonly variables?: Record<string, unknown>;
  /** Output of jinja2; absent if it raises an error. */
  readonly text?: string;
}

const ENVIRONMENTS: Readonly<Record<string, TemplateOptions>> = {
  chat: CHAT_TEMPLATE,
  plain: {},
  strict: { undefined: "strict", keepTrailingNewline: true },
  chain: { undefined: "chainable" },
};

/** Errors for constructs that jinja2 renders, but Quern does not support. */
const UNSUPPORTED =
  / is not supported|cannot be assigned|is not a valid name|is not closed|needs a str|with a slice|has no attribute/;

const render = (template: string, variables: Record<string, unknown> = {}) =>
  compileTemplate(template, CHAT_TEMPLATE).render(variables).text;

describe("templates", () => {
  const { variables, cases } = fixture("jinja.json") as { variables: Record<string, unknown>; cases: readonly Case[] };

  it("render as jinja2 does, or fail as unsupported", () => {
    const wrong: unknown[] = [];
    let rendered = 0;
    for (const { template, env = "chat", variables: own, text } of cases) {
      try {
        const got = compileTemplate(template, ENVIRONMENTS[env]).render(own ?? variables).text;
        if (got === text) rendered++;
        else wrong.push({ template, env, text, got });
      } catch (error) {
        if (!(error instanceof TemplateFailure)) throw error;
        expect(error.line).toBeGreaterThan(0);
        if (text !== undefined && !UNSUPPORTED.test(error.message))
          wrong.push({ template, env, text, error: error.message });
      }
    }
    expect(wrong).toEqual([]);
    const known = cases.filter(({ text }) => text !== undefined).length;
    expect(known - rendered).toBeLessThan(known * 0.03);
  });

  it("report the line and the unsupported construct", () => {
    const failure = (template: string) => {
      try {
        render(template);
      } catch (error) {
        return error as TemplateFailure;
      }
      throw new Error("it rendered");
    };
    expect(failure("a\n{% include 'x' %}")).toMatchObject({
      line: 2,
      message: expect.stringMatching(/include.*not supported/),
    });
    expect(failure("a\n\n{{ [1]|random }}")).toMatchObject({
      line: 3,
      message: expect.stringMatching(/filter random/),
    });
    expect(failure("{% if x %}\n{{ x.y }}{% endif %}{{ x.y }}")).toMatchObject({
      line: 2,
      message: "'x' is undefined",
    });
    expect(failure("{% for x in [1] %}\n{{ x")).toMatchObject({ line: 2 });
    expect(failure("{{ 'a' if }}")).toMatchObject({ line: 1 });
    expect(failure("{{ x|upper2 }}").message).toMatch(/No filter named 'upper2'/);
  });

  it("have limits of time, memory and depth", () => {
    const limits: [string, RegExp][] = [
      ["{% for x in range(1000000000) %}{% endfor %}", /Range too big/],
      ["{{ range(100000)|list|length }}{{ 'x' * 1000000000 }}", /too long/],
      ["{{ [1] * 1000000000 }}", /too long/],
      ["{{ 'x'.center(10 ** 12) }}", /too long/],
      ["{{ '%999999999s' % 'x' }}", /too long/],
      ["{{ '{:999999999}'.format('x') }}", /too long/],
      [
        "{% set ns = namespace(x='xx') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        /too long|million steps/,
      ],
      ["{% set l = range(99999)|list %}{% for i in l %}{{ i in l }}{% endfor %}", /million steps/],
      ["{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", /deep/],
      ["{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", /deep/],
      ["{{ 2 ** 999999999 }}", /bits/],
      [`{{ ${"(".repeat(20000)}1${")".repeat(20000)} }}`, /deep/],
      [`{{ ${"not ".repeat(20000)} x }}`, /deep/],
      [`${"{% if x %}".repeat(20000)}`, /deep/],
      [`{{ ${"-".repeat(20000)}1 }}`, /deep/],
    ];
    for (const [template, message] of limits) expect(() => render(template), template.slice(0, 60)).toThrow(message);
    const wide = " ".repeat(300_000);
    expect(
      render(
        `${`${wide}x`.repeat(2)}{%- if true %}{{ s|trim|length }}{{ s.split()|length }}{{ s.rsplit('y')|length }}{% endif %}`,
        { s: `a${wide}b` },
      ).length,
    ).toBe(600_002 + 8);
    let deep: unknown = 1;
    for (let i = 0; i < 2000; i++) deep = [deep];
    expect(() => render("{{ x }}", { x: deep })).toThrow(/deep/);
  });

  it("render long conversations within the limits", () => {
    const messages = Array.from({ length: 20000 }, (_, i) => ({
      role: i % 2 === 0 ? "user" : "assistant",
      content: "x",
    }));
    const template =
      "{% for m in messages %}{% if loop.index0 == messages|length - 1 or messages[loop.index0 - 1].role == m.role %}!{% endif %}" +
      "{{ '<' + m.role + '>' + m.content|trim }}{% endfor %}";
    expect(render(template, { messages }).length).toBe(20000 * 9.5 + 1);
  });

  it("give no access to JavaScript's properties", () => {
    const names = [
      "constructor",
      "__proto__",
      "prototype",
      "toString",
      "hasOwnProperty",
      "length",
      "valueOf",
      "__class__",
      "caller",
    ];
    const values = { d: { a: 1 }, l: [1], s: "x", n: 1, b: true, no: null };
    for (const name of names) {
      for (const value of ["d", "l", "s", "n", "b", "d.items()", "range(2)", "namespace(a=1)", "range", "dict"]) {
        expect(render(`{{ (${value}).${name} is defined }}{{ (${value})['${name}'] is defined }}`, values)).toBe(
          "FalseFalse",
        );
      }
      expect(render(`{{ ${name} is defined }}`, values)).toBe("False");
    }
    expect(render("{{ d.constructor }}", { d: JSON.parse('{"constructor": 7, "__proto__": 8}') })).toBe("7");
    expect(() => render("{{ 1|constructor }}")).toThrow(/No filter/);
    expect(() => render("{{ 1 is toString }}")).toThrow(/No test/);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it("accept JSON-compatible values", () => {
    expect(render("{{ x }}", { x: { a: [1, 2.5, null, true], b: undefined } })).toBe("{'a': [1, 2.5, None, True]}");
    expect(render("{{ x }}", { x: new Map([[1, 2n ** 70n]]) })).toBe("{1: 1180591620717411303424}");
    expect(() => render("{{ x }}", { x: 2 ** 60 })).toThrow(/too large to be exact/);
    expect(() => render("{{ x }}", { x: () => 1 })).toThrow(/cannot be passed/);
    expect(render("{{ x is defined }}{{ y is defined }}", { x: undefined, y: null })).toBe("FalseTrue");
  });

  it("use the given time", () => {
    const now = () => new Date(2024, 1, 9, 3, 5, 7);
    const shown = compileTemplate("{{ strftime_now('%d %b %Y|%-d/%m/%y %H:%M:%S %j %A %B %I %p %%') }}", {
      ...CHAT_TEMPLATE,
      now,
    });
    expect(shown.render({}).text).toBe("09 Feb 2024|9/02/24 03:05:07 040 Friday February 03 AM %");
    expect(() => render("{{ strftime_now('%c') }}")).toThrow(/not supported/);
  });

  it("mark the text of generation blocks", () => {
    const template = compileTemplate(
      "{% for m in ms %}{{ m }}:{% generation %}\n{{ m }}!{% endgeneration %}\n\n{% endfor %}",
      CHAT_TEMPLATE,
    );
    const { text, generated, isTraceable } = template.render({ ms: ["😀", "b"] });
    expect(text).toBe("😀:😀!\nb:b!\n");
    expect(generated.map(({ start, end }) => text.slice(start, end))).toEqual(["😀!", "b!"]);
    expect(isTraceable).toBe(true);
    const captured = compileTemplate(
      "{% macro f() %}{% generation %}x{% endgeneration %}{% endmacro %}{{ f() }}",
      CHAT_TEMPLATE,
    );
    expect(captured.render({})).toMatchObject({ text: "x", isTraceable: false });
  });
});

/** The folder of trl's templates (PyPI's package trl, chat_templates); the repository has no copy of them. */
const TRL = process.env.QUERN_TRL_TEMPLATES ?? "";

describe.skipIf(!existsSync(TRL))("trl's chat templates", () => {
  it("render as in transformers, with the same generation spans", async () => {
    const { tokens, conversations, options, templates } = fixture("chat-templates.json");
    const { parts } = await trainTokenizer(["hello"], { vocabSize: 257 });
    const wrong: unknown[] = [];
    for (const [file, { sha256, renderings }] of Object.entries<{ sha256: string; renderings: readonly unknown[] }>(
      templates,
    )) {
      const source = readFileSync(join(TRL, file), "utf8");
      expect(digest(source), `${file} is from another version of trl`).toBe(sha256);
      const tokenizer = new Tokenizer({ ...parts, config: { ...tokens, chat_template: source } });
      let at = 0;
      for (const messages of conversations as ChatMessage[][]) {
        for (const { add_generation_prompt, tools, documents, continue_final_message, ...variables } of options) {
          const expected = renderings[at++] as [number, string, number[]?] | null;
          const chosen = { addGenerationPrompt: add_generation_prompt, tools, documents, variables };
          let got: unknown = null;
          try {
            if (continue_final_message) {
              const text = await renderChat(tokenizer, messages, { ...chosen, continueFinalMessage: true });
              got = [Array.from(text).length, digest(text)];
            } else {
              const { text, generated } = (await renderer(tokenizer, chosen))(messages, add_generation_prompt ?? false);
              const spans = generated.flatMap(({ start, end }) => [start, end]);
              got = [Array.from(text).length, digest(text), ...(spans.length > 0 ? [spans] : [])];
            }
          } catch {}
          // The output of a template with the current time differs from the fixture's.
          if (JSON.stringify(got) !== JSON.stringify(expected) && !source.includes("strftime_now"))
            wrong.push({ file, at, got, expected });
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
