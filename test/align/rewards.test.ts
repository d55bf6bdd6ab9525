/** Rewards: values against lm-eval's and TRL's functions, options, files, and what goes wrong. */
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Content } from "../../src/align/data/examples.js";
import { chosenIndex, finalNumber } from "../../src/align/rewards/answers.js";
import { softOverlong } from "../../src/align/rewards/form.js";
import { valuesOf } from "../../src/align/rewards/latex-value.js";
import { boxedAnswer, finalAnswer, hendrycks, isSameAnswer, minerva } from "../../src/align/rewards/math.js";
import { openRewards, type RewardsOptions } from "../../src/align/rewards/open-rewards.js";
import type { Fields, Reward, RewardCall } from "../../src/align/rewards/reward.js";
import { POLICY, readFixture, scratch } from "./fixtures.js";

interface Answers {
  readonly hendrycks: readonly (readonly [string, string | null])[];
  readonly minerva: readonly (readonly [string, string])[];
  readonly boxed: readonly (readonly [string, string | null, string | null, string])[];
  readonly equivalent: readonly (readonly [string, string, boolean])[];
  readonly gsm8k: readonly (readonly [string, string, { readonly strict: number; readonly flexible: number }])[];
  readonly choices: readonly string[];
  readonly letters: readonly (readonly [string, string])[];
}
interface TrlData {
  readonly soft_overlong: { max: number; cache: number; lengths: readonly number[]; rewards: readonly number[] };
  readonly think_format: { readonly in: readonly string[]; readonly out: readonly number[] };
}

const answers = readFixture<Answers>("answers.json");
const trl = readFixture<TrlData>("trl-rewards.json");
const files = scratch();
afterAll(() => files.remove());

const call = (completion: string, example: Fields = {}, more: Partial<RewardCall> = {}): RewardCall => {
  return { prompt: "Q", completion, example, place: "data.jsonl, line 7", ...more };
};

async function score(reward: string | Reward, calls: readonly RewardCall[], options?: RewardsOptions) {
  const rewards = await openRewards([reward], options);
  try {
    return (await rewards.score(calls)).each[0];
  } finally {
    await rewards.close();
  }
}

describe("answers of MATH", () => {
  it("are normalised as by the data set's authors", () => {
    for (const [answer, normalized] of answers.hendrycks)
      expect([answer, hendrycks(answer)]).toEqual([answer, normalized]);
  });

  it("are normalised as by Minerva", () => {
    for (const [answer, normalized] of answers.minerva) expect([answer, minerva(answer)]).toEqual([answer, normalized]);
  });

  it("are found in their boxes", () => {
    for (const [text, box, content, said] of answers.boxed) {
      // lm-eval takes no \fbox apart.
      expect([text, boxedAnswer(text)]).toEqual([text, content ?? (box === null ? null : "3")]);
      if (said !== "[invalidanswer]") expect(finalAnswer(text)).toBe(said.replace(/^\$(.*)\$$/, "$1"));
    }
  });

  it("are equal wherever lm-eval finds them equal, and by value", () => {
    for (const [a, b, isEqual] of answers.equivalent)
      if (isEqual && a !== "\\frac") expect([a, b, isSameAnswer(a, b)]).toEqual([a, b, true]);
    const same = [
      ["2/4", "\\frac12"],
      ["\\frac{\\sqrt{8}}{2}", "\\sqrt2"],
      ["1,000", "1000"],
      ["\\text{Evelyn}", "Evelyn"],
      ["2\\frac{1}{3}", "\\frac{7}{3}"],
      ["3\\times 10^{5}", "300000"],
      ["-\\dfrac{3}{4}", "-0.75"],
      ["(1, \\frac{1}{2})", "(1, 0.5)"],
      ["\\left[2,5\\right)", "[2, 5)"],
      ["50\\%", "50"],
      ["90^\\circ", "90"],
      ["2\\pi", "\\pi \\cdot 2"],
    ];
    for (const [a, b] of same) expect([a, b, isSameAnswer(a, b)]).toEqual([a, b, true]);
    const different = [
      ["(1,2)", "[1,2]"],
      ["(1,2)", "(2,1)"],
      ["7", "8"],
      ["x+1", "x+2"],
      ["", ""],
      ["1/0", "2/0"],
      ["12", "1,2"],
    ];
    for (const [a, b] of different) expect([a, b, isSameAnswer(a, b)]).toEqual([a, b, false]);
  });

  it("have no value if they are long, nested or no expression", () => {
    expect(valuesOf("(".repeat(100_000))).toBeNull();
    for (const text of ["", "x", "1+", "\\frac{1}", "{", "2^", "\\sqrt{-1}"]) expect(valuesOf(text)).toBeNull();
  });

  it("are rewarded", async () => {
    const example = { answer: "\\frac{1}{2}" };
    const texts = [
      "so \\boxed{1/2}",
      "<think>\\boxed{3}</think> The answer is $0.5$.",
      "\\boxed{1/2} no, \\boxed{2}",
      "x\ny",
      "",
    ];
    expect(
      await score(
        "math",
        texts.map((text) => call(text, example)),
      ),
    ).toEqual([1, 1, 0, 0, 0]);
    expect(await score("math", [call("\\boxed{4}", { solution: "2+2 is $\\boxed{4}$." })])).toEqual([1]);
  });
});

