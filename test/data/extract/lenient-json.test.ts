import { describe, expect, it } from "vitest";
import { readLenientJson } from "../../../src/data/extract/lenient-json.js";

const plain = (values: unknown[]) => JSON.parse(JSON.stringify(values));

describe("readLenientJson", () => {
  it("reads what JSON.parse reads", () => {
    for (const text of [
      '{"a": [1, -2.5e3, true, false, null, "x\\n\\u00e9\\"y\\\\"], "b": {"c": {}}, "d": []}',
      "[]",
      '[{"a": "b, \\"c\\": d"}, [[]], ""]',
    ])
      expect(plain(readLenientJson(text))).toEqual([JSON.parse(text)]);
  });

  it.each([
    ["a semicolon after it", '{"a": 1};', [{ a: 1 }]],
    ["commas before the end", '{"a": [1, 2,],}', [{ a: [1, 2] }]],
    ["doubled commas", '{"a": 1,, "b": 2}', [{ a: 1, b: 2 }]],
    ["comments", '// x\n{"a": /* y */ 1, // z "b": 2\n"c": 3}', [{ a: 1, c: 3 }]],
    ["an address, which is not a comment", '{"a": "http://x/y",}', [{ a: "http://x/y" }]],
    ["an HTML or CDATA comment around it", '<!--\n//<![CDATA[\n{"a": 1}\n//]]>\n-->', [{ a: 1 }]],
    ["CDATA in a comment", '/*<![CDATA[*/ {"a": 1} /*]]>*/', [{ a: 1 }]],
    ["several objects", '{"a": 1}{"b": 2},\n{"c": 3}', [{ a: 1 }, { b: 2 }, { c: 3 }]],
    ["line ends and tabs in strings", '{"a": "one\n\ttwo"}', [{ a: "one\n\ttwo" }]],
    ["unknown escapes", '{"a": "it\\\'s \\x"}', [{ a: "it's x" }]],
    [
      "quotes in strings",
      '{"a": "so "called"", "b": "he said "yes", then left", "c": ""}',
      [{ a: 'so "called"', b: 'he said "yes", then left', c: "" }],
    ],
    ["a missing bracket", '{"a": [1, {"b": 2}', [{ a: [1, { b: 2 }] }]],
    ["the wrong bracket", '[{"a": [1, 2}, {"b": 3}]', [[{ a: [1, 2] }, { b: 3 }]]],
    ["a missing value", '{"a": , "b": 2}', [{ a: null, b: 2 }]],
    ["JavaScript values", '{"a": undefined, "b": NaN, "c": 2}', [{ a: null, b: null, c: 2 }]],
    ["an assignment", 'var data = {"a": 1};', [{ a: 1 }]],
    ["a truncated string", '{"a": "one', [{ a: "one" }]],
    ["__proto__ as a name", '{"__proto__": 1, "constructor": 2,}', [JSON.parse('{"__proto__": 1, "constructor": 2}')]],
  ])("accepts %s", (_, text, want) => expect(plain(readLenientJson(text))).toEqual(want));

  it("takes linear time for any text, however deeply nested", () => {
    for (const piece of ["[", "{", '{"a":', '"', '["', "[[]", "/*", "\\", '{"a":"', "]", "&quot;", '","'])
      expect(Array.isArray(readLenientJson("{" + piece.repeat(200_000)))).toBe(true);
  });
});
