/**
 * @file Every operation on the `cuda` backend against `reference`, forward and backward. It runs where `npm run test:cuda-emulated`
 * has built the emulator.
 */
import { expect, it } from "vitest";
import { compile } from "../../../src/backends/index.js";
import { compareOperations, operationEntries } from "./compare.js";
import { describeCuda } from "./device.js";

describeCuda("cuda, operations", () => {
  it("match reference, forward and backward, and leave the same state", { timeout: 1_200_000 }, async () => {
    const program = await compile(operationEntries(), { backend: "cuda" });
    expect(await compareOperations(program)).toEqual([]);
    program.dispose();
  });
});
