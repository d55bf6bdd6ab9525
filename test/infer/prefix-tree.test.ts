/** Windows with common beginnings: their rows, and their scores against each window by itself. */
import { describe, expect, it } from "vitest";
import { compileReference } from "../../src/backends/index.js";
import { createScorer, type Window } from "../../src/infer/index.js";
import { sortByTokens, treeRows } from "../../src/infer/prefix-tree.js";
import { type ModelConfig, modelVariables, tokenStatistics } from "../../src/model/index.js";
import { input } from "../../src/tensor/index.js";
import { random } from "../backends/operations.cases.js";
import { loadFixture, type ModelFixture } from "../model/model-fixtures.js";
import { pairsOf, SLOW_BUILD } from "../model/targets.js";

/**
 * Windows of up to `longest` tokens: questions after common examples, with choices that begin alike or have one token.
 * Some are equal, some have the context of others or the same tokens elsewhere in a text, and one has the longest context.
 */
function windowsOf(vocabulary: number, longest: number): Window[] {
  const next = random(11);
  const tokens = (count: number) => Array.from({ length: count }, () => Math.floor(next() * vocabulary));
  const windowOf = (context: readonly number[], continuation: readonly number[]): Window => {
    const ids = [...context, ...continuation].slice(-(longest + 1));
    return { ids, start: 0, length: ids.length - 1, from: ids.length - continuation.length };
  };
  const windows: Window[] = [];
  for (const examples of [[], tokens(2), tokens(Math.floor(longest / 3)), tokens(longest)]) {
    for (let question = 0; question < 3; question++) {
      const context = [...examples, ...tokens(1 + question * 3)];
      const stem = tokens(2);
      for (const ending of [[], tokens(1), tokens(4), tokens(4)]) windows.push(windowOf(context, [...stem, ...ending]));
      for (let choice = 0; choice < 4; choice++) windows.push(windowOf(context, [choice]));
      windows.push(windowOf(context, stem)); // again
    }
  }
  const [first] = windows;
  const text = [...tokens(3), ...Array.from(first.ids)];
  windows.push({ ids: text, start: 3, length: first.length, from: first.from + 3 });
  windows.push({ ids: text, start: 0, length: text.length - 1, from: 1 });
  return windows.sort((a, b) => a.ids[0] - b.ids[0] || a.length - b.length);
}

describe("rows of a tree", () => {
  const windows = windowsOf(7, 40);
  const tokensOf = ({ ids, start, length }: Window) => Array.from(ids).slice(start, start + length);

  it.each([40, 64, 100, 1000])("of %i tokens let each window see its own tokens only, once", (sequence) => {
    const rows = [...treeRows(sortByTokens(windows), sequence)];
    expect(new Set(rows.flatMap(({ windows }) => windows.map(({ window }) => window)))).toEqual(new Set(windows));
    for (const row of rows) {
      expect(row.ids.length).toBeLessThanOrEqual(sequence);
      const beginnings = new Set<string>();
      for (const { window, predictors } of row.windows) {
        const last = predictors[predictors.length - 1];
        const seen = row.ids.flatMap((_, at) => (at <= last && last < row.ends[at] ? [at] : []));
        expect(seen.map((at) => row.ids[at])).toEqual(tokensOf(window));
        expect(seen.map((at) => row.depths[at])).toEqual(seen.map((_, t) => t));
        expect(predictors).toEqual(seen.slice(window.from - 1 - window.start));
        for (let n = 1; n <= window.length; n++) beginnings.add(`${tokensOf(window).slice(0, n)}`);
      }
      expect(row.ids.length).toBe(beginnings.size);
    }
  });

  it("fill up in the order of tokens", () => {
    const of = (...ids: number[]): Window => ({ ids: [...ids, 0], start: 0, length: ids.length, from: ids.length });
    const [a, b, c, d] = [of(1, 2, 3), of(1, 2, 3, 4), of(1, 2, 5), of(6)];
    const rows = [...treeRows(sortByTokens([d, c, b, a]), 5)];
    expect(rows.map(({ ids, ends, depths }) => [ids, ends, depths])).toEqual([
      [
        [1, 2, 3, 4, 5],
        [5, 5, 4, 4, 5],
        [0, 1, 2, 3, 2],
      ],
      [[6], [1], [0]],
    ]);
    expect(rows[0].windows).toEqual([
      { window: a, predictors: [2] },
      { window: b, predictors: [3] },
      { window: c, predictors: [4] },
    ]);
  });
});

