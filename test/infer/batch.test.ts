/** Batched completions equal those decoded alone, whatever joins, leaves, shares a prompt or is aborted. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createDecoder,
  type Decoder,
  type DecoderOptions,
  type GenerateRequest,
  type PromptLogprob,
} from "../../src/infer/index.js";
import { loadFixture, type ModelFixture } from "../model/model-fixtures.js";
import { SLOW_BUILD, TARGETS } from "../model/targets.js";

const SEQUENCE = 80;
const sampling = { temperature: 1.1, topK: 0, endOfText: [] };
const promptOf = (length: number, salt = 0) => Array.from({ length }, (_, i) => (i * 31 + 7 + salt * i * i) % 83);

/** Prompts of many lengths: some outgrow the sequence, some share a prefix, some are identical. */
const requests: readonly GenerateRequest[] = [
  { prompt: promptOf(3), tokens: 9, seed: 1 },
  { prompt: promptOf(40), tokens: 20, seed: 2 },
  { prompt: promptOf(70, 1), tokens: 24, seed: 3, topP: 0.9, repetitionPenalty: 1.2 },
  { prompt: promptOf(70), tokens: 8, seed: 4, temperature: 0 },
  { prompt: promptOf(36), tokens: 1, seed: 5, n: 3 },
  { prompt: promptOf(44), tokens: 12, seed: 6, n: 4, minP: 0.02 },
  { prompt: promptOf(44), tokens: 5, seed: 9 },
  { prompt: promptOf(90, 2), tokens: 3, seed: 7, topK: 5 },
  { prompt: [5], tokens: 30, seed: 8, n: 2 },
].map((request) => ({ ...sampling, ...request }));

async function oneByOne(decoder: Decoder, request: GenerateRequest) {
  const completions = [];
  for (let i = 0; i < (request.n ?? 1); i++) {
    completions.push(...(await decoder.generate({ ...request, n: 1, seed: request.seed + i })));
  }
  return completions;
}

describe.each(TARGETS.slice(0, 2))("$name", { timeout: SLOW_BUILD }, ({ options }) => {
  let fixture: ModelFixture;
  const open: Decoder[] = [];
  const make = (more: DecoderOptions = {}) => {
    const config = { ...fixture.config, sequence: SEQUENCE };
    const decoder = createDecoder(config, (name) => fixture.floats(`parameter.${name}`), { ...options, ...more });
    open.push(decoder);
    return decoder;
  };
  beforeAll(async () => {
    fixture = await loadFixture("llama-grouped-tied");
  });
  afterAll(() => {
    for (const decoder of open) decoder.dispose();
  });

  it("returns the logits and log-probabilities of transformers", async () => {
    const [, , length] = fixture.shape("batches"); // the logits are of the first batch, without each text's last token
    const T = length - 1;
    const V = fixture.config.vocabSize;
    const decoder = make({ slots: 3 });
    await Promise.all(
      Array.from(fixture.integers("logit_rows"), async (row, i) => {
        const start = Math.floor(row / T) * length;
        const prompt = fixture.integers("batches").slice(start, start + (row % T) + 1);
        const logits = fixture.floats("logits").subarray(i * V, (i + 1) * V);
        const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
        let found = new Float32Array(0);
        const onLogits = (given: Float32Array) => {
          found = given.slice();
        };
        const [{ tokens }] = await decoder.generate({ ...sampling, prompt, tokens: 1, seed: row }, { onLogits });
        for (let id = 0; id < V; id++) expect(found[id]).toBeCloseTo(logits[id], 4);
        const [{ id, logprob, samplingLogprob }] = tokens;
        expect(logprob).toBeCloseTo(logits[id] - total, 4);
        const tempered = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit / 1.1), 0));
        expect(samplingLogprob).toBeCloseTo(logits[id] / 1.1 - tempered, 4);
      }),
    );
  });

  it("decodes each completion bit-identically to decoding it alone", async () => {
    const alone = make({ slots: 1 });
    const expected = [];
    for (const request of requests) expected.push(await oneByOne(alone, request));
    expect(expected[1][0].tokens).toHaveLength(20);
    for (const slots of [3, 8]) {
      const decoder = make({ slots });
      const found = await Promise.all(requests.map((request) => decoder.generate(request)));
      expect(found, `${slots} slots`).toEqual(expected);
    }
  });

  it("decodes the same bits whatever was cached before", async () => {
    const warm = make({ slots: 2, keepAnswers: true });
    const cold = make({ slots: 1 });
    const ask = async (decoder: Decoder, prompt: readonly number[], cached: number[] = []) => {
      const [{ tokens }] = await decoder.generate(
        { ...sampling, prompt, tokens: 6, seed: 3 },
        { onStart: ({ cachedTokens }) => void cached.push(cachedTokens) },
      );
      return tokens;
    };
    const text = promptOf(70, 1);
    const cached: number[] = [];
    for (const length of [38, 38, 36, 45, 64, 65, 70, 66, 33, 70]) {
      const prompt = text.slice(0, length);
      cold.reset();
      const expected = await ask(cold, prompt);
      expect(await ask(warm, prompt, cached), `${length} tokens`).toEqual(expected);
      const turn = [...prompt, ...expected.map(({ id }) => id), 5, 6, 7];
      cold.reset();
      expect(await ask(warm, turn, cached), `a second turn after ${length} tokens`).toEqual(await ask(cold, turn));
    }
    expect(cached.reduce((sum, count) => sum + count)).toBeGreaterThan(600);
  });

  it("returns the prompt's log-probabilities: those that decoding gives", async () => {
    const decoder = make({ slots: 3 });
    const prompt = promptOf(41, 1);
    const found = await new Promise<readonly PromptLogprob[]>((resolve, reject) => {
      decoder
        .generate(
          { ...sampling, prompt, tokens: 1, seed: 0, promptLogprobs: true, topLogprobs: 3 },
          { onPromptLogprobs: resolve },
        )
        .catch(reject);
    });
    expect(found.map(({ id }) => id)).toEqual(prompt);
    for (const i of [1, 8, 31, 32, 33, 40]) {
      let logprobs: number[] = [];
      await decoder.generate(
        { ...sampling, prompt: prompt.slice(0, i), tokens: 0, seed: 0 },
        {
          onLogits: (logits, total) => {
            logprobs = Array.from(logits, (logit) => logit - total);
          },
        },
      );
      expect(found[i].logprob).toBeCloseTo(logprobs[prompt[i]], 4);
      expect(found[i].top?.[0].logprob).toBeCloseTo(Math.max(...logprobs), 4);
    }
  });
});
