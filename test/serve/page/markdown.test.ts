import { describe, expect, it } from "vitest";
import { type Block, blocksOf, type Stretch } from "../../../src/serve/page/markdown.js";
import { messagesOf } from "../../../src/serve/page/messages.js";
import { tokenBlocks } from "../../../src/serve/page/stretches.js";
import type { Token } from "../../../src/serve/page/tokens.js";

const TAGS = { text: "", mark: "m", strong: "b", emphasis: "i", both: "bi", code: "c" } as const;

/** A text with its blocks and styles written out; marks are left out. */
function shown(text: string): string[] {
  const piece = ({ style, start, end }: Stretch) => {
    const part = text.slice(start, end);
    return style === "mark" ? "" : style === "text" ? part : `<${TAGS[style]}>${part}</${TAGS[style]}>`;
  };
  return blocksOf(text).map(({ kind, level, value, stretches }: Block) => {
    const number = value === undefined ? "" : ` ${value}`;
    return `${kind}${level > 0 ? level : ""}${number}: ${stretches.map(piece).join("")}`;
  });
}

describe("blocksOf", () => {
  it("finds paragraphs, headings, lists, rules and code", () => {
    expect(shown("One\ntwo\n\nThree\n")).toEqual(["paragraph: One\ntwo", "paragraph: Three"]);
    expect(shown("# A\n### B *c*\ntext")).toEqual(["heading1: A", "heading3: B <i>c</i>", "paragraph: text"]);
    expect(shown("List:\n- a\n- b\n  more\n    * c\n- d\n\n2. e\n3) f")).toEqual([
      ...[
        "paragraph: List:",
        "bullet: a",
        "bullet: b\n  more",
        "bullet1: c",
        "bullet: d",
        "number 2: e",
        "number 3: f",
      ],
    ]);
    expect(shown("a\n---\nb\n***")).toEqual(["paragraph: a", "rule: ", "paragraph: b", "rule: "]);
    expect(shown("```ts\nconst a = `b`;\n\n# no\n```\nafter")).toEqual([
      "code: <c>const a = `b`;\n\n# no</c>",
      "paragraph: after",
    ]);
    expect(shown("~~~\n```\n~~~")).toEqual(["code: <c>```</c>"]);
    expect(shown("```\nunfinished\n")).toEqual(["code: <c>unfinished\n</c>"]);
  });

  it("finds bold, italic and code within a block", () => {
    for (const [text, wanted] of [
      ["a **b c** d", "a <b>b c</b> d"],
      ["*a* _b_ __c__", "<i>a</i> <i>b</i> <b>c</b>"],
      ["***both*** **a *b* c**", "<bi>both</bi> <b>a </b><bi>b</bi><b> c</b>"],
      ["`a*b*` ``c`d``", "<c>a*b*</c> <c>c`d</c>"],
      ["2 * 3 * 4, snake_case_name, **open", "2 * 3 * 4, snake_case_name, **open"],
      ["*a **b* c", "<i>a **b</i> c"],
      ["`open and \\*escaped\\*", "`open and *escaped*"],
      ["<b onclick=x>&amp;</b>", "<b onclick=x>&amp;</b>"],
    ]) {
      expect(shown(text)).toEqual([`paragraph: ${wanted}`]);
    }
  });

  it("loses no character of any text", () => {
    const parts = [
      "*",
      "**",
      "_",
      "`",
      "```",
      "\n",
      "\n\n",
      "- ",
      "1. ",
      "# ",
      "a",
      " ",
      "    ",
      "\\",
      "~~~",
      "---",
      "é",
    ];
    let state = 7;
    const draw = () => {
      state = (state * 48271) % 2147483647;
      return parts[state % parts.length];
    };
    for (let round = 0; round < 2000; round++) {
      const text = Array.from({ length: 1 + (round % 40) }, draw).join("");
      const stretches = blocksOf(text).flatMap((block) => block.stretches);
      expect(stretches.map(({ start, end }) => text.slice(start, end)).join("")).toBe(text);
      for (const [i, { start, end }] of stretches.entries()) {
        expect(end).toBeGreaterThan(start);
        expect(start).toBe(i === 0 ? 0 : stretches[i - 1].end);
      }
    }
  });
});

const token = (id: number): Token => ({ id, bytes: [], logprob: 0, ends: false, top: [] });

describe("tokenBlocks", () => {
  it("keeps every token, in parts where the style changes", () => {
    const texts = ["", "Say", " **", "hi** th", "", "ere", "\n\n-", " x", ""];
    const tokens = texts.map((_, i) => token(i));
    const pieces = (isMarkdown: boolean) =>
      tokenBlocks(tokens, texts, isMarkdown).map(({ kind, runs }) => [
        kind,
        ...runs.map((run) => `${run.style} ${run.pieces.map(({ i, text }) => `${i}:${text}`).join("|")}`),
      ]);
    expect(pieces(false)).toEqual([["plain", `text ${texts.map((text, i) => `${i}:${text}`).join("|")}`]]);
    expect(pieces(true)).toEqual([
      ["paragraph", "text 0:|1:Say|2: ", "mark 2:**", "strong 3:hi", "mark 3:**", "text 3: th|4:|5:ere", "mark 6:\n\n"],
      ["bullet", "mark 6:-|7: ", "text 7:x|8:"],
    ]);
    expect(tokenBlocks([token(0)], [""], true)).toMatchObject([{ kind: "plain", runs: [{ pieces: [{ i: 0 }] }] }]);
  });
});

describe("messagesOf", () => {
  it("leaves out answers that broke before their first word", () => {
    const turns = [
      { role: "user", text: "a" },
      { role: "assistant", text: "", isBroken: true },
      { role: "user", text: "b" },
      { role: "assistant", text: "half", isBroken: true },
      { role: "user", text: "c" },
      { role: "assistant", text: "" },
    ] as const;
    expect(messagesOf(turns)).toEqual([
      { role: "user", content: "a\n\nb" },
      { role: "assistant", content: "half" },
      { role: "user", content: "c" },
      { role: "assistant", content: "" },
    ]);
  });
});
