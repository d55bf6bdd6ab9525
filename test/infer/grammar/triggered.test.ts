import { describe, expect, it } from "vitest";
import {
  type CompiledConstraint,
  compileParts,
  compileTriggered,
  type PartVocabulary,
  type TextPart,
} from "../../../src/infer/index.js";

const END = 0;
const MARK = 1;
/** Single letters, tokens that cross the parts, an end of text and a special token `<|call|>`. */
const TOKENS = [
  ...'<>/abc{}"12 \n[],:',
  "<t>",
  "</t>",
  ">{",
  "</",
  "t>",
  "ab",
  "{1",
  "1}",
  "<t>{",
  "a<t>",
  "x<t>y",
  "t",
];
const encoder = new TextEncoder();
const vocabulary: PartVocabulary = {
  size: TOKENS.length + 5, // three rows of padding
  endOfText: [END],
  tokenBytes: [undefined, undefined, ...TOKENS.map((text) => encoder.encode(text)), undefined, undefined, undefined],
  special: new Map([
    ["<|end|>", END],
    ["<|call|>", MARK],
  ]),
};
const textOf = (id: number) => (id === MARK ? "<|call|>" : id === END ? "" : (TOKENS[id - 2] ?? ""));
const idsOf = (...texts: readonly string[]) =>
  texts.map((text) => (text === "<|call|>" ? MARK : TOKENS.indexOf(text) + 2));

const literal = (text: string): TextPart => ({ type: "literal", text });
const sequence = (...parts: TextPart[]): TextPart => ({ type: "sequence", parts });
/** A document that is `{1…}` with one or more digits. Its parts are fixed text too, so no token crosses them. */
const digits: TextPart = {
  type: "repeat",
  part: { type: "choice", parts: [literal("1"), literal("2")] },
  separator: "",
};
const document: CompiledConstraint = compileParts(sequence(literal("{"), digits, literal("}")), vocabulary);
const call = sequence(literal("<t>"), { type: "document", constraint: document }, literal("</t>"));

const allowed = (mask: Uint32Array) =>
  Array.from({ length: vocabulary.size }, (_, id) => id).filter((id) => (mask[id >> 5] >>> (id & 31)) & 1);

/** Walks at random, seeded, along what the masks allow, and completes the text after some tokens. */
function walk(compiled: CompiledConstraint, seed: number, most: number): string {
  const constraint = compiled.open();
  let state = seed;
  let text = "";
  for (let i = 0; i < most; i++) {
    const ids = allowed(constraint.mask());
    expect(ids.length).toBeGreaterThan(0);
    expect(ids.includes(END)).toBe(constraint.isComplete);
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    const id = ids[(state >>> 8) % ids.length];
    if (id === END) return text;
    constraint.accept(id);
    text += textOf(id);
  }
  for (const id of constraint.shortestCompletion()) {
    expect(allowed(constraint.mask())).toContain(id);
    constraint.accept(id);
    text += textOf(id);
  }
  expect(constraint.isComplete).toBe(true);
  return text;
}

describe("compileParts", () => {
  it("allows exactly the texts of its parts", () => {
    const calls = compileParts({ type: "repeat", part: call, separator: "\n" }, vocabulary);
    const seen = new Set<string>();
    for (let seed = 1; seed < 200; seed++) {
      const text = walk(calls, seed, seed % 30);
      expect(text).toMatch(/^<t>\{[12]+\}<\/t>(\n<t>\{[12]+\}<\/t>)*$/);
      seen.add(text);
    }
    expect(seen.size).toBeGreaterThan(50);
  });

  it("chooses between parts, and completes with the shortest", () => {
    const part: TextPart = { type: "choice", parts: [call, literal("ab"), literal("abc")] };
    const compiled = compileParts(part, vocabulary);
    for (let seed = 1; seed < 60; seed++) expect(walk(compiled, seed, 20)).toMatch(/^(ab|abc|<t>\{[12]+\}<\/t>)$/);
    expect(compiled.open().shortestCompletion()).toEqual(idsOf("ab"));
  });

  it("writes fixed text that is a special token as this token", () => {
    const constraint = compileParts(sequence(literal("a<|call|>b")), vocabulary).open();
    expect(allowed(constraint.mask())).toEqual(idsOf("a"));
    constraint.accept(idsOf("a")[0]);
    expect(allowed(constraint.mask())).toEqual([MARK]);
    expect(constraint.shortestCompletion()).toEqual(idsOf("<|call|>", "b"));
  });

  it("takes any text until its mark, which no token crosses", () => {
    const compiled = compileParts(sequence(literal("ab"), { type: "until", end: "</t>" }, literal("c")), vocabulary);
    for (let seed = 1; seed < 100; seed++) {
      const text = walk(compiled, seed, 40);
      expect(text.startsWith("ab") && text.endsWith("</t>c")).toBe(true);
      expect(text.indexOf("</t>")).toBe(text.length - 5);
    }
  });
});

describe("compileTriggered", () => {
  const compiled = compileTriggered(["<t>"], { type: "document", constraint: document }, vocabulary);

  it("leaves the text free until the trigger", () => {
    const constraint = compiled.open();
    expect(constraint.isComplete).toBe(true);
    // All tokens but those that go on after the trigger; padding and special tokens are free too.
    const free = allowed(constraint.mask());
    expect(vocabulary.size - free.length).toBe(2);
    for (const id of idsOf("<t>{", "x<t>y")) expect(free).not.toContain(id);
    for (const id of idsOf("a", "<")) constraint.accept(id);
    expect(allowed(constraint.mask())).toContain(idsOf("t>")[0]);
    constraint.accept(idsOf("t")[0]);
    const last = allowed(constraint.mask());
    expect(last).toContain(idsOf(">")[0]);
    expect(last).not.toContain(idsOf(">{")[0]);
    constraint.accept(idsOf(">")[0]);
    expect(allowed(constraint.mask()).sort()).toEqual(idsOf("{").sort());
    expect(constraint.isComplete).toBe(false);
    expect(constraint.shortestCompletion().map(textOf).join("")).toBe("{1}");
  });

  it("finds a trigger within a token", () => {
    const constraint = compiled.open();
    constraint.accept(idsOf("a<t>")[0]);
    expect(constraint.isComplete).toBe(false);
  });

  it("holds every text to its parts after the trigger", () => {
    let triggered = 0;
    for (let seed = 1; seed < 300; seed++) {
      const text = walk(compiled, seed, 60);
      const at = text.indexOf("<t>");
      if (at < 0) continue;
      triggered += 1;
      expect(text.slice(at)).toMatch(/^<t>\{[12]+\}$/);
    }
    expect(triggered).toBeGreaterThan(20);
  });
});