describe("numeric answers", () => {
  it("are those of lm-eval's GSM8K, strict and flexible", async () => {
    const calls = answers.gsm8k.map(([completion, answer]) => call(completion, { answer }));
    const strict = answers.gsm8k.map(([completion, , expected]) => (completion === "#### $5" ? 1 : expected.strict));
    expect(await score("numeric:strict=true", calls)).toEqual(strict);
    expect(await score("gsm8k", calls)).toEqual(answers.gsm8k.map(([, , { flexible }]) => flexible));
  });

  it("ignore units, currencies and the way of writing", () => {
    const cases: readonly (readonly [string, number | null])[] = [
      ["That is 1,234.50 dollars", 1234.5],
      ["$18.00.", 18],
      ["about 3/4 of it", 0.75],
      ["it is −5 °C", -5],
      ["from 3-4 to 9-12", 12],
      ["take x2 and B12", null],
      ["50% of them", 50],
      ["#### 12 apples, 3 left", 12],
      [".5", 0.5],
    ];
    for (const [text, value] of cases) expect([text, finalNumber(text)]).toEqual([text, value]);
  });
});

describe("other answers", () => {
  it("exact ones differ in case, spaces and full stops at most", async () => {
    const texts = [
      "Paris",
      " paris. ",
      '"PARIS"',
      "<think>Rome?</think>\nParis",
      "so <answer>Paris</answer>",
      "Paris, France",
    ];
    expect(
      await score(
        "exact",
        texts.map((text) => call(text, { answer: "Paris" })),
      ),
    ).toEqual([1, 1, 1, 1, 1, 0]);
    expect(await score("exact", [call("two", { answer: ["2", "two"] }), call("7", { answer: 7 })])).toEqual([1, 1]);
  });

  it("choices are named wherever lm-eval finds them, and by their letter alone", async () => {
    for (const [text, letter] of answers.letters) {
      // lm-eval takes the first letter of a text that weighs several; here the answer comes last.
      if (letter === "[invalid]" || text.startsWith("(A) is wrong")) continue;
      expect([text, chosenIndex(text, answers.choices)]).toEqual([text, letter.charCodeAt(1) - 65]);
    }
    const texts = [
      "B",
      "B.",
      "**B**",
      "Answer: b)",
      "\\boxed{\\text{B}}",
      "(A) is wrong, so (B)",
      "The correct answer is option B, as said.",
      "dark blue",
      "no idea",
      "A dog",
    ];
    const example = { answer: "B", choices: answers.choices };
    const values = await score(
      "choice",
      texts.map((text) => call(text, example)),
    );
    expect(values).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
    const others = [
      { answer: 1, choices: answers.choices },
      { answerKey: "B" },
      { answer: "dark blue", choices: answers.choices },
    ];
    expect(
      await score(
        "multiple-choice",
        others.map((each) => call("B", each)),
      ),
    ).toEqual([1, 1, 1]);
  });
});

