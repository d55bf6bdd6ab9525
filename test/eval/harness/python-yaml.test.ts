import { describe, expect, it } from "vitest";
import {
  FunctionReference,
  lineOfKey,
  parsePythonYaml,
  type YamlMapping,
} from "../../../src/eval/harness/python-yaml.js";
import { PythonFloat } from "../../../src/tokenizer/index.js";

const parse = (source: string) => parsePythonYaml(source, "task.yaml");

describe("scalars have PyYAML's types", () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ["no", false],
    ["On", true],
    ["y", "y"],
    ["tRue", "tRue"],
    ["1e-3", "1e-3"],
    ["1.0e-3", 0.001],
    ["1.0e+3", new PythonFloat(1000)],
    ["12e03", "12e03"],
    ["1.", new PythonFloat(1)],
    [".5", 0.5],
    ["010", 8],
    ["08", "08"],
    ["0o10", "0o10"],
    ["0x1F", 31],
    ["0b11", 3],
    ["1_000", 1000],
    ["+12", 12],
    ["1:30", 90],
    ["1:60", "1:60"],
    ["190:20:30.15", 685230.15],
    ["-.inf", Number.NEGATIVE_INFINITY],
    [".NaN", Number.NaN],
    ["123456789012345678901", 123456789012345678901n],
    ["~", null],
    ["NULL", null],
    ["", null],
    ["2020-01-01", "2020-01-01"],
    ["'no'", "no"],
    ["! 12", 12],
    ["!!str 12", "12"],
    ["!!int '3'", 3],
    ["!!float 3", new PythonFloat(3)],
  ];
  it.each(cases)("%s", (source, value) => {
    expect(parse(`a: ${source}\n`)).toEqual({ a: value });
  });
});

describe("structure", () => {
  it("keeps functions as values, with the file that names them", () => {
    expect(parse("a: !function utils.f\nb: [!function x.y]")).toEqual({
      a: new FunctionReference("task.yaml", "utils.f"),
      b: [new FunctionReference("task.yaml", "x.y")],
    });
  });

  it("lets the last of equal keys win, at the place of the first", () => {
    expect(Object.entries(parse("a: 1\nb: 2\na: 3\n") as object)).toEqual([
      ["a", 3],
      ["b", 2],
    ]);
  });

  it("merges mappings below their own keys; the first of a list wins", () => {
    expect(parse("x: &A {p: 1, q: 2}\ny: &B {p: 5, s: 6}\nz:\n  <<: [*A, *B]\n  q: 9\n")).toMatchObject({
      z: { p: 1, s: 6, q: 9 },
    });
  });

  it("keeps the order of keys that are no text", () => {
    const map = parse("2: b\n1: a\nno: c\n") as unknown as Map<unknown, unknown>;
    expect([...map]).toEqual([
      [2, "b"],
      [1, "a"],
      [false, "c"],
    ]);
  });

  it("reads quoted text that continues with too little indentation", () => {
    const source = 'a:\n  - b: "one\n  two \\"x\\"\n  end"\n    c: \'it\n\'\nd: 1\n';
    expect(parse(source)).toEqual({ a: [{ b: 'one two "x" end', c: "it " }], d: 1 });
  });

  it("knows the line of every key", () => {
    const value = parse("# comment\na: 1\n\nb:\n  c: 2\n") as YamlMapping;
    expect([lineOfKey(value, "a"), lineOfKey(value, "b"), lineOfKey(value.b as YamlMapping, "c")]).toEqual([2, 4, 5]);
  });
});

describe("what PyYAML refuses", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["a: b: c\n", /^task.yaml line 1: not YAML/],
    ["a: 1\nb: [1, 2\n", /^task.yaml line \d: not YAML/],
    ["a: 1\n---\nb: 2\n", /^task.yaml line 2: not YAML/],
    ["a: 1\nb: !foo 1\n", /^task.yaml line 2: PyYAML refuses the tag !foo/],
    ["a: =\n", /PyYAML refuses the value =/],
    ["a: *x\n", /task.yaml line 1/],
    ["a: &A [*A]\n", /contains itself/],
    ["a: !!int x\n", /as an integer/],
    ["? [1]\n: 2\n", /as a key/],
  ];
  it.each(cases)("%j", (source, message) => {
    expect(() => parse(source)).toThrow(message);
  });
});
