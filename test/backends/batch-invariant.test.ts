/** Batch-invariant products and a decoder's whole step: each row has the same bits as when it runs alone, on every target. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import { compile, type Program } from "../../src/backends/index.js";
import {
  defineModel,
  forward,
  initialValues,
  keyValueCache,
  logits,
  modelVariables,
  parametersOf,
} from "../../src/model/index.js";
import * as q from "../../src/tensor/index.js";
import { random } from "./operations.cases.js";

const compiler = await findCompiler();
const targets = [...new Set([...runnableSets(compiler).map((set) => set.name), "wasm"])];

const ROWS = [1, 2, 3, 5, 8, 17, 64];
const MOST = 64;
/** Outputs and width: whole vectors and groups, and edge sizes. */
const SHAPES = [
  [64, 64],
  [71, 150],
  [5, 7],
];
const products = Object.fromEntries(
  SHAPES.flatMap(([N, K]) => {
    const [w, bias] = [q.variable(`w ${N}x${K}`, [N, K]), q.variable(`bias ${N}x${K}`, [N])];
    return ROWS.map((M) => {
      const x = q.input(`x ${M}x${K}`, [M, K]);
      const y = q.silu(q.linear(x, w, bias, { batchInvariant: true }));
      return [`${M}x${N}x${K}`, { outputs: { [`y ${M}x${N}x${K}`]: y } }] as const;
    });
  }),
);

const LLAMA = { width: 48, heads: 4, keyValueHeads: 2, feedForward: 56, layers: 2, vocabSize: 99, sequence: 40 };
const config = defineModel(LLAMA);
const weights = modelVariables(config);
const [SLOTS, BATCHES, CHUNKS] = [9, [1, 4, 9], [1, 6]];
const cache = keyValueCache(config, SLOTS, 40);
/** Chunks of T tokens of B sequences, in any slots. */
const steps = Object.fromEntries(
  BATCHES.flatMap((B) =>
    CHUNKS.map((T) => {
      const [position, lengths, rows] = ["position", "lengths", "rows"].map((x) => q.input(`${x} ${B}`, [B], "i32"));
      const ids = q.input(`ids ${B}x${T}`, [B, T], "i32");
      const { hidden, assign } = forward(config, weights, ids, { cache, position, lengths, rows });
      const scores = logits(config, weights, q.reshape(hidden, [B * T, config.width]));
      return [`step ${B}x${T}`, { outputs: { [`logits ${B}x${T}`]: scores }, assign }] as const;
    }),
  ),
);

const draw = random(11);
const numbers = (count: number) => Float32Array.from({ length: count }, () => 2 * draw() - 1);

describe.each(targets.flatMap((target) => (["fp32", "bf16"] as const).map((dtype) => [target, dtype] as const)))(
  "rows in any batch on cpu, %s, %s",
  (target, precision) => {
    let program: Program;
    beforeAll(async () => {
      program = await compile(
        { ...products, ...steps },
        { cpu: { instructionSet: target, threads: 2 }, dtype: precision },
      );
      for (const parameter of parametersOf(config)) program.write(parameter.name, initialValues(parameter, 3));
    }, 300_000);
    afterAll(() => program.dispose());

    it("a product has the same bits for any number of rows", async () => {
      for (const [N, K] of SHAPES) {
        program.write(`w ${N}x${K}`, numbers(N * K));
        program.write(`bias ${N}x${K}`, numbers(N));
        const x = numbers(MOST * K);
        const alone = new Float32Array(MOST * N);
        for (let m = 0; m < MOST; m++) {
          await program.run(`1x${N}x${K}`, { [`x 1x${K}`]: x.subarray(m * K, (m + 1) * K) });
          alone.set(await program.read(`y 1x${N}x${K}`), m * N);
        }
        for (const M of ROWS) {
          await program.run(`${M}x${N}x${K}`, { [`x ${M}x${K}`]: x.subarray(0, M * K) });
          expect(await program.read(`y ${M}x${N}x${K}`), `${M} rows`).toEqual(alone.subarray(0, M * N));
        }
      }
    });

    it.each(CHUNKS)("a sequence has the same logits alone and in a batch, chunks of %i", async (T) => {
      const V = config.vocabSize;
      const texts = Array.from({ length: SLOTS }, () => Array.from({ length: 2 * T }, () => Math.floor(draw() * V)));
      /** Logits of a sequence's last chunk, in batches of B; sequence i is in slot (i + shift) % SLOTS. */
      const speak = async (B: number, shift: number): Promise<Float32Array[]> => {
        const found: Float32Array[] = [];
        for (let first = 0; first < SLOTS; first += B) {
          const batch = Array.from({ length: B }, (_, b) => first + b);
          const has = (i: number) => i < SLOTS;
          for (const at of [0, T]) {
            await program.run(`step ${B}x${T}`, {
              [`ids ${B}x${T}`]: batch.flatMap((i) => texts[i % SLOTS].slice(at, at + T)),
              [`position ${B}`]: batch.map(() => at),
              [`lengths ${B}`]: batch.map((i) => (has(i) ? at + T : 0)),
              [`rows ${B}`]: batch.map((i) => (has(i) ? (i + shift) % SLOTS : -1)),
            });
          }
          const scores = await program.read(`logits ${B}x${T}`);
          for (const [b, i] of batch.entries()) if (has(i)) found.push(scores.slice(b * T * V, (b + 1) * T * V));
        }
        return found;
      };
      const alone = await speak(1, 0);
      expect(new Set(alone.map((scores) => scores[0])).size).toBe(SLOTS);
      for (const B of BATCHES) expect(await speak(B, B), `batches of ${B}`).toEqual(alone);
    });
  },
);