describe("the form", () => {
  it("has TRL's values for lengths and thinking", async () => {
    const { max, cache, lengths, rewards } = trl.soft_overlong;
    const calls = lengths.map((tokens) => call("", {}, { tokens }));
    expect(await score(`soft_overlong:max=${max}:cache=${cache}`, calls)).toEqual(rewards);
    expect([softOverlong(5, 5, 0), softOverlong(6, 5, 0)]).toEqual([0, -1]);
    const { in: texts, out } = trl.think_format;
    expect(
      await score(
        "think_format",
        texts.map((text) => call(text)),
      ),
    ).toEqual(out);
  });

  it("has a target length in tokens, words or characters", async () => {
    const calls = [call("a b c d", {}, { tokens: 4 }), call("é", {}, { tokens: 9 })];
    expect(await score("length:target=4", calls)).toEqual([1, 0]);
    expect(await score("length:target=4:unit=words", calls)).toEqual([1, 0.25]);
    expect(await score("length:target=2:unit=characters", calls)).toEqual([0, 0.5]);
    await expect(score("length:target=4", [call("a")])).rejects.toThrow(/choose words or characters/);
  });

  it("matches patterns of the option or the example", async () => {
    expect(await score("regex:pattern=^a:b+$:flags=i", [call("A:bb"), call("ab")])).toEqual([1, 0]);
    expect(await score("regex", [call("x1", { pattern: "\\d" })])).toEqual([1]);
    await expect(score("regex:pattern=(", [])).rejects.toThrow(/no regular expression/);
    await expect(score("regex:pattern=^(a+)+$", [call(`${"a".repeat(60)}b`)])).rejects.toThrow(
      /searched longer than 1 s/,
    );
  });

  it("validates JSON against a schema", async () => {
    const schema = {
      type: "object",
      required: ["n"],
      properties: { n: { type: "integer" } },
      unevaluatedProperties: false,
    };
    const texts = ['{"n": 1}', '```json\n{"n": 1}\n```', '{"n": 1.5}', '{"n": 1, "m": 2}', "n = 1"];
    const calls = texts.map((text) => call(text, { schema }));
    expect(await score("json", calls)).toEqual([1, 1, 0, 0, 0]);
    writeFileSync(files.path("schema.json"), JSON.stringify(schema));
    expect(await score(`json:schema=${files.path("schema.json")}`, calls)).toEqual([1, 1, 0, 0, 0]);
    await expect(score("json", [call("1", { schema: { type: "nothing" } })])).rejects.toThrow(/JSON Schema is invalid/);
  });
});

describe("several rewards", () => {
  it("are added with their weights under names of their own", async () => {
    const rewards = await openRewards(["regex:pattern=a", "regex:pattern=b", (_, text) => text.length], {
      weights: [1, 10, 0.5],
    });
    expect(rewards.names).toEqual(["regex", "regex_2", "reward"]);
    const { total, each } = await rewards.score([call("a"), call("ab"), call("xyz")]);
    expect([Array.from(total), each]).toEqual([
      [1.5, 12, 1.5],
      [
        [1, 1, 0],
        [0, 1, 0],
        [1, 2, 3],
      ],
    ]);
    await rewards.close();
  });

  it("take conversations as messages", async () => {
    const completion = [{ role: "assistant", content: "Paris" }];
    const turns = call("", { answer: "paris" }, { prompt: [{ role: "user", content: "capital?" }], completion });
    expect(await score("exact", [turns])).toEqual([1]);
    expect(await score((prompt, text) => prompt.length + text.length, [turns])).toEqual([2]);
  });

  it("score with the model of a folder", async () => {
    const closed: string[] = [];
    const openModel = async (path: string) => ({
      score: async (texts: readonly Content[]) => texts.map(({ length }) => length - 3),
      dispose: async () => void closed.push(path),
    });
    const folder = files.path(".");
    const turns = call("", {}, { prompt: [{ role: "user", content: "?" }], completion: [{ role: "assistant" }] });
    expect(await score(folder, [call("four"), call("x"), turns], { openModel })).toEqual([2, -1, -1]);
    expect(closed).toEqual([folder]);
    await expect(openRewards([POLICY])).rejects.toThrow(/is a language model, not a reward model/);
  });
});

