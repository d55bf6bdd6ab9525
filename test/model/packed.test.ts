/** Packed rows of several documents, which must not attend to each other. */
import { describe, expect, it } from "vitest";
import { compile } from "../../src/backends/index.js";
import { defineModel, initialValues, modelVariables, parametersOf, tokenLosses } from "../../src/model/index.js";
import { gradients, input, sum } from "../../src/tensor/index.js";
import { relativeDifference } from "./model-fixtures.js";
import { SLOW_BUILD, TARGETS } from "./targets.js";

const T = 40;
const LENGTHS = [17, 3, 20];
const segments = LENGTHS.flatMap((length, i) => new Array<number>(length).fill(i));
const ids = Array.from({ length: T }, (_, i) => (i * 29 + 7) % 50);
const targets = Array.from({ length: T }, (_, i) => (i * 31 + 3) % 50);

/** The documents in separate rows, padded at the end. */
function separateRows(values: readonly number[], padding: number): number[] {
  return LENGTHS.flatMap((length, i) => {
    const from = LENGTHS.slice(0, i).reduce((a, b) => a + b, 0);
    return [...values.slice(from, from + length), ...new Array<number>(T - length).fill(padding)];
  });
}

describe.each(TARGETS.slice(0, 2))("packed rows on $name", { timeout: SLOW_BUILD }, ({ options }) => {
  it.each(["llama", "qwen3"] as const)(
    "of a %s have the losses and gradients of separate documents",
    async (family) => {
      const model = defineModel({
        family,
        layers: 2,
        width: 32,
        heads: 4,
        keyValueHeads: 2,
        vocabSize: 50,
        sequence: T,
      });
      const weights = modelVariables(model);
      const entryOf = (name: string, rows: number, packed: boolean) => {
        const of = (what: string) => input(`${name}/${what}`, [rows, T], "i32");
        const losses = tokenLosses(
          model,
          weights,
          of("ids"),
          of("targets"),
          packed ? { segments: of("segments") } : {},
        );
        const found = gradients(sum(losses), [...weights.values()]);
        const outputs = Object.fromEntries([...weights.keys()].map((key, i) => [`${name}/gradient.${key}`, found[i]]));
        return { outputs: { [`${name}/losses`]: losses, ...outputs } };
      };
      const program = await compile(
        { packed: entryOf("packed", 1, true), alone: entryOf("alone", 3, false) },
        { ...options, cpu: { ...options.cpu, threads: 2 } },
      );
      for (const parameter of parametersOf(model)) {
        // Sharp attention, so that any leak between documents has an effect.
        program.write(
          parameter.name,
          initialValues(parameter, 1).map((value) => (parameter.kind === "vector" ? 3 * value : 8 * value)),
        );
      }
      await program.run("packed", { "packed/ids": ids, "packed/targets": targets, "packed/segments": segments });
      await program.run("alone", { "alone/ids": separateRows(ids, 0), "alone/targets": separateRows(targets, -100) });
      const alone = [...(await program.read("alone/losses"))].filter((_, i) => i % T < LENGTHS[Math.floor(i / T)]);
      const near = 1e-4; // rotation tables are float32, so equal distances at different positions differ slightly
      expect(relativeDifference(await program.read("packed/losses"), Float64Array.from(alone))).toBeLessThan(near);
      for (const name of weights.keys()) {
        const [packed, other] = [
          await program.read(`packed/gradient.${name}`),
          await program.read(`alone/gradient.${name}`),
        ];
        expect(relativeDifference(packed, Float64Array.from(other)), name).toBeLessThan(near);
      }
      program.dispose();
    },
  );

  it("of gpt2 do not leak between documents", async () => {
    const model = defineModel({ family: "gpt2", layers: 2, width: 32, heads: 4, vocabSize: 50, sequence: T });
    const of = (what: string) => input(what, [1, T], "i32");
    const losses = tokenLosses(model, modelVariables(model), of("ids"), of("targets"), { segments: of("segments") });
    const program = await compile(
      { losses: { outputs: { losses } } },
      { ...options, cpu: { ...options.cpu, threads: 2 } },
    );
    for (const parameter of parametersOf(model))
      program.write(
        parameter.name,
        initialValues(parameter, 1).map((v) => 8 * v),
      );
    const lossesOf = async (tokens: readonly number[]) => {
      await program.run("losses", { ids: tokens, targets, segments });
      return [...(await program.read("losses"))];
    };
    const [before, after] = [await lossesOf(ids), await lossesOf(ids.map((id, i) => (i === 5 ? (id + 1) % 50 : id)))];
    const changed = before.flatMap((loss, i) => (loss === after[i] ? [] : [i]));
    expect(changed.at(0)).toBe(5);
    expect(changed.at(-1)).toBe(LENGTHS[0] - 1);
    program.dispose();
  });
});
