import { describe, expect, it } from "vitest";
import { isMapping, lineOfKey, parseAnyYaml, parsePythonYaml } from "../../../src/eval/harness/python-yaml.js";
import { parseSimpleYaml } from "../../../src/eval/harness/simple-yaml.js";

const isSimple = (source: string): boolean => {
  const same = (value: unknown) => value;
  const make = { plain: same, text: same, function: same, list: same, mapping: same };
  return parseSimpleYaml<unknown>(source, make) !== undefined;
};

/** The lines of all keys. */
function linesOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(linesOf);
  if (!isMapping(value)) return null;
  return Object.entries(value).map(([key, inner]) => [key, lineOfKey(value, key), linesOf(inner)]);
}

/** Result and lines of keys, or the error. */
function outcome(parse: (source: string, file: string) => unknown, source: string): unknown {
  try {
    const value = parse(source, "t.yaml");
    return [value, linesOf(value)];
  } catch (error) {
    return (error as Error).message;
  }
}

describe("a simple file", () => {
  const simple = [
    "a: b\n# note\n\nc: 12\nd: 1.5\ne: no\nf:\ng: ~\n",
    'a: "x: {y}\\n\\"z\\" \\\\"\nb: \'it\'\'s # no note\'\n"c": plain with "quotes" and it\'s\n',
    "f: !function utils.process_docs\nt: 2024-01-01\nu: a/b-c\nv: x#y\nw: http://x\n",
    "f: !function 'utils.f'\ng:\n  - !function \"a.b\"\n",
    "a: 1\nb: 2\na: 3\n",
    "n: -1\nm: -1.5e+3\no: 0o7\np: 1_000\nq: 1:30\nr: .inf\n",
    "a : b  \nc: 'd'   \nlong: a b  c\n",
    "a:\n  b: c\n  d:\n    - e\n    - f: 1\n      g: 2\n    -   h: x\n        i: y\n  # note\nj: k\n",
    'a:\n- b\n- "c"\n- d: e\n  f:\n  - g\n  - h\nz: 1\n',
    "a: |\n  x: {{y}}\n    deeper # text\n\n  z\n\nb: |-\n  x\nc: |+\n  x\n\n\nd: >\n  x\n  y\n\n  z\ne: >-\n  q\nf: g\n",
    "a: \"one\n  two  \n\n  three\\\n  \\ four \\\n  five\\n\n  \"\nb: 'one \n  it''s\n\n\n  two'\n",
    "a: one\n  two\n\n  three's - x\nb: c\n",
    "a: [\"A\", 'B', c d, 1.5, no]\nb: []\nc: [x]\n",
    'a: "\\xe9\\u20ac"\n',
    'a:\n  - x\n    y\n  - "p\n    q"\n',
  ];
  it.each(simple)("%j is read, as by the full parser", (source) => {
    expect(isSimple(source)).toBe(true);
    expect(outcome(parsePythonYaml, source)).toEqual(outcome(parseAnyYaml, source));
  });

  const others = [
    "a: b # note\n",
    "a: {b: c}\n",
    "a: [[b]]\n",
    "a: [b,\n  c]\n",
    "a: 'b\nc'\n",
    'a: "b\\q"\n',
    "a: &x b\nc: *x\n",
    "a: b: c\n",
    "- a\n",
    "a: |2\n    b\n",
    "a: |\n  b",
    "a: >\n  b\n    c\n",
    "a: b\tc\n",
    "a: b\u00a0\n",
    "a: b\u2028\n",
    "a: !!str b\n",
    "a: one\n  two: x\n",
    "a: one\n  # note\n",
    "a:\n  b: 1\n c: 2\n",
    "a:\n  - - b\n",
    "a: b\n  - c\n d\n",
    "? a\n: b\n",
    "---\na: b\n",
    "# note\n",
    "",
  ];
  it.each(others)("%j is left to the full parser", (source) => {
    expect(outcome(parsePythonYaml, source)).toEqual(outcome(parseAnyYaml, source));
  });

  it.each(["a: b # note\n", "a: &x b\n", "a: {b: c}\n", "- a\n", "a: >\n  b\n    c\n"])(
    "%j is not simple",
    (source) => {
      expect(isSimple(source)).toBe(false);
    },
  );

  it.each(["no: a\n", "<<: a\n", "a: =\n", "a: <<\n", "__proto__: a\n", '"1": a\n', "a:\n  on: b\n"])(
    "%j has a key or value that the full parser must read",
    (source) => {
      expect(outcome(parsePythonYaml, source)).toEqual(outcome(parseAnyYaml, source));
    },
  );

  it("is read as by the full parser after any small change", () => {
    const bits = [
      " ",
      "  ",
      "#",
      ": ",
      '"',
      "'",
      "\\",
      "\n",
      "\n\n",
      "\n  ",
      "-",
      "- ",
      "!",
      "&",
      "*",
      "no",
      "1e3",
      "012",
      "<<",
      "=",
    ];
    bits.push("\u00a0", "|\n", ">-\n", "[", "]", ",", "\\\n", " \n");
    let seed = 7;
    const below = (n: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % n;
    };
    let read = 0;
    for (let i = 0; i < 6000; i++) {
      let source = simple[below(simple.length)]!;
      for (let k = 0; k <= below(2); k++) {
        const at = below(source.length + 1);
        source = source.slice(0, at) + bits[below(bits.length)] + source.slice(at + below(3));
      }
      if (!isSimple(source)) continue;
      read++;
      expect(outcome(parsePythonYaml, source), JSON.stringify(source)).toEqual(outcome(parseAnyYaml, source));
    }
    expect(read).toBeGreaterThan(1000);
  });
});
