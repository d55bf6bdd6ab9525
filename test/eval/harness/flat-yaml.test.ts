import { describe, expect, it } from "vitest";
import { flatEntries } from "../../../src/eval/harness/flat-yaml.js";
import { lineOfKey, parseAnyYaml, parsePythonYaml } from "../../../src/eval/harness/python-yaml.js";

/** Result and lines of keys, or the error. */
function outcome(parse: (source: string, file: string) => unknown, source: string): unknown {
  try {
    const value = parse(source, "t.yaml") as object;
    return [value, Object.keys(value).map((key) => lineOfKey(value, key))];
  } catch (error) {
    return (error as Error).message;
  }
}

describe("a flat file", () => {
  const flat = [
    "a: b\n# note\n\nc: 12\nd: 1.5\ne: no\nf:\ng: ~\n",
    'a: "x: {y}\\n\\"z\\" \\\\"\nb: \'it\'\'s # no note\'\n"c": plain with "quotes" and it\'s\n',
    "f: !function utils.process_docs\nt: 2024-01-01\nu: a/b-c\nv: x#y\nw: http://x\n",
    "a: 1\nb: 2\na: 3\n",
    "n: -1\nm: -1.5e+3\no: 0o7\np: 1_000\nq: 1:30\nr: .inf\n",
    "a : b  \nc: 'd'   \nlong: a b  c\n",
  ];
  it.each(flat)("%j is read by lines, as by the full parser", (source) => {
    expect(flatEntries(source)).toBeDefined();
    expect(outcome(parsePythonYaml, source)).toEqual(outcome(parseAnyYaml, source));
  });

  const others = [
    "a:\n  b: c\n",
    "a: [b]\n",
    "a: b # note\n",
    "a: b\n  c\n",
    "a: 'b\n  c'\n",
    'a: "\\x41"\n',
    "a: &x b\n",
    "a: b: c\n",
    "- a\n",
    "a: |\n  b\n",
    "a: b\tc\n",
    "a: b\u00a0\n",
    "a: b\u2028\n",
    "a: !!str b\n",
    "---\na: b\n",
    "# note\n",
    "",
  ];
  it.each(others)("%j is left to the full parser", (source) => {
    expect(flatEntries(source)).toBeUndefined();
    expect(outcome(parsePythonYaml, source)).toEqual(outcome(parseAnyYaml, source));
  });

  it.each(["no: a\n", "<<: a\n", "a: =\n", "a: <<\n", "__proto__: a\n", '"1": a\n'])("%j too", (source) => {
    expect(outcome(parsePythonYaml, source)).toEqual(outcome(parseAnyYaml, source));
  });

  it("is read as by the full parser after any small change", () => {
    const bits = [
      " ",
      "#",
      ": ",
      '"',
      "'",
      "\\",
      "\n",
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
      "\u00a0",
    ];
    let seed = 7;
    const below = (n: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % n;
    };
    let read = 0;
    for (let i = 0; i < 3000; i++) {
      let source = flat[below(flat.length)]!;
      for (let k = 0; k <= below(2); k++) {
        const at = below(source.length + 1);
        source = source.slice(0, at) + bits[below(bits.length)] + source.slice(at + below(3));
      }
      if (flatEntries(source) === undefined) continue;
      read++;
      expect(outcome(parsePythonYaml, source), JSON.stringify(source)).toEqual(outcome(parseAnyYaml, source));
    }
    expect(read).toBeGreaterThan(500);
  });
});
