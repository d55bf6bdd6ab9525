/** @file Decoding on the `cuda` backend: keys split over blocks against `reference`, texts against the CPU's, the server, rollouts. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { compile, compileReference, type Program } from "../../../src/backends/index.js";
import { createDecoder, type Decoder, type DecoderOptions, typedWeights } from "../../../src/infer/index.js";
import { defineModel, initialValues, parametersOf, type StoredModel } from "../../../src/model/index.js";
import type { Entries } from "../../../src/tensor/index.js";
import * as q from "../../../src/tensor/index.js";
import { ADAMW_DEFAULTS, compileTrainer, languageModelTrainer } from "../../../src/train/index.js";
import { startServing } from "../../serve/serving.js";
import { randomNumbers } from "../stored-weights.js";
import { distance } from "./compare.js";
import { describeCuda } from "./device.js";

const [SLOTS, S, G, H, D] = [3, 300, 2, 4, 48];
const CACHES = ["f32", "bf16", "f16"] as const;
const WIDTHS = [1, 3] as const;

/** Attention of three tokens of each text, which sees up to 300 keys: five parts. */
function cacheEntries(): Entries {
  return Object.fromEntries(
    CACHES.flatMap((dtype) => {
      const [k, v] = ["k", "v"].map((name) => q.variable(`${name}/${dtype}`, [SLOTS, S, G, D], dtype));
      return WIDTHS.map((B) => {
        const perRow = (name: string) => q.input(`${name}${B}`, [B], "i32");
        const [position, rows, lengths] = [perRow("positions"), perRow("rows"), perRow("lengths")];
        const o = q.attention(q.input(`q${B}`, [B, 3, H, D]), k, v, { position, rows, lengths });
        return [`${dtype}/${B}`, { outputs: { [`o/${dtype}/${B}`]: o } }] as const;
      });
    }),
  );
}

describeCuda("cuda, keys of few queries in several blocks", () => {
  let program: Program;
  beforeAll(async () => {
    program = await compile(cacheEntries(), { backend: "cuda" });
  }, 900_000);
  afterAll(() => program?.dispose());

  it.each(CACHES)("a cache of %s matches reference, and each text has the bits that it has alone", async (dtype) => {
    const reference = compileReference(cacheEntries());
    const random = randomNumbers(7);
    const draw = (length: number) => Float32Array.from({ length }, () => 4 * random() - 2);
    const [k, v, queries] = [draw(SLOTS * S * G * D), draw(SLOTS * S * G * D), draw(3 * 3 * H * D)];
    for (const each of [program, reference]) {
      each.write(`k/${dtype}`, k);
      each.write(`v/${dtype}`, v);
    }
    for (const texts of [
      { positions: [297, 0, 63], lengths: [300, 3, 66], rows: [2, 0, 1] },
      // A row of padding, one that sees nothing, and one whose parts end early.
      { positions: [5, 40, 128], lengths: [8, 0, 130], rows: [-1, 2, 0] },
    ]) {
      const given = Object.fromEntries(Object.entries({ ...texts, q: queries }).map(([name, x]) => [`${name}3`, x]));
      for (const each of [program, reference]) await each.run(`${dtype}/3`, given);
      const o = await program.read(`o/${dtype}/3`);
      expect(distance(o, reference.readExact(`o/${dtype}/3`))).toBeLessThan(1e-5);
      const width = 3 * H * D;
      for (const row of [0, 1, 2]) {
        const one = (x: ArrayLike<number>, size: number) => Array.from(x).slice(row * size, (row + 1) * size);
        await program.run(`${dtype}/1`, {
          ...{ positions1: one(texts.positions, 1), lengths1: one(texts.lengths, 1), rows1: one(texts.rows, 1) },
          q1: one(queries, width),
        });
        expect(Array.from(await program.read(`o/${dtype}/1`))).toEqual(one(o, width));
      }
    }
  });
});

