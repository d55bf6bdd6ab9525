/** @file Patterns find, replace and split as in CPython 3.11. */
import { describe, expect, test } from "vitest";
import { escapePattern, PythonRegex } from "../../../src/eval/harness/python-regex.js";
import { units } from "./units.js";

interface RegexCase {
  readonly pattern: string;
  readonly find: (string | string[])[][];
  readonly sub: string[];
  readonly split: (string | null)[][];
}

const texts = units<string[]>("regex_texts");

describe("as in Python", () => {
  test.each(units<RegexCase[]>("regex").map((c) => [c.pattern, c] as const))("%s", (pattern, c) => {
    const regex = new PythonRegex(pattern);
    texts.forEach((text, i) => {
      expect([text, regex.findAll(text)]).toEqual([text, c.find[i]]);
    });
    c.sub.forEach((expected, i) => {
      expect(regex.sub("<\\g<0>>", texts[i]!)).toBe(expected);
      expect(regex.split(texts[i]!)).toEqual(c.split[i]);
    });
  });

  test("replacements", () => {
    for (const [pattern, template, text, expected] of units<string[][]>("sub")) {
      expect(new PythonRegex(pattern!).sub(template!, text!)).toBe(expected);
    }
  });
});

test("search, match and fullmatch", () => {
  const regex = new PythonRegex("(?P<digits>\\d+)(x)?");
  expect(regex.search("ab12")).toEqual({ start: 2, end: 4, groups: ["12", "12", null] });
  expect(regex.match("ab12")).toBeNull();
  expect(regex.match("12ab")?.end).toBe(2);
  expect(regex.fullMatch("12ab")).toBeNull();
  expect(regex.fullMatch("12x")?.groups).toEqual(["12x", "12", "x"]);
  expect(regex.groupNumber("digits")).toBe(1);
  expect(regex.sub((m) => `(${m.groups[1]})`, "1 22 3", 2)).toBe("(1) (22) 3");
  expect(regex.split("a1b2c", 1)).toEqual(["a", "1", null, "b2c"]);
});

test("flags", () => {
  expect(new PythonRegex("^b.$", { multiLine: true, ignoreCase: true }).findAll("A\nBc\nbd")).toEqual(["Bc", "bd"]);
  expect(new PythonRegex("a(?s:.)b.").findAll("a\nb\na\nbc")).toEqual(["a\nbc"]);
  expect(new PythonRegex("a $").findAll("a \n")).toEqual(["a "]);
  expect(new PythonRegex("\\B").findAll("")).toEqual([]);
});

test("an escaped text matches itself", () => {
  const text = "a.b*[c] (d)\\ {e}^$|?+-#&~\n/'\"";
  expect(new PythonRegex(escapePattern(text)).fullMatch(text)).not.toBeNull();
});

test.each([
  ["(", "closing bracket"],
  [")", "no opening"],
  ["[a", "no ]"],
  ["*a", "nothing to repeat"],
  ["a**", "follows another"],
  ["a++", "possessive"],
  ["(?>a)", "atomic"],
  ["(a)?(?(1)b)", "conditional"],
  ["a(?i)b", "start"],
  ["a(?i:b)", "part"],
  ["\\q", "\\q is not supported"],
  ["\\2", "no group 2"],
  ["(?P<a>x)(?P<a>y)", "two groups"],
  ["[b-a]", "range"],
  ["a{3,2}", "least count"],
  ["\\xg", "hexadecimal"],
  ["a\\", "backslash"],
])("%s is refused", (pattern, reason) => {
  expect(() => new PythonRegex(pattern)).toThrow(reason);
});

test("a replacement with an unknown group is refused", () => {
  expect(() => new PythonRegex("a").sub("\\1", "a")).toThrow("lacks");
  expect(() => new PythonRegex("a").sub("\\q", "a")).toThrow("unknown escape");
});
