/** A program reports inputs that were never set; memory that is still zero does not count as a value. */
import { expect, it } from "vitest";
import { compile } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";

const [x, y] = [q.input("x", [3]), q.input("y", [3])];
const rate = q.scalar("rate");
const total = q.variable("total", [3]);
const entries = {
  sum: { outputs: { z: q.add(x, y) } },
  // An input that only an assignment uses.
  step: { outputs: {}, assign: [[total, q.add(total, q.mul(rate, x))]] as const },
};

it.each([{ backend: "reference" }, { cpu: { threads: 1, instructionSet: "wasm" } }, { cpu: { threads: 1 } }] as const)(
  "on %j",
  async (target) => {
    const program = await compile(entries, target);
    await expect(program.run("nothing")).rejects.toThrow('the program has no entry "nothing"; it has sum, step');
    expect(Array.from(await program.read("total"))).toEqual([0, 0, 0]);
    for (const wrong of ["abc", [1, 2, undefined], ["1", "2", "3"]]) {
      await expect(Promise.resolve().then(() => program.write("x", wrong as never))).rejects.toThrow(
        '"x" (3) takes numbers, not ',
      );
    }
    await expect(program.run("sum")).rejects.toThrow('the entry "sum" needs "x", "y": pass a value');
    await expect(program.run("sum", { y: [1, 2, 3] })).rejects.toThrow('the entry "sum" needs "x": pass');
    await expect(program.run("step", { x: [1, 1, 1] })).rejects.toThrow('the entry "step" needs "rate": pass');
    await expect(program.run("step")).rejects.toMatchObject({ name: "QuernError" });
    // Values from another entry's run or from write() count; variables start at zero.
    program.write("x", [4, 5, 6]);
    await program.run("sum");
    expect(Array.from(await program.read("z"))).toEqual([5, 7, 9]);
    const into = new Float32Array(3);
    expect(await program.read("z", into)).toBe(into);
    expect(Array.from(into)).toEqual([5, 7, 9]);
    await expect(program.read("z", new Float32Array(2))).rejects.toThrow('"z" has 3 values, but the array has 2');
    await program.run("step", { rate: 2 });
    await program.run("step");
    expect(Array.from(await program.read("total"))).toEqual([16, 20, 24]);
    program.dispose();
  },
);
