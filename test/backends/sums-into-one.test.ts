import { describe, expect, it } from "vitest";
import { compile } from "../../src/backends/index.js";
import { add, input, mul, rsqrt, sum, variable } from "../../src/tensor/index.js";
import { SLOW_BUILD, TARGETS } from "../model/targets.js";

describe.each(TARGETS)(
  "one loop that adds two column sums to one variable, on $name",
  { timeout: SLOW_BUILD },
  ({ options }) => {
    it("writes both sums, whatever the variable contained", async () => {
      const [B, C] = [6, 5];
      const [x, y, z] = ["x", "y", "z"].map((name) => input(name, [B, C]));
      const scale = rsqrt(add(sum(mul(x, x), [1], true), 1)); // (B,1): the same loop computes it for both
      const [first, second] = [y, z].map((each) => sum(mul(each, mul(x, scale)), [0]));
      const total = variable("total", [C]);
      const entry = { outputs: {}, assign: [[total, add(first, second)]] } as const;
      const program = await compile({ entry }, options);
      const values = (seed: number) => Float32Array.from({ length: B * C }, (_, i) => Math.sin(seed + i));
      const [a, b, c] = [values(1), values(2), values(3)];
      const want = Array.from({ length: C }, (_, column) => {
        let sum = 0;
        for (let row = 0; row < B; row++) {
          const norm = Math.hypot(1, ...a.subarray(row * C, (row + 1) * C));
          sum += (a[row * C + column] / norm) * (b[row * C + column] + c[row * C + column]);
        }
        return sum;
      });
      program.write("total", new Float32Array(C).fill(100));
      for (let run = 0; run < 2; run++) {
        await program.run("entry", { x: a, y: b, z: c });
        const got = await program.read("total");
        for (const [i, value] of want.entries()) expect(got[i]).toBeCloseTo(value, 5);
      }
      program.dispose();
    });
  },
);
