import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { findCompiler } from "../../src/backends/cpu/toolchain.js";
import { compile } from "../../src/backends/index.js";
import { graphKey } from "../../src/backends/program-key.js";
import * as q from "../../src/tensor/index.js";

const table = (values: readonly number[]) => q.constant(Float32Array.from(values), [values.length]);

interface Changed {
  readonly number?: number;
  readonly values?: readonly number[];
  readonly output?: string;
  readonly variable?: string;
  readonly length?: number;
  readonly assigned?: boolean;
  readonly swapped?: boolean;
}

/** A small program with one replaceable part. */
function trace(changed: Changed = {}): q.Entries {
  const { number = 2, values = [1, 2, 3], output = "y", variable = "w", length = 3 } = changed;
  const [x, w] = [q.input("x", [4, length]), q.variable(variable, [4, length])];
  const scaled = q.mul(q.add(x, length === 3 ? table(values) : 0), number);
  const y = changed.swapped ? q.sub(w, scaled) : q.sub(scaled, w);
  return {
    main: { outputs: { [output]: y }, assign: changed.assigned === false ? [] : [[w, q.add(w, y)]] },
    other: { outputs: { total: q.sum(y) } },
  };
}

describe("the key of a graph", () => {
  it("is equal for equal traces, whatever was traced in between", () => {
    const first = graphKey(trace());
    trace({ number: 7 });
    expect(graphKey(trace())).toBe(first);
  });

  it("differs for every change of the program", () => {
    const changes: Changed[] = [
      {},
      ...[3, 0, -0, NaN, Infinity, -Infinity, 2 + 2 ** -51].map((number) => ({ number })),
      ...[
        [1, 2, 4],
        [1, 2, -3],
        [NaN, 2, 3],
      ].map((values) => ({ values })),
      { output: "z" },
      { variable: "v" },
      { length: 5 },
      { assigned: false },
      { swapped: true },
    ];
    const keys = changes.map((change) => graphKey(trace(change)));
    const { main, other } = trace();
    keys.push(graphKey({ main }), graphKey({ main: other, other: main }), graphKey({ other, main }));
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe.runIf(await findCompiler())("a program that the cache has", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "quern-key-"));
    vi.stubEnv("QUERN_CACHE", folder);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true, force: true });
  });

  it("has the same results as when it was compiled, including constants and named tensors", async () => {
    const results: number[][] = [];
    const cached: boolean[] = [];
    for (const values of [
      [1, 2, 3],
      [1, 2, 3],
      [5, 6, 7],
    ]) {
      const program = await compile(trace({ values }), { cpu: { threads: 2 } });
      program.write("w", new Float32Array(12).fill(10));
      await program.run("main", { x: Float32Array.from({ length: 12 }, (_, i) => i) });
      await program.run("other");
      results.push([...(await program.read("y")), ...(await program.read("w")), ...(await program.read("total"))]);
      cached.push(program.plan.cached);
      program.dispose();
    }
    const expected = (values: readonly number[]) => {
      const y = Array.from({ length: 12 }, (_, i) => 2 * (i + values[i % 3]) - 10);
      const w = y.map((value) => value + 10);
      // The second entry reads what the first wrote to w.
      const total = y.reduce((sum, value, i) => sum + value + 10 - w[i], 0);
      return [...y, ...w, total];
    };
    expect(cached).toEqual([false, true, false]);
    expect(results).toEqual([expected([1, 2, 3]), expected([1, 2, 3]), expected([5, 6, 7])]);
  });
});