describe("a reward that fails is one error that names the row", () => {
  const where = /the reward \w+ .* for data\.jsonl, line 7, completion "hello"/;

  it.each<[string, Reward, RegExp]>([
    ["throws", () => Promise.reject(new Error("oops")), /failed \(oops\)/],
    ["throws at once", () => JSON.parse("{"), /failed \(.*JSON/],
    ["returns NaN", () => Number.NaN, /returned NaN/],
    ["returns Infinity", () => 1 / 0, /returned Infinity/],
    ["returns a text", () => "1" as unknown as number, /returned a value of type string instead of a number/],
    ["returns nothing", () => undefined as unknown as number, /returned nothing/],
    ["never returns", () => new Promise(() => {}), /returned nothing within 0.2 seconds/],
  ])("%s", async (_, reward, reason) => {
    const scoring = score(reward, [call("hello")], { timeoutSeconds: 0.2 });
    await expect(scoring).rejects.toThrow(reason);
    await expect(scoring).rejects.toThrow(where);
  });

  it("and has no answer", async () => {
    for (const name of ["exact", "numeric", "math", "choice", "code"]) {
      const scoring = score(name, [call("hello", { question: "?" })], { allowCode: true });
      await expect(scoring).rejects.toThrow(/its fields are question/);
      await expect(scoring).rejects.toThrow(where);
    }
  });

  it("stops the other calls, and by the signal", async () => {
    let calls = 0;
    const slow: Reward = async (_, text) => {
      calls += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (text === "bad") throw new Error("bad");
      return 1;
    };
    const many = Array.from({ length: 50 }, (_, i) => call(i === 0 ? "bad" : "good"));
    await expect(score(slow, many, { concurrency: 2 })).rejects.toThrow(/failed \(bad\)/);
    expect(calls).toBeLessThan(5);
    const rewards = await openRewards([() => new Promise(() => {})]);
    const stop = new AbortController();
    const scoring = rewards.score([call("a")], { signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(scoring).rejects.toThrow("enough");
  });
});

describe("names and options", () => {
  it.each([
    ["exakt", /there is no reward exakt: .* did you mean exact\?/],
    ["length", /target is missing of the reward length|target/],
    ["length:targt=3", /unknown option targt of the reward length; did you mean target\?/],
    ["length:target=0", /target must be at least 1, not "?0"?/],
    ["missing.ts", /cannot read .*missing\.ts/],
  ])("%s", async (name, reason) => {
    await expect(openRewards([name])).rejects.toThrow(reason);
  });

  it("needs as many weights as rewards", async () => {
    await expect(openRewards(["exact"], { weights: [1, 2] })).rejects.toThrow(/1 rewards? but 2 weights/);
    await expect(openRewards([])).rejects.toThrow(/no reward is given/);
  });
});

describe("a reward file", () => {
  const file = (name: string, text: string) => {
    writeFileSync(files.path(name), text);
    return files.path(name);
  };
  let good: string;
  beforeAll(() => {
    good = file(
      "words.ts",
      `import { basename } from "node:path";
       console.log("printed by a reward");
       export const reward = async (prompt: string, completion: string, example: { bonus: number }): Promise<number> =>
         completion.split(" ").length + example.bonus + basename(prompt).length;`,
    );
  });

  it("exports reward, or a default function", async () => {
    expect(await score(good, [call("a b", { bonus: 10 }), call("a", { bonus: 0 })])).toEqual([13, 2]);
    expect(await score(file("one.mjs", "export default () => 1;"), [call("a")])).toEqual([1]);
    expect(await score(file("two.cjs", "module.exports = () => 2;"), [call("a")])).toEqual([2]);
    const rewards = await openRewards([good]);
    expect(rewards.names).toEqual(["words"]);
    expect(await rewards.score([])).toMatchObject({ each: [[]] });
    await rewards.close();
  });

  it("may import Quern", async () => {
    const path = file(
      "quern.ts",
      'import { CHAT_FORMATS } from "quern/align"; export default () => Object.keys(CHAT_FORMATS).length;',
    );
    expect((await score(path, [call("a")]))[0]).toBeGreaterThan(2);
  });

  it("says what is wrong with it", async () => {
    await expect(openRewards([file("syntax.ts", "export const = 1")])).rejects.toThrow(/syntax\.ts cannot be loaded/);
    await expect(openRewards([file("none.ts", "export const a = 1;")])).rejects.toThrow(
      /exports no reward.*it exports a/,
    );
    await expect(openRewards([file("throws.ts", 'throw new Error("no data")')])).rejects.toThrow(/no data/);
    const path = file("bad.ts", '\nexport default (_, text) => { throw new Error("oops"); }');
    await expect(score(path, [call("hello")])).rejects.toThrow(
      /the reward bad failed \(oops at .*bad\.ts:2:\d+\) for data\.jsonl, line 7, completion "hello"/,
    );
  });

  it("is stopped when it never returns, even in a loop", { timeout: 120_000 }, async () => {
    const calls = [call("fine"), call("hello")];
    const loop = file("loop.ts", 'export default (_, text) => { while (text === "hello"); return 1; }');
    await expect(openRewards([file("stuck.ts", "while (true);")], { timeoutSeconds: 0.1 })).rejects.toThrow(
      /does not load/,
    );
    const waits = file("waits.ts", 'export default (_, text) => text === "hello" ? new Promise(() => {}) : 1;');
    for (const path of [loop, waits]) {
      await expect(score(path, calls, { timeoutSeconds: 3 })).rejects.toThrow(
        /returned nothing within 3 seconds for data\.jsonl, line 7, completion "hello"/,
      );
    }
  });
});