const config = defineModel({ layers: 2, width: 64, heads: 2, hidden: 64, vocabSize: 290, sequence: 160 });
const values = new Map(parametersOf(config).map((each) => [each.name, initialValues(each, 3).map((x) => x * 2)]));
const model: StoredModel = {
  ...{ path: "runs/first", config, endOfText: [], warnings: [], close: async () => {} },
  readParameter: async (name) => values.get(name) as Float32Array,
};
const text = Array.from({ length: 140 }, (_, i) => (i * i * 7 + 3 * i) % 290);
const greedy = { temperature: 0, topK: 0, endOfText: [], seed: 0, tokens: 6 };

async function take(decoder: Decoder, length: number) {
  const [{ tokens }] = await decoder.generate({ ...greedy, prompt: text.slice(0, length) });
  return tokens;
}

describeCuda("cuda, decoding", () => {
  const open = (options: DecoderOptions & { readonly weights?: "bf16" }) => {
    const { weights = "f32", ...others } = options;
    const { types, source } = typedWeights(model, weights);
    return createDecoder(config, source, { types, ...others });
  };

  it.each([
    ["fp32", {}],
    ["weights and cache in bf16", { weights: "bf16", kvDtype: "bf16" }],
    ["products and cache in bf16", { dtype: "bf16", kvDtype: "bf16" }],
  ] as const)(
    "%s: the CPU's text, and the same bits alone and beside other texts",
    { timeout: 1_200_000 },
    async (_, options) => {
      const decoders = [
        open({ ...options, slots: 1, backend: "cuda" }),
        open({ ...options, slots: 3, backend: "cuda" }),
        open({ ...options, slots: 3, backend: "cpu" }),
      ];
      const [alone, beside, onCpu] = decoders;
      const lengths = [7, 70, 139];
      const together = await Promise.all(lengths.map((length) => take(beside, length)));
      const expected = await Promise.all(lengths.map((length) => take(onCpu, length)));
      const ids = (tokens: readonly { readonly id: number }[]) => tokens.map(({ id }) => id);
      for (const [i, length] of lengths.entries()) {
        alone.reset();
        expect(await take(alone, length)).toEqual(together[i]);
        expect(ids(together[i])).toEqual(ids(expected[i]));
      }
      for (const decoder of decoders) decoder.dispose();
    },
  );

  it("samples from the weights of a training program, without a copy", { timeout: 1_200_000 }, async () => {
    const trainer = languageModelTrainer(config, { batch: 1, sequence: 16 });
    const settings = { optimizer: ADAMW_DEFAULTS, accumulate: 1, backend: "cuda", dtype: "bf16" } as const;
    const { program } = await compileTrainer(trainer, settings);
    for (const [name, data] of values) program.write(name, data);
    const rollouts = createDecoder(config, program, { backend: "cuda", dtype: "bf16", kvDtype: "bf16" });
    const onCpu = open({ dtype: "bf16", kvDtype: "bf16", backend: "cpu" });
    const sampled = await take(rollouts, 30);
    expect(rollouts.plan?.sharedBytes).toBeGreaterThan(0);
    expect(sampled.map(({ id }) => id)).toEqual((await take(onCpu, 30)).map(({ id }) => id));
    for (const each of [rollouts, onCpu, program]) each.dispose();
  });

  it("serves chats with a cache in bf16", { timeout: 1_200_000 }, async () => {
    const messages = [{ role: "user", content: "What is a quern?" }];
    const answers: string[] = [];
    for (const backend of ["cuda", "cpu"] as const) {
      const server = await startServing({ kvDtype: "bf16", target: { backend } });
      const body = { model: "tiny", messages, temperature: 0, max_tokens: 8 };
      const [answer, same] = await Promise.all([1, 2].map(() => server.ok("/v1/chat/completions", body)));
      expect(same.choices[0].message.content).toBe(answer.choices[0].message.content);
      answers.push(answer.choices[0].message.content);
      await server.close();
    }
    expect(answers[0]).toBe(answers[1]);
  });
});
