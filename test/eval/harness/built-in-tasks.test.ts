/** The generated tasks: complete, balanced, the same every time, and runnable without any data. */
import { describe, expect, it } from "vitest";
import { agreementPairs, PHENOMENA } from "../../../src/eval/harness/built-in/agreement.js";
import { arithmeticProblems } from "../../../src/eval/harness/built-in/arithmetic.js";
import {
  buildRequests,
  describeTasks,
  groupResults,
  listTasks,
  obstaclesOf,
  readTaskDocuments,
  TaskRegistry,
} from "../../../src/eval/harness/index.js";

const counts = (values: readonly string[]) => {
  const found: Record<string, number> = {};
  for (const value of values) found[value] = (found[value] ?? 0) + 1;
  return found;
};

describe("arithmetic", () => {
  const problems = arithmeticProblems();

  it("has every one-digit sum and difference once, and each answer 11 times", () => {
    expect(new Set(problems.map(({ question }) => question)).size).toBe(110);
    for (const { question, operation, answer } of problems) {
      const [, a, sign, b] = /^What is (\d) ([+-]) (\d)\?$/.exec(question)!;
      expect(answer).toBe(String(sign === "+" ? Number(a) + Number(b) : Number(a) - Number(b)));
      expect(operation).toBe(sign === "+" ? "addition" : "subtraction");
    }
    expect(Object.values(counts(problems.map(({ answer }) => answer)))).toEqual(Array(10).fill(11));
  });

  it("is the same every time, and mixed", () => {
    expect(arithmeticProblems()).toEqual(problems);
    expect(arithmeticProblems(1)).not.toEqual(problems);
    const first = problems.slice(0, 30).filter(({ operation }) => operation === "addition").length;
    expect(first).toBeGreaterThan(5);
    expect(first).toBeLessThan(25);
  });

  it("asks for one of ten digits, or for an answer", async () => {
    const { tasks } = new TaskRegistry().select(["arithmetic*"]);
    expect([...tasks.keys()]).toEqual(["arithmetic", "arithmetic_exact"]);
    const build = async (name: string, numFewshot: number) => {
      const task = tasks.get(name)!;
      expect(obstaclesOf(task)).toEqual([]);
      return buildRequests(task, await readTaskDocuments(task, numFewshot, {}), { numFewshot, limit: 2 });
    };
    const choices = await build("arithmetic", 0);
    expect(choices).toHaveLength(20);
    expect(choices[3]).toMatchObject({ context: problems[0].question, continuation: " 3", type: "loglikelihood" });
    const [generated] = await build("arithmetic_exact", 2);
    const context = generated.type === "generate_until" ? generated.context : "";
    expect(context).toMatch(/^(What is \d [+-] \d\? \d\n){2}What is \d [+-] \d\?$/);
    expect(context.endsWith(problems[0].question)).toBe(true);
    // An example is never the question itself.
    expect(context.indexOf(problems[0].question)).toBe(context.lastIndexOf(problems[0].question));
  });
});

describe("agreement", () => {
  it.each(PHENOMENA.map((phenomenon) => [phenomenon.name, phenomenon] as const))("%s is balanced", (_, phenomenon) => {
    const pairs = agreementPairs(phenomenon);
    expect(pairs.length).toBeGreaterThanOrEqual(200);
    expect(pairs.length).toBeLessThan(206);
    expect(agreementPairs(phenomenon)).toEqual(pairs);
    expect(new Set(pairs.map(({ sentence_good, sentence_bad }) => `${sentence_good}|${sentence_bad}`)).size).toBe(
      pairs.length,
    );
    // The two sentences differ in one word, and each form of it is right as often as it is wrong.
    const differences = pairs.map(({ sentence_good, sentence_bad }) => {
      const [good, bad] = [sentence_good, sentence_bad].map((sentence) => sentence.slice(0, -1).split(" "));
      expect(good.length).toBe(bad.length);
      const at = good.findIndex((word, i) => word !== bad[i]);
      expect(good.slice(at + 1)).toEqual(bad.slice(at + 1));
      return [good[at], bad[at]] as const;
    });
    expect(counts(differences.map(([good]) => good))).toEqual(counts(differences.map(([, bad]) => bad)));
    for (const { sentence_good } of pairs) expect(sentence_good).toMatch(/^[A-Z][a-z]+( [a-z]+)+\.$/);
  });

  it("puts a noun of the other number before the verb", () => {
    const [, prepositional, relative] = PHENOMENA;
    const pair = agreementPairs(prepositional)[0];
    const plural = /^The (\w+) (?:near|behind|next to|in front of) the (\w+) /.exec(pair.sentence_good)!;
    expect(pair.number).toBe("singular");
    expect(plural[1]).not.toMatch(/s$|mice|men|children/);
    expect(plural[2]).toMatch(/s$/);
    const clauses = agreementPairs(relative).map(({ sentence_good }) => sentence_good);
    expect(clauses.some((text) => /that \w+ed the \w+ /.test(text))).toBe(true);
    expect(clauses.some((text) => /that the \w+ \w+ed /.test(text))).toBe(true);
  });

  it("is a group whose mean counts each phenomenon the same", async () => {
    const { tasks, groups } = new TaskRegistry().select(["agreement"]);
    expect([...tasks.keys()]).toEqual(PHENOMENA.map(({ name }) => name));
    const results = new Map(
      [...tasks.keys()].map((name, i) => [name, { "acc,none": i / 5, "acc_stderr,none": 0.05, sample_len: 200 + i }]),
    );
    const result = groupResults(groups.get("agreement")!, results);
    expect(result["acc,none"]).toBeCloseTo(0.4, 12);
    expect(result["acc_stderr,none"]).toBeCloseTo(0.05 / Math.sqrt(5), 12);
    const task = tasks.get("agreement_simple")!;
    const requests = await buildRequests(task, await readTaskDocuments(task, 0, {}), { limit: 1 });
    const [pair] = agreementPairs(PHENOMENA[0]);
    expect(requests).toMatchObject([
      { context: "", continuation: pair.sentence_good },
      { context: "", continuation: pair.sentence_bad },
    ]);
  });
});

describe("the built-in tasks", () => {
  it("are listed and described with their chance levels", async () => {
    const { tasks, groups, runs, files } = await listTasks({ include: [] });
    expect(tasks.map(({ name }) => name)).toEqual([
      ...["anaphor", "determiner", "prepositional", "relative", "simple"].map((name) => `agreement_${name}`),
      ...["arithmetic", "arithmetic_exact"],
    ]);
    expect([groups, runs, files]).toEqual([[{ name: "agreement", file: "built in" }], 7, 0]);
    const described = await describeTasks({ task: "agreement", include: [] });
    expect(described[0]).toMatchObject({ kind: "group", runs: true });
    expect(described.slice(1).map(({ config }) => config.metadata)).toEqual(Array(5).fill({ version: 1, chance: 0.5 }));
  });
});
