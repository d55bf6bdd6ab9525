/** LoRA adapters served beside their base. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loraPairs, openModel, writeAdapter } from "../../src/model/index.js";
import { SLOW_BUILD } from "../model/targets.js";
import { type Answer, startServing, type TestServing, TINY } from "./serving.js";

let folder: string;
let server: TestServing;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "quern-adapter-"));
  const { config, close } = await openModel(TINY);
  const lora = { rank: 4, alpha: 8, targets: ["q_proj", "v_proj"], dropout: 0, rankStabilized: false };
  const matrices = new Map(
    loraPairs(config, lora).flatMap(
      ({ a, b }) =>
        [
          [a.name, a],
          [b.name, b],
        ] as const,
    ),
  );
  const values = (name: string) => {
    const [rows, columns] = matrices.get(name)!.shape;
    return Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * 1.7 + name.length));
  };
  await writeAdapter(folder, config, lora, values, { base: TINY });
  await close();
  server = await startServing({ adapter: [`tuned=${folder}`] });
}, SLOW_BUILD);
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

describe("an adapter", { timeout: SLOW_BUILD }, () => {
  const request = { prompt: "the other on", max_tokens: 12, temperature: 0, logprobs: 1 };

  it("is listed with its base, which answers without a name", async () => {
    const { data } = await server.ok("/v1/models");
    expect(data.map(({ id, parent }: Answer) => [id, parent])).toEqual([
      ["tiny", undefined],
      ["tuned", "tiny"],
    ]);
    expect((await server.ok("/v1/completions", request)).model).toBe("tiny");
  });

  it("answers as the merged model does, while the base keeps its own answers", async () => {
    const before = await server.ok("/v1/completions", request);
    const both = await Promise.all(
      ["tuned", "tiny", "tuned"].map((model) => server.ok("/v1/completions", { ...request, model })),
    );
    const merged = await startServing({ model: [`merged=${folder}`] });
    const expected = await merged.ok("/v1/completions", request);
    await merged.close();
    const first = ({ choices }: Answer) => choices[0].logprobs.token_logprobs[0] as number;
    expect(first(both[0])).toBeCloseTo(first(expected), 3);
    expect(both[2].choices).toEqual(both[0].choices);
    expect(both[1].choices).toEqual(before.choices);
    expect(first(both[0])).not.toBeCloseTo(first(before), 3);
  });

  it("keeps its base in memory, and both unload when idle", async () => {
    const idle = await startServing({ adapter: [`tuned=${folder}`], idle: 3 });
    await idle.ok("/v1/completions", { ...request, model: "tuned" });
    const loaded = async () => {
      const { body } = await idle.call("/metrics");
      return (body as string).split("\n").filter((line) => /^quern_model_loaded\{.*\} 1$/.test(line)).length;
    };
    expect(await loaded()).toBe(2);
    await expect.poll(loaded, { timeout: 60_000 }).toBe(0);
    await idle.ok("/v1/completions", { ...request, model: "tuned" });
    await idle.close();
  });

  it("needs a base that is served", async () => {
    const other = join(folder, "no-model");
    await expect(startServing({ adapter: [`tuned=${other}`] })).rejects.toThrow(/no LoRA adapter/);
    await expect(startServing({ adapter: [`tiny=${folder}`] })).rejects.toThrow(/two models are named tiny/);
    await expect(startServing({ adapter: [folder] })).rejects.toThrow(/NAME=DIR/);
  });
});
