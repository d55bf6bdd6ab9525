/** A program of thousands of kernels: their arguments once filled the stack of the thread that runs it. */
import { expect, it } from "vitest";
import { compile } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";

it("runs an entry of 8,000 kernels", { timeout: 120_000 }, async () => {
  const w = q.variable("w", [2, 2]);
  let y: q.Tensor = q.input("x", [1, 2]);
  for (let i = 0; i < 8000; i++) y = q.linear(y, w);
  const program = await compile({ run: { outputs: { y } } });
  await program.write("w", Float32Array.of(0, 1, 1, 0)); // swaps both numbers
  await program.run("run", { x: Float32Array.of(3, 5) });
  expect([...(await program.read("y"))]).toEqual([3, 5]);
  program.dispose();
});
