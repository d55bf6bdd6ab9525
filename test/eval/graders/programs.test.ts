import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { humanEvalPassRates, passRates, runPrograms } from "../../../src/eval/graders/programs.js";
import { TASK_FUNCTIONS } from "../../../src/eval/harness/functions.js";

const hasPython = (() => {
  try {
    execFileSync("python3", ["-c", ""]);
    return true;
  } catch {
    return false;
  }
})();

const HEAD = "def add(a, b):\n";
const TEST = "def check(f):\n    assert f(1, 2) == 3\n    assert f(-1, 1) == 0";
// Each outcome is that of the metric code_eval (test/oracle/lm_eval_functions_b.py prints them).
const PROGRAMS: readonly (readonly [string, boolean])[] = [
  ["    return a + b", true],
  ["\treturn a+b", true],
  ["  return a - b", false],
  ["    return b", false],
  ["", false],
  ["    return a +", false],
  ["    return sum([a, b])\nprint('done')", true],
  ["    return a + b\nimport sys\nsys.exit(0)", false],
  ["    return a + b\nraise SystemExit", false],
  ["    return a + b\nexit()", false],
  ["    return int(input())", false],
  ["    import subprocess\n    subprocess.run(['true'])\n    return a + b", false],
  ["    import os\n    os.remove('x')\n    return a + b", false],
  ["    return a + b\nif __name__ == '__main__':\n    raise ValueError", true],
  ["    raise NotImplementedError", false],
  ["    return a + b\ndef check2():\n    assert False", true],
  ["    while True:\n        pass", false],
  ["    import numpy.nothing\n    return a + b", false],
  ["    import math\n    return math.floor(a + b)", true],
  ["    open('note.txt', 'w').write('x')\n    return a + b", true],
];

describe.runIf(hasPython)("programs in the sandbox", { timeout: 120_000 }, () => {
  const options = { allowCode: true };

  it("pass as in code_eval", async () => {
    const programs = PROGRAMS.map(([body]) => HEAD + body);
    const passed = await runPrograms({ programs, test: `${TEST}\ncheck(add)` }, options);
    expect(passed).toEqual(PROGRAMS.map(([, isRight]) => isRight));
  });

  it("give pass@k of OpenAI's files, without a k above the number of samples", async () => {
    const problems = [
      { task_id: "t/0", prompt: HEAD, test: TEST, entry_point: "add" },
      { task_id: "t/1", prompt: "def one():\n", test: "def check(f):\n    assert f() == 1", entry_point: "one" },
    ];
    const samples = [
      ...["    return a + b", "    return a * b"].map((completion) => ({ task_id: "t/0", completion })),
      ...["    return 1", "    return 1"].map((completion) => ({ task_id: "t/1", completion })),
    ];
    const rates = await humanEvalPassRates(problems, samples, { ...options, k: [1, 2, 10] });
    expect(rates).toEqual({ "pass@1": 0.75, "pass@2": 1 });
    await expect(humanEvalPassRates(problems, [{ task_id: "t/9", completion: "" }], options)).rejects.toThrow(
      "a sample has the task_id t/9, which no problem has",
    );
  });

  it("cannot print the mark of a program that passes", async () => {
    const programs = ["print('passed')\nimport sys\nsys.exit(0)", "import os\nos._exit(0)"];
    expect(await runPrograms({ programs, test: "assert False" }, options)).toEqual([false, false]);
  });
});

describe("programs", () => {
  it("need a problem", async () => {
    await expect(passRates([], [1])).rejects.toThrow("pass@k needs at least one problem");
  });

  it("refuse what is no program, test or k", async () => {
    const metric = TASK_FUNCTIONS.get("humaneval/utils.pass_at_k");
    if (metric?.takes !== "predictions") throw new Error("no metric");
    const given = { references: ["assert True"], predictions: [["x = 1"]] };
    await expect(async () => metric.run({ ...given, options: {} })).rejects.toThrow("needs k, a whole number");
    const options = { k: [1] };
    await expect(async () => metric.run({ ...given, options, references: [5] })).rejects.toThrow("must be code");
    await expect(async () => metric.run({ ...given, options, predictions: [[5]] })).rejects.toThrow(
      "must be a program",
    );
  });
});
