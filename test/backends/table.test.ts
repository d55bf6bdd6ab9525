/** A backend is one row of a table: an unknown backend compiles, runs and shares by its row alone. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  type Backend,
  type DeviceTensor,
  hostTensor,
  type Image,
  Storage,
  type Target,
} from "../../src/backends/backend.js";
import { BACKENDS, compileFrom, compileReference } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";

interface FakeTarget extends Target {
  readonly speed: number;
}

const LIMITS = { alignment: 256, maxBindingBytes: 4096 };
const lowered: string[] = [];

/** Writes its memory plan as its "code", and computes with the interpreter on its own memory. */
const fake: Backend<{ readonly speed: number }, FakeTarget> = {
  name: "fake",
  choose: async (options = { speed: 1 }) => ({
    name: `fake ${options.speed}`,
    threads: 7,
    key: `${options.speed}`,
    files: ["code.txt"],
    source: "code.txt",
    bf16Pays: async () => true,
    speed: options.speed,
  }),
  limits: () => LIMITS,
  async lower(graph, target, folder) {
    lowered.push(target.name);
    const offsets = [...graph.memory.offsets].map(([buffer, offset]) => `${offset} ${4 * buffer.size}`);
    await writeFile(join(folder, "code.txt"), offsets.join("\n"));
    return { kernels: 2 };
  },
  async open({ entries, slots, layout, shared }, _target): Promise<Image> {
    const oracle = compileReference(entries);
    const storage = new Storage(() => {});
    const tensors = new Map<string, DeviceTensor>();
    for (const [name, { kind, type }] of slots) {
      const own = () => new Float32Array(q.sizeOf(type.shape));
      tensors.set(name, shared.get(name) ?? hostTensor(type, kind === "variable" ? storage : null, own));
    }
    const names = (kind: string) => [...slots].flatMap(([name, slot]) => (slot.kind === kind ? [name] : []));
    return {
      bytes: layout.bytes,
      queues: [],
      tensor: (name) => tensors.get(name) as DeviceTensor,
      async run(entry) {
        for (const name of [...names("input"), ...names("variable")]) {
          oracle.write(name, (await tensors.get(name)?.read()) as Float32Array);
        }
        await oracle.run(entry);
        const outputs = Object.keys(entries[entry].outputs);
        for (const name of [...outputs, ...names("variable")]) tensors.get(name)?.write(await oracle.read(name));
      },
      close: () => oracle.dispose(),
    };
  },
};
const table = [...BACKENDS, fake];

describe("a third backend", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "quern-table-"));
    vi.stubEnv("QUERN_CACHE", folder);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true, force: true });
  });

  const [x, w] = [q.input("x", [30, 8]), q.variable("w", [8])];
  const entries: q.Entries = {
    step: { outputs: { y: q.sum(q.exp(q.mul(x, w)), [0]) }, assign: [[w, q.add(w, 1)]] },
  };

  it("compiles within its limits, is cached by its key, and runs as a program", async () => {
    const options = { backend: "fake", dtype: "auto", fake: { speed: 3 } } as const;
    const program = await compileFrom(table, entries, options);
    expect(program.plan).toMatchObject({
      ...{ backend: "fake", target: "fake 3", threads: 7, dtype: "bf16", kernels: 2, cached: false, stateBytes: 32 },
    });
    const code = await readFile(program.plan.source as string, "utf8");
    for (const line of code.split("\n")) {
      const [start, bytes] = line.split(" ").map(Number);
      expect(start % 256).toBe(0);
      expect(Math.floor(start / 4096)).toBe(Math.floor((start + bytes - 1) / 4096));
    }
    program.write("w", new Float32Array(8).fill(1));
    await program.run("step", { x: new Float32Array(240).fill(2) });
    expect((await program.read("y"))[0]).toBeCloseTo(30 * Math.exp(2), 2);
    expect(await program.read("w")).toEqual(new Float32Array(8).fill(2));
    const shares = await compileFrom(table, entries, { ...options, shareWith: program });
    expect(shares.plan).toMatchObject({ cached: true, sharedBytes: 32 });
    await shares.run("step", { x: new Float32Array(240) });
    expect(await program.read("w")).toEqual(new Float32Array(8).fill(3));
    await compileFrom(table, entries, { ...options, fake: { speed: 4 } });
    expect(lowered).toEqual(["fake 3", "fake 4"]);
  });

  it("throws for a tensor larger than its largest binding, and for an unknown name", async () => {
    const large = { main: { outputs: { y: q.mul(q.input("x", [2000]), 2) } } };
    await expect(compileFrom(table, large, { backend: "fake" })).rejects.toThrow(
      /^"[xy]" has 8000 bytes, but this device can bind at most 4096 at once; reduce the batch/,
    );
    await expect(compileFrom(table, large, { backend: "tpu" })).rejects.toThrow(
      `unknown backend "tpu"; available: ${BACKENDS.map(({ name }) => name).join(", ")}, fake`,
    );
  });
});
