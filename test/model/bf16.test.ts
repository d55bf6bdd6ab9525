import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import { compile } from "../../src/backends/index.js";
import { forward, logits, modelVariables, tokenLosses } from "../../src/model/index.js";
import { gradients, input, mean, reshape } from "../../src/tensor/index.js";
import { batchOf, comparable, type FIXTURES, loadFixture, relativeDifference } from "./model-fixtures.js";
import { SLOW_BUILD } from "./targets.js";

/** Errors of PyTorch's bf16 relative to the exact results (test/oracle/bf16_distances.py). */
interface Distances {
  readonly logits: number;
  readonly all_gradients: number;
  readonly gradients: Readonly<Record<string, number>>;
}
const { models } = JSON.parse(
  readFileSync(new URL("../oracle/fixtures/bf16-distances.json", import.meta.url), "utf8"),
) as { readonly models: Readonly<Record<string, Distances>> };

// The interpreter with every family, the widest instruction set of the machine with the two most different ones.
const widest = runnableSets(await findCompiler())[0].name;
const families = ["gpt2-tied", "llama-full-free", "llama-grouped-tied", "qwen3-grouped-tied"] as const;
const cpu: readonly (readonly [(typeof FIXTURES)[number], string])[] = [
  ["gpt2-tied", "reference"],
  ["llama-full-free", "reference"],
  ["llama-grouped-tied", "reference"],
  ["qwen3-grouped-tied", "reference"],
  ["gpt2-tied", widest],
  ["llama-full-free", widest],
];
const pairs = process.env.QUERN_TEST_CUDA ? families.map((name) => [name, "cuda"] as const) : cpu;

describe.each(pairs)("%s in bf16 on %s", (name, target) => {
  it("has at most twice the error of PyTorch's bf16", { timeout: SLOW_BUILD }, async () => {
    const fixture = await loadFixture(name);
    const { batch, sequence, ids: tokens, targets: next } = batchOf(fixture, 0);
    const { config } = fixture;
    const weights = modelVariables(config);
    const names = [...weights.keys()];
    const [ids, targets] = [input("ids", [batch, sequence], "i32"), input("targets", [batch, sequence], "i32")];
    const loss = mean(tokenLosses(config, weights, ids, targets));
    const found = gradients(loss, [...weights.values()]);
    const hidden = reshape(forward(config, weights, ids).hidden, [batch * sequence, config.width]);
    const outputs = Object.fromEntries(names.map((key, i) => [`gradient.${key}`, found[i]]));
    const program = await compile(
      { main: { outputs: { loss, logits: logits(config, weights, hidden), ...outputs } } },
      {
        dtype: "bf16",
        ...(target === "reference" || target === "cuda"
          ? { backend: target }
          : { cpu: { instructionSet: target, threads: 2 } }),
      },
    );
    for (const key of names) program.write(key, fixture.floats(`parameter.${key}`));
    await program.run("main", { ids: tokens, targets: next });

    const theirs = models[name];
    const V = config.vocabSize;
    const all = await program.read("logits");
    const rows = Array.from(fixture.integers("logit_rows"), (row) => Array.from(all.subarray(row * V, (row + 1) * V)));
    const logitDistance = relativeDifference(rows.flat(), fixture.floats("logits"));
    expect(logitDistance).toBeLessThan(2 * theirs.logits);
    expect(logitDistance).toBeGreaterThan(1e-4); // it really is bf16
    const [ours, exact]: [number[], number[]] = [[], []];
    const tooFar: string[] = [];
    for (const key of names) {
      const [got, want] = [await program.read(`gradient.${key}`), fixture.floats(`gradient.${key}`)].map((values) =>
        Array.from(comparable(key, values)),
      );
      ours.push(...got);
      exact.push(...want);
      const distance = relativeDifference(got, want);
      if (!(distance < 2 * theirs.gradients[key])) tooFar.push(`${key}: ${distance}, PyTorch ${theirs.gradients[key]}`);
    }
    program.dispose();
    expect(tooFar).toEqual([]);
    expect(relativeDifference(ours, exact)).toBeLessThan(2 * theirs.all_gradients);
  });
});
