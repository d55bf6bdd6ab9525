import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { constrainedText } from "../../../src/infer/constrained-text.js";
import { compileJsonSchema } from "../../../src/infer/grammar/index.js";
import { allowedIds, isAllowed, smallVocabulary } from "./vocabulary.js";

const vocabulary = smallVocabulary();
const end = vocabulary.endOfText[0];

const SCHEMAS: readonly unknown[] = [
  {},
  { type: "object" },
  { type: "number" },
  { type: "string", minLength: 1, maxLength: 5 },
  { type: "string", pattern: "^(\\w+ )*\\w+$", maxLength: 30 },
  { type: "number", exclusiveMinimum: 0, maximum: 2.5 },
  { type: "integer", multipleOf: 12, minimum: -100 },
  { type: "array", items: { type: "integer", minimum: 3 }, minItems: 2, maxItems: 4 },
  { type: "array", items: { enum: ["a", "b", null, 3] }, uniqueItems: true, minItems: 2 },
  { type: "array", contains: { type: "string" }, minContains: 2, maxContains: 3 },
  { type: "object", minProperties: 2, additionalProperties: { type: "boolean" } },
  {
    type: "object",
    minProperties: 1,
    maxProperties: 2,
    patternProperties: { "^a": { type: "null" } },
    additionalProperties: { type: "integer" },
  },
  {
    type: "object",
    properties: {
      name: { type: "string", minLength: 1 },
      age: { type: "integer" },
      tags: { type: "array", items: { type: "string" } },
    },
    required: ["name", "age"],
  },
  {
    anyOf: [
      { type: "object", properties: { kind: { const: "a" }, value: { type: "number" } }, required: ["kind", "value"] },
      { type: "object", properties: { kind: { const: "b" } }, required: ["kind"], additionalProperties: false },
      { type: "array", prefixItems: [{ type: "null" }, { type: "boolean" }], items: false },
    ],
  },
  {
    oneOf: [
      { type: "integer", multipleOf: 4 },
      { type: "integer", multipleOf: 6 },
    ],
  },
  { oneOf: [{ required: ["a"] }, { required: ["b"] }], type: "object" },
  { type: "object", not: { properties: { a: { type: "integer" } }, required: ["a"] } },
  { type: "object", not: { additionalProperties: { type: "integer" } } },
  { type: "object", dependentRequired: { name: ["age"] }, propertyNames: { maxLength: 4 } },
  {
    type: "object",
    allOf: [{ properties: { a: true } }],
    anyOf: [{ properties: { b: { type: "null" } } }, { required: ["a"] }],
    unevaluatedProperties: false,
  },
  {
    $ref: "#/$defs/tree",
    $defs: {
      tree: {
        type: "object",
        properties: { kids: { type: "array", items: { $ref: "#/$defs/tree" }, minItems: 1 } },
        additionalProperties: false,
      },
    },
  },
];

/** Numbers in [0, 1) from a linear congruential generator. */
function randomNumbers(seed: number): () => number {
  let state = (seed * 2654435761) >>> 0;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The bytes of a completion drawn uniformly from the allowed tokens within a token limit. */
function generated(compiled: ReturnType<typeof compileJsonSchema>, limit: number, random: () => number): Uint8Array {
  const text = constrainedText(compiled, { limit, endOfText: [end] });
  const bytes: number[] = [];
  for (let i = 0; i < limit; i++) {
    const next = text.next((mask) => {
      const allowed = allowedIds(mask, vocabulary.size);
      return allowed[Math.floor(random() * allowed.length)];
    });
    if (next === null || next.id === end) break;
    bytes.push(...vocabulary.tokenBytes[next.id]!);
  }
  return Uint8Array.from(bytes);
}

describe("documents of a random model", () => {
  const strict = new TextDecoder("utf-8", { fatal: true });
  it.each(SCHEMAS.map((schema) => [JSON.stringify(schema).slice(0, 100), schema] as const))("fit %s", (_, schema) => {
    const validate = new Ajv2020({ strict: false }).compile(schema as object);
    const compiled = compileJsonSchema(schema, vocabulary);
    const least = compiled.open().shortestCompletion().length;
    for (let seed = 0; seed < 50; seed++) {
      const random = randomNumbers(seed);
      const limit = least + Math.floor(random() * (seed % 2 === 0 ? 8 : 100));
      const text = strict.decode(generated(compiled, limit, random));
      const document: unknown = JSON.parse(text);
      expect([text, limit, validate(document), validate.errors]).toEqual([text, limit, true, null]);
    }
  });

  it("allows a token exactly if it can be completed", () => {
    const compiled = compileJsonSchema(SCHEMAS[12], vocabulary);
    for (let seed = 0; seed < 20; seed++) {
      const random = randomNumbers(seed);
      const open = compiled.open();
      for (let i = 0; i < 30; i++) {
        const mask = open.mask();
        const completion = open.shortestCompletion();
        // What completes a text is allowed, and after it the text may end.
        if (completion.length > 0) expect(isAllowed(mask, completion[0])).toBe(true);
        expect(isAllowed(mask, end)).toBe(completion.length === 0);
        const allowed = allowedIds(mask, vocabulary.size).filter((id) => id !== end);
        if (allowed.length === 0) break;
        open.accept(allowed[Math.floor(random() * allowed.length)]);
      }
    }
  });

  it("refuses a token that the mask does not allow", () => {
    const open = compileJsonSchema({ type: "object" }, vocabulary).open();
    expect(() => open.accept("[".charCodeAt(0))).toThrow("not allowed");
  });
});
