import { describe, expect, it } from "vitest";
import { anyJsonObject, compileJsonSchema } from "../../../src/infer/grammar/index.js";
import type { CompiledConstraint } from "../../../src/infer/token-constraint.js";
import { isAllowed, smallVocabulary } from "./vocabulary.js";

const vocabulary = smallVocabulary();
const utf8 = new TextEncoder();

/** Whether a text is allowed byte by byte and may end. */
function accepts(constraint: CompiledConstraint, text: string): boolean {
  const open = constraint.open();
  for (const byte of utf8.encode(text)) {
    if (!isAllowed(open.mask(), byte)) return false;
    open.accept(byte);
  }
  return open.isComplete;
}

describe("compileJsonSchema", () => {
  const cases: [string, unknown, string[], string[]][] = [
    ["type", { type: ["integer", "null"] }, ["1", "-0", "null", "12"], ["1.5", '"a"', "true", "01", "[]", " 1"]],
    [
      "any",
      {},
      ["1.5e3", '{"a":[1,{}]}', "[ ]", '"\\u00e9\\ud83d\\ude00"'],
      ['"\\ud83d"', "{a}", "[1,]", '{"a":1,}', "tru"],
    ],
    [
      "properties in any order",
      {
        type: "object",
        properties: { a: { type: "integer" }, b: { type: "string" } },
        required: ["a"],
        additionalProperties: false,
      },
      ['{"a":1}', '{ "b" : "x" , "a":2 }', '{"\\u0061":1}'],
      ['{"b":"x"}', '{"a":"x"}', '{"a":1,"c":2}', '{"a":1,"a":2}', "{}", '{"\\u0061":"x"}'],
    ],
    [
      "additional and pattern properties",
      {
        type: "object",
        properties: { x1: { type: "boolean" } },
        patternProperties: { "^x": { type: "integer" } },
        additionalProperties: { type: "null" },
      },
      ['{"x":1,"y":null}', "{}"],
      ['{"x":null}', '{"y":1}', '{"x1":true}', '{"x1":1}'],
    ],
    ["propertyNames", { type: "object", propertyNames: { pattern: "^[a-z]+$" } }, ['{"ab":1}'], ['{"A":1}', '{"":1}']],
    [
      "counts of properties",
      { type: "object", minProperties: 2, maxProperties: 3, additionalProperties: { type: "integer" } },
      ['{"a":1,"b":2}', '{"a":1,"b":2,"c":3}'],
      ['{"a":1}', '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '{"a":1,"b":2,"c":3,"d":4}'],
    ],
    [
      "items",
      { type: "array", prefixItems: [{ type: "integer" }], items: { type: "string" }, minItems: 1, maxItems: 3 },
      ["[1]", '[1,"a","b"]'],
      ["[]", '["a"]', "[1,2]", '[1,"a","b","c"]'],
    ],
    [
      "items of Draft 4",
      { type: "array", items: [{ type: "integer" }], additionalItems: false },
      ["[]", "[1]"],
      ["[1,2]", '["a"]'],
    ],
    [
      "unique constants",
      { type: "array", items: { enum: ["a", 1] }, uniqueItems: true },
      ["[]", '["a",1]', '[1,"a"]'],
      ["[1,1]", '["a","a"]'],
    ],
    ["contains", { type: "array", contains: { const: 7 } }, ["[7]", "[1,7]", "[7,7]"], ["[]", "[1]"]],
    [
      "maxContains",
      { type: "array", items: { type: "integer" }, contains: { const: 7 }, maxContains: 1 },
      ["[7,1]"],
      ["[7,7]", "[1]"],
    ],
    [
      "lengths",
      { type: "string", minLength: 2, maxLength: 3 },
      ['"ab"', '"日本😀"', '"\\n\\n"'],
      ['"a"', '"abcd"', '""'],
    ],
    ["pattern", { type: "string", pattern: "b+", maxLength: 4 }, ['"abba"', '"b"'], ['"a"', '"aaaba"', '""']],
    [
      "date",
      { type: "string", format: "date" },
      ['"2024-02-29"', '"2023-12-31"'],
      ['"2023-02-29"', '"2024-13-01"', '"24-01-01"'],
    ],
    ["date-time", { format: "date-time" }, ['"2024-02-29T12:00:00Z"', "5"], ['"2024-02-29"', '"2024-02-29T25:00:00Z"']],
    ["email", { type: "string", format: "email" }, ['"a.b@c.de"'], ['"a@"', '"a..b@c.de"', '"@c.de"']],
    [
      "ipv6",
      { type: "string", format: "ipv6" },
      ['"::1"', '"1:2:3:4:5:6:7:8"', '"::ffff:1.2.3.4"'],
      ['"1::2::3"', '"12345::"'],
    ],
    ["uri", { type: "string", format: "uri" }, ['"http://a.b/c?d#e"', '"mailto:x@y.z"'], ['"/a"', '"http://a b"']],
    ["uuid", { type: "string", format: "uuid" }, ['"123e4567-e89b-12d3-a456-426614174000"'], ['"123e4567"']],
    ["an unknown format is an annotation", { type: "string", format: "x-name" }, ['"anything"'], ["1"]],
    [
      "range",
      { type: "number", minimum: -1.25, exclusiveMaximum: 10 },
      ["-1.25", "-1.250", "9.99", "0", "-0.0"],
      ["-1.26", "10", "10.0", "-2", "1e0"],
    ],
    ["integers", { type: "integer", minimum: 8, maximum: 120 }, ["8", "99", "120"], ["7", "121", "8.0", "0", "-8"]],
    ["bounds of Draft 4", { type: "integer", minimum: 0, exclusiveMinimum: true }, ["1"], ["0", "-0", "-1"]],
    ["multipleOf", { type: "number", multipleOf: 0.25 }, ["0.5", "1.75", "3", "-0.250"], ["0.3", "0.125"]],
    ["multiples of 7", { type: "integer", multipleOf: 7, minimum: 1 }, ["7", "14", "700"], ["0", "8", "71"]],
    [
      "enum",
      { enum: ["a", 2.5, null, { k: [1] }] },
      ['"a"', "2.5", "2.50", "null", '{"k":[1]}'],
      ['"b"', "2", '{"k":[]}', "{}"],
    ],
    [
      "anyOf",
      { anyOf: [{ type: "integer" }, { type: "object", required: ["a"] }] },
      ["1", '{"b":1,"a":2}'],
      ['{"b":1}', '"x"'],
    ],
    [
      "oneOf that overlaps",
      {
        oneOf: [
          { type: "integer", multipleOf: 2 },
          { type: "integer", multipleOf: 3 },
        ],
      },
      ["2", "3", "9"],
      ["6", "0", "5", "12"],
    ],
    [
      "oneOf by a constant",
      {
        oneOf: [
          { properties: { kind: { const: "a" }, n: { type: "integer" } }, required: ["kind", "n"] },
          { properties: { kind: { const: "b" } }, required: ["kind"] },
        ],
        type: "object",
      },
      ['{"kind":"a","n":1}', '{"n":"x","kind":"b"}'],
      ['{"kind":"c"}', '{"kind":"a"}', '{"n":"x","kind":"a"}'],
    ],
    ["allOf", { allOf: [{ type: "integer" }, { minimum: 3 }, { maximum: 4 }] }, ["3", "4"], ["2", "5", "3.5"]],
    ["not", { type: "string", not: { enum: ["a", "b"] } }, ['"c"', '""', '"ab"'], ['"a"', '"\\u0062"', "1"]],
    ["not required", { type: "object", not: { required: ["a"] } }, ["{}", '{"b":1}'], ['{"a":1}']],
    [
      "if, then and else",
      {
        type: "object",
        properties: { a: { type: "boolean" } },
        required: ["a"],
        ...JSON.parse('{"if":{"properties":{"a":{"const":true}}},"then":{"required":["b"]},"else":{"required":["c"]}}'),
      },
      ['{"a":true,"b":1}', '{"c":1,"a":false}'],
      ['{"a":true}', '{"a":true,"c":1}', '{"a":false,"b":2}'],
    ],
    [
      "dependentRequired",
      { type: "object", dependentRequired: { a: ["b"] } },
      ["{}", '{"a":1,"b":1}', '{"b":1}'],
      ['{"a":1}'],
    ],
    [
      "a recursive $ref",
      {
        $ref: "#/$defs/tree",
        $defs: {
          tree: {
            type: "object",
            properties: { kids: { type: "array", items: { $ref: "#/$defs/tree" } } },
            additionalProperties: false,
          },
        },
      },
      ["{}", '{"kids":[{},{"kids":[{}]}]}'],
      ['{"kids":[1]}', '{"kids":[{"a":1}]}'],
    ],
    [
      "$anchor and $id",
      { $id: "http://x.y/z", $ref: "#here", $defs: { a: { $anchor: "here", type: "null" } } },
      ["null"],
      ["1"],
    ],
    [
      "unevaluatedProperties",
      {
        type: "object",
        allOf: [{ properties: { a: { type: "integer" } } }],
        properties: { b: {} },
        unevaluatedProperties: false,
      },
      ['{"a":1,"b":2}'],
      ['{"c":1}', '{"a":"x"}'],
    ],
  ];
  it.each(cases)("%s", (_, schema, valid, invalid) => {
    const constraint = compileJsonSchema(schema, vocabulary);
    for (const text of valid) expect([text, accepts(constraint, text)]).toEqual([text, true]);
    for (const text of invalid) expect([text, accepts(constraint, text)]).toEqual([text, false]);
  });

  it.each([
    [{ type: "array", uniqueItems: true }, "uniqueItems"],
    [{ type: "string", format: "regex" }, 'format "regex"'],
    [{ $ref: "http://elsewhere/x" }, "$ref"],
    [{ type: "integer", multipleOf: 0 }, "multipleOf"],
    [{ type: "int" }, 'unknown type "int"'],
    [{ type: "integer", minimum: 3, maximum: 2 }, "allows no document"],
    [{ type: "object", required: ["a"], properties: { a: false } }, "allows no document"],
    [
      {
        $ref: "#/$defs/a",
        $defs: { a: { type: "object", required: ["n"], properties: { n: { $ref: "#/$defs/a" } } } },
      },
      "allows no document",
    ],
    [{ type: "string", pattern: "(" }, "unclosed group"],
    [7, "is a number"],
  ])("refuses %j", (schema, reason) => {
    expect(() => compileJsonSchema(schema, vocabulary)).toThrow(
      expect.objectContaining({ name: "QuernError", exitCode: 2, message: expect.stringContaining(reason) }),
    );
  });

  it("leaves white space out if asked", () => {
    const constraint = compileJsonSchema({ type: "object" }, vocabulary, { whiteSpace: false });
    expect(accepts(constraint, '{"a":[1,2]}')).toBe(true);
    expect(accepts(constraint, '{"a": 1}')).toBe(false);
  });

  it("allows any object", () => {
    const constraint = anyJsonObject(vocabulary);
    expect(accepts(constraint, '{"a":{"b":[null]}}')).toBe(true);
    expect(accepts(constraint, "[]")).toBe(false);
  });
});