interface Scores {
  readonly nats: number[];
  readonly greedy: number[];
}

/** Scores each window in a row of its own, in float64. */
async function scoresAlone(fixture: ModelFixture, windows: readonly Window[]): Promise<Scores[]> {
  const { config } = fixture;
  const T = config.sequence;
  const [ids, targets] = ["ids", "targets"].map((name) => input(name, [1, T], "i32"));
  const { logProbability, isGreedy } = tokenStatistics(config, modelVariables(config), ids, targets);
  const program = compileReference({ score: { outputs: { logProbability, isGreedy } } });
  for (const name of modelVariables(config).keys()) program.write(name, fixture.floats(`parameter.${name}`));
  const scores: Scores[] = [];
  for (const { ids, start, length, from } of windows) {
    const [row, wanted] = [new Int32Array(T), new Int32Array(T).fill(-100)];
    for (let t = 0; t < length; t++) row[t] = ids[start + t];
    for (let t = from; t <= start + length; t++) wanted[t - 1 - start] = ids[t];
    await program.run("score", { ids: row, targets: wanted });
    const scored = (name: string) => [...program.readExact(name)].slice(from - 1 - start, length);
    scores.push({ nats: scored("logProbability").map((x) => -x), greedy: scored("isGreedy") });
  }
  return scores;
}

describe("windows with common beginnings", { timeout: SLOW_BUILD }, () => {
  const alone = new Map<string, Promise<Scores[]>>();
  const windowsFor = ({ vocabSize, sequence }: ModelConfig) => windowsOf(vocabSize, sequence);

  it.each(pairsOf(["gpt2-tied", "qwen3-biases-yarn", "llama-grouped-tied", "llama-biases-llama3"], 2, 1))(
    "of $fixture have the scores of each by itself on $on",
    async ({ fixture: name, target }) => {
      const fixture = await loadFixture(name);
      const windows = windowsFor(fixture.config);
      const expected = alone.get(name) ?? scoresAlone(fixture, windows);
      alone.set(name, expected);
      // All in one row, which is longer than the model's context; and in rows of its length, which repeat beginnings.
      for (const sequence of [undefined, fixture.config.sequence]) {
        const options = { ...target.options, greedy: true, sequence };
        const scorer = createScorer(fixture.config, (each) => fixture.floats(`parameter.${each}`), options);
        const scores = new Map<Window, Scores>();
        let [scored, batches] = [0, 0];
        await scorer.score(windows, {
          onWindow: (window, nats, greedy) => scores.set(window, { nats: [...nats], greedy: [...greedy] }),
          onScored: (tokens) => {
            scored += tokens;
            batches += 1;
          },
        });
        scorer.dispose();
        expect(scored).toBe(windows.reduce((sum, { start, length, from }) => sum + start + length + 1 - from, 0));
        if (sequence === undefined) expect(batches).toBe(1);
        else expect(batches).toBeGreaterThan(3);
        for (const [i, window] of windows.entries()) {
          const want = (await expected)[i];
          const got = scores.get(window) as Scores;
          expect(got.greedy).toEqual(want.greedy);
          expect(got.nats.length).toBe(want.nats.length);
          for (const [t, nats] of want.nats.entries()) expect(Math.abs(got.nats[t] - nats)).toBeLessThan(1e-4);
        }
      }
    },
  );

  it("that are equal have the same bits, and rows end when the signal aborts", async () => {
    const fixture = await loadFixture("llama-grouped-tied");
    const controller = new AbortController();
    const options = { backend: "reference", greedy: true, sequence: 8 } as const;
    const scorer = createScorer(fixture.config, (each) => fixture.floats(`parameter.${each}`), options);
    const window = (i: number): Window => ({ ids: [i, 2, 3, 4, 5, 6, 7], start: 0, length: 6, from: 3 });
    const seen: number[][] = [];
    const score = scorer.score([window(1), window(2), window(1)], {
      signal: controller.signal,
      onWindow: (_, nats) => seen.push([...nats]),
      onScored: () => controller.abort(new Error("enough")),
    });
    await expect(score).rejects.toThrow("enough");
    expect(seen.length).toBe(2);
    expect(seen[0]).toEqual(seen[1]);
    const long: Window = { ids: Array.from({ length: 70 }, () => 1), start: 0, length: 69, from: 3 };
    await expect(scorer.score([long], { onWindow: () => {} })).rejects.toThrow(
      "a window of 69 tokens is longer than 8",
    );
    scorer.dispose();
  });
});
