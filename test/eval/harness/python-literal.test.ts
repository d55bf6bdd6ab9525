import { describe, expect, it } from "vitest";
import { pythonLiteral } from "../../../src/eval/harness/python-literal.js";
import { PythonFloat } from "../../../src/tokenizer/index.js";

describe("literals, as ast.literal_eval reads them", () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ["['a', \"it's\", None, True]", ["a", "it's", null, true]],
    ["[1, -2, 0x1f, 1_000, 2.0, .5, 1e3]", [1, -2, 31, 1000, new PythonFloat(2), 0.5, new PythonFloat(1000)]],
    ["12345678901234567890", 12345678901234567890n],
    ["('a',)", ["a"]],
    ["('a')", "a"],
    ["1, 2", [1, 2]],
    ["[]", []],
    ["[[1], (2, 3),]", [[1], [2, 3]]],
    [
      "{'a': 1, 2: [3]}",
      new Map<unknown, unknown>([
        ["a", 1],
        [2, [3]],
      ]),
    ],
    ["'\\x41\\u00e9\\U0001f33e\\101\\n\\q'", "Aé🌾A\n\\q"],
    ["r'\\n'", "\\n"],
    ["'a' \"b\"", "ab"],
    ["'''x\ny'''", "x\ny"],
    ["  7", 7],
  ];
  it.each(cases)("%s", (source, value) => {
    expect(pythonLiteral(source)).toEqual(value);
  });

  const wrong = ["", "[a]", "[1", "007", "1 + 1", "f(1)", "'a", "'a\n'", "[,]", "b'x'", "{1, 2}", "1j", "１"];
  it.each(wrong)("refuses %j", (source) => {
    expect(() => pythonLiteral(source)).toThrow("is not a Python literal");
  });
});
