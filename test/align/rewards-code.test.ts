/** The reward for code in both languages, with the tests of MBPP, HumanEval and APPS, and the judge's rating. */
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { codeIn, testsOf } from "../../src/align/rewards/code.js";
import { ratingIn } from "../../src/align/rewards/judge.js";
import { openRewards } from "../../src/align/rewards/open-rewards.js";
import type { Fields, RewardCall } from "../../src/align/rewards/reward.js";
import { chatAnswer, json, startServer } from "../infer/faulty-server.js";

const hasPython = (() => {
  try {
    execFileSync("python3", ["-c", ""]);
    return true;
  } catch {
    return false;
  }
})();

interface Judged {
  readonly messages: readonly { readonly content: string }[];
  readonly temperature: number;
}

const call = (completion: string, example: Fields, prompt = "Q"): RewardCall => {
  return { prompt, completion, example, place: "data.jsonl, line 7" };
};

async function score(name: string, calls: readonly RewardCall[]) {
  const rewards = await openRewards([name], { allowCode: true });
  try {
    return (await rewards.score(calls)).each[0];
  } finally {
    await rewards.close();
  }
}

const fenced = (language: string, code: string) => `Here it is:\n\`\`\`${language}\n${code}\n\`\`\`\nDone.`;

describe("code", () => {
  it("is the last block in the language, or the whole text", () => {
    const text = fenced("python", "a = 1") + fenced("js", "let a = 2;") + fenced("text", "out");
    expect(codeIn(text, undefined)).toMatchObject({ code: "let a = 2;", language: "javascript" });
    expect(codeIn(text, "python")).toMatchObject({ code: "a = 1", language: "python", isWhole: false });
    expect(codeIn("a = 1", "python")).toMatchObject({ code: "a = 1", isWhole: true });
    expect(codeIn("```python\na = 1", undefined)).toMatchObject({ code: "a = 1", isWhole: false });
  });

  it("has tests in the forms of several data sets", () => {
    expect(testsOf({ tests: "assert a" })).toEqual(["assert a"]);
    expect(testsOf({ tests: '["a", "b"]' })).toEqual(["a", "b"]);
    expect(testsOf({ test_list: ["a"], test_setup_code: "import b" })).toEqual(["import b\na"]);
    expect(testsOf({ test: "def check(f): pass", entry_point: "f" })).toEqual(["def check(f): pass\ncheck(f)\n"]);
    expect(testsOf({ input_output: '{"inputs": ["1"], "outputs": ["2"]}' })).toEqual([{ input: "1", output: "2" }]);
    expect(() => testsOf({ tests: [] })).toThrow(/has no test/);
    expect(() => testsOf({ tests: [3] })).toThrow(/must be code/);
    expect(() => testsOf({ input_output: { inputs: ["1"], outputs: [] } })).toThrow(/as many outputs/);
  });

  it("in JavaScript earns the share of tests that it passes", { timeout: 60_000 }, async () => {
    const example = {
      language: "javascript",
      tests: ["assert.equal(add(1, 2), 3)", "assert.equal(await add(2, 2), 4)", "assert.equal(add(0, 0), 0)"],
    };
    const completions = [
      fenced("js", "export function add(a, b) { return a + b; }"),
      "const add = (a, b) => a * b;",
      "function add( { ",
      fenced("js", "process.exit(0);"),
    ];
    const calls = completions.map((text) => call(text, example));
    expect(await score("code", calls)).toEqual([1, 2 / 3, 0, 0]);
    expect(await score("code:all=true", calls.slice(0, 2))).toEqual([1, 0]);
  });

  it("is compared by its output", { timeout: 60_000 }, async () => {
    const tests = [
      { input: "2\n", output: "4\n" },
      { input: "3\n", output: "6" },
    ];
    const double = 'console.log(2 * Number(require("node:fs").readFileSync(0, "utf8")) + " ");';
    expect(
      await score("code:language=javascript", [call(double, { tests }), call("console.log(4)", { tests })]),
    ).toEqual([1, 0.5]);
  });

  it.skipIf(!hasPython)("in Python earns the share of tests that it passes", { timeout: 60_000 }, async () => {
    const mbpp = { test_list: ["assert add(1, 2) == 3", "assert add(2, 2) == 4", "assert add(0, 0) == 0"] };
    const human = { entry_point: "add", test: "def check(f):\n    assert f(1, 2) == 3" };
    const head = 'def add(a, b):\n    """Adds."""\n';
    const calls = [
      call(fenced("python", "def add(a, b):\n    return a + b"), mbpp),
      call(fenced("python", "def add(a, b):\n    return a * b"), mbpp),
      call(fenced("python", "import sys\nsys.exit(0)"), mbpp),
      call(fenced("python", "def add(a, b):\n    while True: pass"), mbpp),
      call("    return a + b\n", human, head),
      call("    return a - b\n", human, head),
    ];
    expect(await score("code:seconds=2", calls)).toEqual([1, 2 / 3, 0, 0, 1, 0]);
  });
});

describe("a judge", () => {
  it("is understood with and without the word", () => {
    const cases: readonly (readonly [string, number | null])[] = [
      ["Rating: 7", 7],
      ["**Rating:** 7.5/10", 7.5],
      ["8/10", 8],
      ["3", 3],
      ["<think>1 or 2</think> rating 4", 4],
      ["between 3 and 4", null],
      ["Rating: 11", null],
      ["good", null],
    ];
    for (const [answer, rating] of cases) expect([answer, ratingIn(answer, 10)]).toEqual([answer, rating]);
  });

  it("rates between 0 and 1, is asked again without a rating, and then is an error", async () => {
    const asked: Judged[] = [];
    const server = await startServer(({ body }, response) => {
      const { messages, temperature } = body as unknown as Judged;
      asked.push({ messages, temperature });
      const isUnsure = messages[1].content.includes("unsure") && temperature === 0;
      const isSilent = isUnsure || messages[1].content.includes("silent");
      json(response, chatAnswer(isSilent ? "no idea" : "Rating: 8"));
    });
    const name = `judge:url=${server.baseUrl}:model=big:max=16`;
    try {
      expect(await score(name, [call("fine", { answer: "42" })])).toEqual([0.5]);
      expect(asked[0].messages[0].content).toMatch(/from 0 \(worst\) to 16/);
      expect(asked[0].messages[1].content).toMatch(
        /\[Prompt\]\nQ\n\n\[Reference answer\]\n42\n\n\[Answer to rate\]\nfine/,
      );
      expect(await score(name, [call("unsure", {})])).toEqual([0.5]);
      await expect(score(name, [call("silent", {})])).rejects.toThrow(
        /the reward judge failed \(big answered "no idea" without a rating\) for data\.jsonl, line 7/,
      );
      expect(asked.map(({ temperature }) => temperature)).toEqual([0, 0, 0.7, 0, 0.7, 0.7]);
    } finally {
      await server.close();
    }
  });
});
