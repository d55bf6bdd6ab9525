import { describe, expect, it } from "vitest";
import { compile, type Delivered } from "../../src/backends/index.js";
import { compileGraph } from "../../src/compiler/index.js";
import * as q from "../../src/tensor/index.js";
import { SLOW_BUILD } from "../model/targets.js";

const [ROWS, WIDTH, LAYERS] = [8, 16, 6];

/** The gradients of some layers, as an entry that delivers them; `portions: 0` delivers nothing. */
function entryOf(portions: number, transient: boolean): q.Entry {
  const weights = Array.from({ length: LAYERS }, (_, i) => q.variable(`w${i}`, [WIDTH, WIDTH]));
  const x = q.input("x", [ROWS, WIDTH]);
  const y = weights.reduce<q.Tensor>((value, weight) => q.sigmoid(q.linear(value, weight)), x);
  const loss = q.sum(q.mul(y, y));
  const variables = weights.map((_, i) => `gradient${i}`);
  const values = q.gradients(loss, weights);
  return {
    outputs: { loss },
    assign: values.map((value, i) => [q.variable(variables[i], [WIDTH, WIDTH]), value] as const),
    ...(portions > 0 && { delivers: { variables, portions, transient } }),
  };
}

/** Runs the entry; returns the portions, with a copy of each variable. */
async function run(portions: number, transient: boolean) {
  const program = await compile({ main: entryOf(portions, transient) }, { backend: "cpu", cpu: { threads: 1 } });
  for (let i = 0; i < LAYERS; i++) {
    program.write(
      `w${i}`,
      Float32Array.from({ length: WIDTH * WIDTH }, (_, k) => Math.sin(k * (i + 2))),
    );
  }
  const found: { readonly names: readonly string[]; readonly isLast: boolean }[] = [];
  const values = new Map<string, Float32Array>();
  const receive = async ({ variables, memory, isLast }: Delivered) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    found.push({ names: variables, isLast });
    variables.forEach((name, i) => {
      values.set(name, memory[i].slice());
      memory[i].fill(Number.NaN); // nothing that runs later reads it
    });
  };
  const x = Float32Array.from({ length: ROWS * WIDTH }, (_, k) => Math.cos(k));
  await program.run("main", { x }, portions > 0 ? receive : undefined);
  if (portions === 0) for (let i = 0; i < LAYERS; i++) values.set(`gradient${i}`, await program.read(`gradient${i}`));
  const read = transient ? await program.read("gradient0").catch((error: Error) => error.message) : "";
  program.dispose();
  return { found, values, read, plan: program.plan };
}

describe("an entry that delivers variables", { timeout: SLOW_BUILD }, () => {
  it.each([false, true])("hands out each once, in portions, with the same bits; transient: %s", async (transient) => {
    const whole = await run(0, false);
    const { found, values, read, plan } = await run(3, transient);
    expect(found.flatMap(({ names }) => names)).toEqual([
      "gradient5",
      "gradient4",
      "gradient3",
      "gradient2",
      "gradient1",
      "gradient0",
    ]);
    expect(found.map(({ names, isLast }) => [names.length, isLast])).toEqual([
      [2, false],
      [2, false],
      [2, true],
    ]);
    expect(values).toEqual(new Map([...whole.values].sort(([a], [b]) => b.localeCompare(a))));
    expect(plan.launches.main).toBe(whole.plan.launches.main);
    if (!transient) return;
    expect(read).toBe('"gradient0" exists only during a run: pass `receive` to run');
    // Memory of two portions of three, less what it shares with other values.
    expect(plan.arenaBytes).toBeLessThan(whole.plan.arenaBytes - 4 * WIDTH * WIDTH);
  });

  it("gives them no memory that a kernel of the same or the next portion uses", () => {
    const { entries, memory, portions, named } = compileGraph({ main: entryOf(6, true) });
    expect(entries.get("main")?.length).toBeGreaterThan(LAYERS);
    expect(portions.main.map(({ finished }) => finished.length)).toEqual([1, 1, 1, 1, 1, 1]);
    const placeOf = (i: number) => {
      const start = memory.offsets.get(named.get(`gradient${i}`) as never) as number;
      return [start, start + 4 * WIDTH * WIDTH];
    };
    for (let i = 0; i + 1 < LAYERS; i++) {
      const [[a, b], [c, d]] = [placeOf(i), placeOf(i + 1)];
      expect(b <= c || d <= a).toBe(true);
    }
    expect(memory.variables.map(({ name }) => name)).toEqual(["w0", "w1", "w2", "w3", "w4", "w5"]);
  });

  it("refuses transient variables that another entry uses", () => {
    const other = { outputs: { y: q.sum(q.variable("gradient0", [WIDTH, WIDTH])) } };
    expect(() => compileGraph({ main: entryOf(2, true), other })).toThrow(
      'the entry "other" uses "gradient0", which exists only in "main"',
    );
  });
});
