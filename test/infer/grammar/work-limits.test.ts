import { describe, expect, it } from "vitest";
import { compileJsonSchema } from "../../../src/infer/grammar/index.js";
import { WorkMeter } from "../../../src/infer/grammar/work-meter.js";
import { smallVocabulary } from "./vocabulary.js";

const vocabulary = smallVocabulary();
const list = <T>(count: number, of: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => of(i));
const nested = (levels: number, wrap: (inner: object) => object): object =>
  list(levels, (i) => i).reduce<object>((inner) => wrap(inner), { type: "null" });

/** Schemas that would take minutes or all memory without a limit, with what is said of them. */
const REFUSED: readonly (readonly [name: string, schema: unknown, reason: string])[] = [
  [
    "patterns that count to different numbers",
    { type: "string", minLength: 1, allOf: [7, 11, 13, 17, 19, 23, 29].map((n) => ({ pattern: `^(.{${n}})*$` })) },
    "automaton states",
  ],
  [
    "an allOf of many oneOf",
    { allOf: list(4, (i) => ({ oneOf: list(5, (j) => ({ properties: { [`p${i}`]: { const: j } } })) })) },
    "combinations",
  ],
  [
    "not in allOf in not",
    list(20, (i) => i).reduce<object>((x) => ({ not: { allOf: [x, { not: x }, { properties: { a: x } }] } }), {
      minimum: 2,
    }),
    "combinations",
  ],
  ["a huge minItems", { type: "array", minItems: 1e9 }, "minItems"],
  ["items in items", nested(5, (items) => ({ type: "array", minItems: 100, items })), "at least 50202020201 bytes"],
  ["a long counted repetition", { type: "string", pattern: "^((ab){1000}){1000}$" }, "at least 2000002 bytes"],
  ["deep nesting", nested(5000, (not) => ({ not })), "levels deep"],
  ["large numbers of properties", { type: "object", minProperties: 1e6 }, "minProperties"],
];

/** Schemas that look as bad, but are small. */
const ALLOWED: readonly (readonly [name: string, schema: unknown])[] = [
  ["nested counts", { type: "string", pattern: "^(a{1,1000}){1,1000}$" }],
  ["patterns in any order", { type: "string", allOf: [..."abcdefgh"].map((unit) => ({ pattern: `${unit}.*\\d` })) }],
  [
    "patterns that exclude each other",
    { anyOf: [{ type: "null" }, { allOf: [..."abcdefgh"].map((unit) => ({ pattern: `^${unit}|${unit}$` })) }] },
  ],
  [
    "a pattern that V8 backtracks on",
    { patternProperties: { "^(a+)+$": true }, properties: { [`${"a".repeat(40)}!`]: {} } },
  ],
  ["a long enum", { enum: list(5000, (i) => `value ${i}`) }],
  [
    "many properties",
    { type: "object", properties: Object.fromEntries(list(1000, (i) => [`name${i}`, { type: "integer" }])) },
  ],
  ["a huge maximum", { type: "array", maxItems: 1e9, items: { type: "string", maxLength: 1e9 } }],
  ["a reference to itself", { $ref: "#/$defs/a", $defs: { a: { anyOf: [{ $ref: "#/$defs/a" }, { type: "null" }] } } }],
  [
    "chained references",
    {
      $ref: "#/$defs/d0",
      $defs: Object.fromEntries(
        list(500, (i) => [`d${i}`, { properties: { n: { $ref: `#/$defs/d${(i + 1) % 500}` } } }]),
      ),
    },
  ],
];

describe("the work on a schema", () => {
  it.each(REFUSED.map(([name], i) => [name, i] as const))("%s: refused, and the message says why", (_, i) => {
    const [, schema, reason] = REFUSED[i];
    expect(() => compileJsonSchema(schema, vocabulary)).toThrow(
      expect.objectContaining({ name: "QuernError", exitCode: 2, message: expect.stringContaining(reason) }),
    );
    // The limit of one schema says nothing about the next.
    expect(compileJsonSchema({ type: "null" }, vocabulary).open().shortestCompletion()).toHaveLength(1);
  });

  it.each(ALLOWED.map(([name], i) => [name, i] as const))("%s: allowed", (_, i) => {
    const [, schema] = ALLOWED[i];
    const open = compileJsonSchema(schema, vocabulary).open();
    for (const id of open.shortestCompletion()) {
      expect((open.mask()[id >> 5] >>> (id & 31)) & 1).toBe(1);
      open.accept(id);
    }
    expect(open.isComplete).toBe(true);
  });
});

describe("WorkMeter", () => {
  it("names what took the most work, and counts anew for each task", () => {
    const meter = new WorkMeter();
    const subject = () => "the schema";
    expect(() =>
      meter.limit(10, subject, () => {
        meter.spend("cases", 2);
        meter.spend("values", 9);
      }),
    ).toThrow("the schema is too complex: it has too many values");
    meter.limit(10, subject, () => meter.spend("values", 10));
    meter.spend("values", 1e9); // not limited outside
  });

  it("turns a full stack into an error of the schema", () => {
    const deep = (n: number): number => 1 + deep(n + 1);
    expect(() =>
      new WorkMeter().limit(
        10,
        () => "the schema",
        () => deep(0),
      ),
    ).toThrow("nests too deeply");
  });
});
