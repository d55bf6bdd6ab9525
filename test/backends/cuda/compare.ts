/** @file Compares the operations of a program on the `cuda` backend with `reference`. */
import { compileReference, type Program } from "../../../src/backends/index.js";
import { type Case, cases, stateCases } from "../operations.cases.js";

/** All operations in one program. */
export const operationEntries = () => Object.fromEntries([...cases, ...stateCases].map((c) => [c.name, c.entry]));

const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((total, v) => total + v * v, 0));
/** Distance relative to the norm of the second. */
export const distance = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  norm(Array.from(x, (v, i) => v - y[i])) / (norm(y) || 1);

function prepare(program: Program, { values }: Case): void {
  for (const [name, data] of Object.entries(values)) program.write(name, data);
}

const isSame = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  Array.from(x).every((value, i) => Object.is(value + 0, Math.fround(y[i]) + 0));

/** Returns what differs from reference: outputs of all cases, and variables after two runs of those that write some. */
export async function compareOperations(program: Program): Promise<string[]> {
  const reference = compileReference(operationEntries());
  const wrong: string[] = [];
  const check = (what: string, got: ArrayLike<number>, want: ArrayLike<number>) => {
    // Casts add nothing up, and some are infinite.
    if (what.startsWith("casts")) {
      if (!isSame(got, want)) wrong.push(`${what}: ${Array.from(got)} instead of ${Array.from(want)}`);
      return;
    }
    const error = distance(got, want);
    if (!(error < 1e-5)) wrong.push(`${what}: ${error}`);
  };
  const run = async (c: Case, times: number) => {
    for (const each of [program, reference]) {
      prepare(each, c);
      for (let i = 0; i < times; i++) await each.run(c.name);
    }
  };
  for (const c of cases) {
    await run(c, 1);
    for (const output of Object.keys(c.entry.outputs)) {
      // The loss only serves to compute gradients: its terms cancel, leaving rounding errors.
      if (!output.endsWith("/loss")) check(output, await program.read(output), reference.readExact(output));
    }
  }
  for (const c of stateCases) {
    await run(c, 2);
    for (const [target] of c.entry.assign ?? []) {
      const { name } = target.node.attributes as { name: string };
      check(name, await program.read(name), reference.readExact(name));
    }
  }
  return wrong;
}
