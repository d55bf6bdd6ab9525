/** @file JSON and floats as Python writes them. */
import { expect, test } from "vitest";
import { compareCodePoints, PythonFloat, pythonFloat, pythonJson } from "../../../src/eval/harness/python-json.js";
import { units } from "./units.js";

interface JsonCase {
  readonly value: unknown;
  readonly options: {
    readonly ensure_ascii?: boolean;
    readonly indent?: number;
    readonly separators?: [string, string];
    readonly sort_keys?: boolean;
  };
  readonly text: string;
}

/** Whole numbers of this fixture above 2^53 are floats in Python. */
function floats(value: unknown): unknown {
  if (typeof value === "number") return Number.isInteger(value) && value > 1e15 ? new PythonFloat(value) : value;
  if (Array.isArray(value)) return value.map(floats);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, floats(v)]));
}

test("json.dumps", () => {
  for (const { value, options, text } of units<JsonCase[]>("json")) {
    const { ensure_ascii, indent, separators, sort_keys } = options;
    const given = {
      ...(ensure_ascii === undefined ? {} : { ensureAscii: ensure_ascii }),
      ...(indent === undefined ? {} : { indent }),
      ...(separators === undefined ? {} : { separators }),
      ...(sort_keys === undefined ? {} : { sortKeys: sort_keys }),
    };
    expect(pythonJson(floats(value), given)).toBe(text);
  }
});

test("repr of floats", () => {
  for (const [text, value] of units<[string, number][]>("floats")) expect(pythonFloat(value)).toBe(text);
  expect([NaN, Infinity, -Infinity, 0, -0, -1].map(pythonFloat)).toEqual(["nan", "inf", "-inf", "0.0", "-0.0", "-1.0"]);
});

test("numbers, keys and values without a form", () => {
  expect(pythonJson([NaN, Infinity, -Infinity, -0, 1, new PythonFloat(1), 12345678901234567890n])).toBe(
    "[NaN, Infinity, -Infinity, -0.0, 1, 1.0, 12345678901234567890]",
  );
  const map = new Map<unknown, unknown>([
    ["b", 1],
    [2, 1],
    [true, null],
    [null, 0.5],
  ]);
  expect(pythonJson(map)).toBe('{"b": 1, "2": 1, "true": null, "null": 0.5}');
  expect(() => pythonJson({ a: undefined })).toThrow("cannot write");
  expect(pythonJson({ a: undefined, b: new Date(0) }, { fallback: (v) => String(v === undefined) })).toBe(
    '{"a": "true", "b": "false"}',
  );
  const loop: unknown[] = [];
  loop.push(loop);
  expect(() => pythonJson(loop)).toThrow("contains itself");
});

test("code points order texts", () => {
  expect(["\uffff", "\u{1f600}", "a", "ab", ""].sort(compareCodePoints)).toEqual([
    "",
    "a",
    "ab",
    "\uffff",
    "\u{1f600}",
  ]);
});
