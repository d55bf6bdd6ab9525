import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { compileJsonSchema, vocabularyOf } from "../../../src/infer/grammar/index.js";

/** One token for each byte, so that the fewest tokens are the fewest bytes. */
const vocabulary = vocabularyOf(
  Array.from({ length: 257 }, (_, byte) => (byte < 256 ? Uint8Array.of(byte) : undefined)),
  [256],
);
const ajv = new Ajv2020({ strict: false });

const NAMES = ["a", "b", "ab", "ba", "ca"];
const VALUES = ["0", "12", '"x"', "true", "null"];
const ITEMS = ["0", "1", "6", "12", '"x"', "true"];

/** All objects of up to three of the names, and all arrays of up to three of the items, as JSON. */
function* documents(): Generator<string> {
  function* objects(from: number, properties: string[]): Generator<string> {
    yield `{${properties.join()}}`;
    if (properties.length === 3) return;
    for (let i = from; i < NAMES.length; i++)
      for (const value of VALUES) yield* objects(i + 1, [...properties, `"${NAMES[i]}":${value}`]);
  }
  function* arrays(items: string[]): Generator<string> {
    yield `[${items.join()}]`;
    if (items.length < 3) for (const item of ITEMS) yield* arrays([...items, item]);
  }
  yield* objects(0, []);
  yield* arrays([]);
}
const ALL = [...documents()].sort((a, b) => a.length - b.length).map(orders);

const names = { type: "string", enum: NAMES };
const values = { enum: VALUES.map((value) => JSON.parse(value)) };
const object = { type: "object", propertyNames: names, additionalProperties: values };
const without = (unit: string) => ({ not: { propertyNames: { not: { pattern: unit } } } });
const items = { type: "array", items: { enum: ITEMS.map((item) => JSON.parse(item)) }, maxItems: 3 };

const SCHEMAS: readonly object[] = [
  { ...object, minProperties: 1 },
  { ...object, minProperties: 3 },
  // One name can prove both: these were refused, or completed with two properties.
  { ...object, allOf: [without("a"), without("b")], maxProperties: 1 },
  { ...object, allOf: [without("a"), without("b"), without("c")], maxProperties: 2 },
  { ...object, allOf: [without("a"), without("b")], maxProperties: 1, required: ["ba"] },
  { ...object, allOf: [without("c"), without("b")], maxProperties: 2, minProperties: 2 },
  { ...object, not: { additionalProperties: { type: "integer" } }, maxProperties: 1 },
  {
    ...object,
    allOf: [
      { not: { additionalProperties: { type: "integer" } } },
      { not: { additionalProperties: { type: "string" } } },
    ],
  },
  { ...object, not: { patternProperties: { a: { type: "boolean" } } }, minProperties: 2, required: ["b"] },
  // A short name may have a long value.
  { ...object, properties: { a: { const: "x" }, b: { const: true }, ab: { const: 0 } }, minProperties: 2 },
  { ...object, properties: { a: { const: true } }, required: ["a"], minProperties: 2, maxProperties: 2 },
  { ...items, contains: { const: 6 } },
  // An item that counts twice may be the only way, or cost more than two.
  { ...items, allOf: [{ contains: { multipleOf: 6, minimum: 6 } }, { contains: { minimum: 10 } }], maxItems: 1 },
  { ...items, allOf: [{ contains: { type: "number", maximum: 6 } }, { contains: { minimum: 6 } }], minItems: 2 },
  { ...items, contains: { type: "integer" }, minContains: 2, maxContains: 2, minItems: 3 },
  {
    type: "array",
    prefixItems: [{ enum: [0, 1] }, { const: 0 }],
    items: { enum: [0, 1, 6] },
    uniqueItems: true,
    minItems: 2,
    maxItems: 3,
  },
];

describe("shortest documents", () => {
  it.each(SCHEMAS.map((schema) => [JSON.stringify(schema), schema] as const))("%s", (_, schema) => {
    const isValid = ajv.compile(schema);
    const valid = ALL.filter(([text]) => isValid(JSON.parse(text)));
    const compiled = compileJsonSchema(schema, vocabulary);
    // From the start and from each beginning of each of the valid documents, those of other orders included.
    const expected = new Map<string, number>();
    for (const [text] of valid.slice(0, 20)) {
      for (let length = 0; length <= text.length; length++) {
        const beginning = text.slice(0, length);
        if (!expected.has(beginning)) expected.set(beginning, leastRest(beginning, valid));
      }
    }
    for (const [beginning, least] of expected) {
      const open = compiled.open();
      for (const byte of Buffer.from(beginning)) {
        expect((open.mask()[byte >> 5] >>> (byte & 31)) & 1).toBe(1);
        open.accept(byte);
      }
      const rest = Buffer.from(open.shortestCompletion()).toString();
      expect(isValid(JSON.parse(beginning + rest))).toBe(true);
      expect([beginning, rest, rest.length <= least]).toEqual([beginning, rest, true]);
    }
  });
});

/** Fewest bytes after a beginning; properties may come in any order. */
function leastRest(beginning: string, valid: readonly (readonly string[])[]): number {
  const first = valid.find((sameLength) => sameLength.some((text) => text.startsWith(beginning)));
  return first![0].length - beginning.length;
}

/** An object with its properties in every order. */
function orders(text: string): string[] {
  if (!text.startsWith("{")) return [text];
  const permuted = (parts: readonly string[]): string[][] =>
    parts.length < 2
      ? [[...parts]]
      : parts.flatMap((part, i) => permuted(parts.filter((_, j) => j !== i)).map((rest) => [part, ...rest]));
  const parts = text.slice(1, -1).split(",").filter(Boolean);
  return permuted(parts).map((order) => `{${order.join()}}`);
}
