/** Programs on one device share variables: the same memory, whichever program writes it. */
import { describe, expect, it } from "vitest";
import { findCompiler } from "../../src/backends/cpu/toolchain.js";
import { type CompileOptions, compile, type Program } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";

const SIZE = 4096;
/** Adds `by` to every element of w. */
function writer(name = "w"): q.Entries {
  const w = q.variable(name, [SIZE]);
  const moment = q.variable("moment", [3]);
  const by = q.scalar("by");
  return {
    add: {
      outputs: {},
      assign: [
        [w, q.add(w, by)],
        [moment, q.add(moment, 1)],
      ],
    },
  };
}
function reader(name = "w"): q.Entries {
  const w = q.variable(name, [SIZE]);
  return { sum: { outputs: { least: q.max(q.neg(w)), most: q.max(w) } } };
}

const native = await findCompiler();
const targets: readonly (readonly [string, CompileOptions])[] = [
  ["the interpreter", { backend: "reference" }],
  ["WebAssembly, one thread", { cpu: { instructionSet: "wasm", threads: 1 } }],
  ["WebAssembly, two threads", { cpu: { instructionSet: "wasm", threads: 2 } }],
  ...(native
    ? ([
        ["the processor, one thread", { cpu: { threads: 1 } }],
        ["the processor, two threads", { cpu: { threads: 2 } }],
      ] as const)
    : []),
];

const bounds = async (program: Program) => {
  const [[least], [most]] = await Promise.all([program.read("least"), program.read("most")]);
  return [-least, most];
};

describe.each(targets)("on %s", { timeout: 120_000 }, (_, options) => {
  it("a write through one program is visible in the other, and disposing one leaves the other working", async () => {
    const first = await compile(writer(), options);
    first.write("w", new Float32Array(SIZE).fill(1));
    const second = await compile(reader(), { ...options, shareWith: first });
    expect(first.plan.sharedBytes).toBe(0);
    expect(second.plan).toMatchObject({ stateBytes: 4 * SIZE, sharedBytes: 4 * SIZE });
    // The weights are allocated once: the second program allocates less than their size.
    if (options.backend !== "reference") expect(second.plan.arenaBytes).toBeLessThan(4 * SIZE);
    await second.run("sum");
    expect(await bounds(second)).toEqual([1, 1]);
    await first.run("add", { by: 2 });
    await second.run("sum");
    expect(await bounds(second)).toEqual([3, 3]);
    second.write("w", new Float32Array(SIZE).fill(7));
    await first.run("add");
    expect(await first.read("w")).toEqual(new Float32Array(SIZE).fill(9));
    first.dispose();
    await second.run("sum");
    expect(await bounds(second)).toEqual([9, 9]);
    // A third program gets them through the second.
    const third = await compile(writer(), { ...options, shareWith: second });
    await third.run("add", { by: 1 });
    await second.run("sum");
    expect(await bounds(second)).toEqual([10, 10]);
    expect(Array.from(await third.read("moment"))).toEqual([1, 1, 1]); // its own, since the second has none
    second.dispose();
    third.dispose();
  });

  it("runs execute in call order, and none sees a partial update", async () => {
    const first = await compile(writer(), options);
    const second = await compile(reader(), { ...options, shareWith: first });
    first.write("w", new Float32Array(SIZE));
    const seen: Promise<number[]>[] = [];
    for (let step = 1; step <= 20; step++) {
      void first.run("add", { by: 1 });
      void second.run("sum");
      seen.push(bounds(second));
      if (step === 10) first.write("w", new Float32Array(SIZE).fill(100));
    }
    const expected = Array.from({ length: 20 }, (_, i) => (i < 10 ? i + 1 : 100 + i - 9));
    expect(await Promise.all(seen)).toEqual(expected.map((value) => [value, value]));
    first.dispose();
    second.dispose();
  });

  it("shares a subset under other names, and with two programs", async () => {
    const base = await compile(writer("base"), options);
    const head = await compile(writer("w"), { ...options, shareWith: { program: base, variables: {} } });
    expect(head.plan.sharedBytes).toBe(0);
    const [a, b] = [q.variable("a", [SIZE]), q.variable("b", [SIZE])];
    const both = await compile(
      { mean: { outputs: { mean: q.mean(q.add(a, b)) } } },
      {
        ...options,
        shareWith: [
          { program: base, variables: { a: "base" } },
          { program: head, variables: (name) => (name === "b" ? "w" : undefined) },
        ],
      },
    );
    base.write("base", new Float32Array(SIZE).fill(1));
    head.write("w", new Float32Array(SIZE).fill(2));
    await both.run("mean");
    expect((await both.read("mean"))[0]).toBeCloseTo(3, 5);
    expect(both.plan.sharedBytes).toBe(8 * SIZE);
    // One variable under two names is the same memory.
    const twice = await compile(
      { mean: { outputs: { mean: q.mean(q.add(a, b)) } } },
      { ...options, shareWith: { program: base, variables: () => "base" } },
    );
    await twice.run("mean");
    expect((await twice.read("mean"))[0]).toBeCloseTo(2, 5);
    for (const program of [base, head, both, twice]) program.dispose();
  });

  it("throws for variables that cannot be shared", async () => {
    const first = await compile(writer(), options);
    const half = q.variable("w", [SIZE], "bf16");
    const small = q.variable("w", [7]);
    const refusals: readonly (readonly [q.Entries, Partial<CompileOptions>, string])[] = [
      [
        { sum: { outputs: { y: q.cast(half, "f32") } } },
        {},
        '"w" is bf16 (4096) in the new program, but f32 (4096) in',
      ],
      [{ sum: { outputs: { y: q.neg(small) } } }, {}, '"w" is f32 (7) in the new program, but f32 (4096) in'],
      [
        reader(),
        { shareWith: { program: first, variables: { w: "v" } } },
        'the program in shareWith has no variable "v"',
      ],
      [reader(), { shareWith: { program: first, variables: { v: "w" } } }, 'the new program has no variable "v"'],
      [reader(), { shareWith: [first, first] }, 'the variable "w" would be shared with two programs'],
      [reader(), { shareWith: {} as Program }, "shareWith takes programs created by compile()"],
      [
        reader(),
        options.backend === "reference" ? { backend: "cpu" } : { backend: "reference" },
        "cannot share variables with one for",
      ],
    ];
    for (const [entries, others, message] of refusals) {
      await expect(compile(entries, { ...options, shareWith: first, ...others })).rejects.toThrow(message);
    }
    first.dispose();
    await expect(compile(reader(), { ...options, shareWith: first })).rejects.toThrow("that was disposed");
  });
});
