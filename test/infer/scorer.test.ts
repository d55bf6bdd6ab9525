/** Nats of given tokens: windows against lm-evaluation-harness, losses against transformers, packed and unpacked. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  createDecoder,
  createScorer,
  modelPrograms,
  overlappingWindows,
  rollingWindows,
  type Window,
} from "../../src/infer/index.js";
import { packWindows } from "../../src/infer/windows.js";
import { loadFixture } from "../model/model-fixtures.js";
import { SLOW_BUILD, TARGETS } from "../model/targets.js";

const readJson = (name: string) =>
  JSON.parse(readFileSync(new URL(`../oracle/fixtures/${name}`, import.meta.url), "utf8")) as unknown;

describe("windows", () => {
  const { windows } = readJson("log-likelihoods.json") as {
    readonly windows: readonly {
      readonly tokens: number;
      readonly sequence: number;
      readonly context: number;
      readonly windows: readonly (readonly [input: number[], output: number[]])[];
    }[];
  };

  it.each(windows)(
    "roll over $tokens tokens in $sequence with $context of context, as lm-evaluation-harness's",
    (each) => {
      const { tokens, sequence, context } = each;
      const ids = Array.from({ length: tokens + 1 }, (_, i) => i);
      const spans = Array.from(rollingWindows(ids.length, sequence, context), ({ start, length, from }) => [
        ids.slice(start, start + length),
        ids.slice(from, start + length + 1),
      ]);
      expect(spans).toEqual(each.windows);
    },
  );

  it.each([
    [100, 16, 16],
    [100, 16, 5],
    [17, 16, 1],
    [2, 16, 8],
    [33, 8, 3],
  ])("of %i tokens in %i every %i score each token once, with enough context", (length, sequence, stride) => {
    const scored: number[] = [];
    for (const { start, length: read, from } of overlappingWindows(length, { given: 1, sequence, stride })) {
      expect(read).toBeLessThanOrEqual(sequence);
      if (start > 0) expect(from - start).toBeGreaterThanOrEqual(sequence - stride);
      for (let t = from; t <= start + read; t++) scored.push(t);
    }
    expect(scored).toEqual(Array.from({ length: length - 1 }, (_, i) => i + 1));
  });

  it("are packed without loss, in few rows", () => {
    let seed = 7;
    const draw = () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return 20 + ((seed >>> 16) % 41);
    };
    const windows = Array.from({ length: 1000 }, (_, i) => ({ i, length: draw() }));
    const rows = packWindows(windows, 128);
    expect(
      rows
        .flat()
        .map(({ i }) => i)
        .sort((a, b) => a - b),
    ).toEqual(windows.map(({ i }) => i));
    const total = windows.reduce((sum, { length }) => sum + length, 0);
    for (const row of rows) expect(row.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(128);
    expect(rows.length).toBeLessThan((1.06 * total) / 128);
  });
});

describe("the scorer", { timeout: SLOW_BUILD }, () => {
  const { cases } = readJson("perplexity.json") as {
    readonly cases: readonly {
      readonly ids: readonly number[];
      readonly given: number;
      readonly sequence: number;
      readonly stride: number;
      readonly nats: number;
    }[];
  };

  it.each(cases.map((each) => [each.ids.length, each.sequence, each.stride, each] as const))(
    "equals transformers' nats for %i tokens in windows of %i every %i",
    async (_length, sequence, stride, { ids, given, nats }) => {
      const fixture = await loadFixture("llama-grouped-tied");
      const scorer = createScorer(fixture.config, (name) => fixture.floats(`parameter.${name}`), TARGETS[1].options);
      const texts = [ids, [5], ids];
      const windows = texts.flatMap((ids, text) =>
        Array.from(overlappingWindows(ids.length, { given, sequence, stride }), (span) => ({ ids, text, ...span })),
      );
      const sums = texts.map(() => 0);
      let scored = 0;
      await scorer.score(windows, {
        onWindow: ({ text }, losses) => {
          for (const loss of losses) sums[text] += loss;
        },
        onScored: (tokens) => {
          scored += tokens;
        },
      });
      scorer.dispose();
      expect(Math.abs(sums[0] - nats) / nats).toBeLessThan(1e-5);
      expect(sums[1]).toBe(0);
      expect(sums[2]).toBeCloseTo(sums[0], 4);
      expect(scored).toBe(2 * (ids.length - given));
    },
  );

  it("reads a model's weights once for all its programs, and keeps them while one is open", async () => {
    const fixture = await loadFixture("llama-grouped-tied");
    const reads = new Map<string, number>();
    const read = (name: string) => {
      reads.set(name, (reads.get(name) ?? 0) + 1);
      return fixture.floats(`parameter.${name}`);
    };
    const { config } = fixture;
    const programs = modelPrograms(config, read, TARGETS[0].options);
    const scorer = createScorer(config, read, { programs, greedy: true });
    const decoder = createDecoder(config, read, { programs });
    const request = { prompt: [1, 2, 3], tokens: 4, seed: 1, endOfText: [], temperature: 0, topK: 0 };
    const [before] = await decoder.generate(request);
    const ids = [1, 2, 3, ...before.tokens.map(({ id }) => id)];
    const scores: { nats: number[]; greedy: number[] }[] = [];
    const score = () =>
      scorer.score([{ ids, start: 0, length: ids.length - 1, from: 3 }], {
        onWindow: (_, nats, greedy) => scores.push({ nats: [...nats], greedy: [...greedy] }),
      });
    await score();
    decoder.dispose();
    await score();
    scorer.dispose();
    expect(scores[1]).toEqual(scores[0]);
    // Greedily decoded tokens are the likeliest, with the decoder's log-probabilities.
    expect(scores[0].greedy).toEqual([1, 1, 1, 1]);
    for (const [i, { logprob }] of before.tokens.entries()) expect(scores[0].nats[i]).toBeCloseTo(-logprob, 4);
    expect(new Set(reads.values())).toEqual(new Set([1]));
  });

  // Rotary embeddings encode only distances; a position table must restart at each window of a row.
  it.each(["llama-grouped-tied", "qwen3-grouped-tied", "gpt2-tied"] as const)(
    "scores a window of %s the same whatever else is in its row",
    async (name) => {
      const fixture = await loadFixture(name);
      const options = { ...TARGETS[0].options, greedy: true };
      const scorer = createScorer(fixture.config, (each) => fixture.floats(`parameter.${each}`), options);
      const windows = Array.from({ length: 9 }, (_, i): Window => {
        const ids = Array.from({ length: 4 + i }, (_, t) => (7 * i + 11 * t) % fixture.config.vocabSize);
        return { ids, start: 0, length: ids.length - 1, from: 1 + (i % 3) };
      });
      const scoresOf = async (list: readonly Window[]) => {
        const scores = new Map<Window, { readonly nats: number[]; readonly greedy: number[] }>();
        await scorer.score(list, {
          onWindow: (window, nats, greedy) => scores.set(window, { nats: [...nats], greedy: [...greedy] }),
        });
        return scores;
      };
      const together = await scoresOf(windows);
      for (const window of windows) {
        const alone = (await scoresOf([window])).get(window);
        const packed = together.get(window);
        expect(packed?.nats.length).toBe(window.length - window.from + 1);
        expect(packed?.greedy).toEqual(alone?.greedy);
        for (const [t, nats] of (alone?.nats ?? []).entries()) expect(packed?.nats[t]).toBeCloseTo(nats, 4);
      }
      scorer.dispose();
    },
  );
});
