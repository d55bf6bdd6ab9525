/** The fuzzer itself. `npm run test:fuzz` gives every reader of files 500 mutated inputs. */
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { faultText, runReader } from "./run.js";

const root = dirname(dirname(import.meta.dirname));
const built = join(root, ".cache", "fuzz");

beforeAll(() => {
  execFileSync(process.execPath, [join(root, "scripts", "test-fuzz.mjs"), "--build"], { stdio: "ignore" });
}, 240_000);

describe("the fuzzer", { timeout: 120_000 }, () => {
  it("reports every fault of a reader that has them all, each by its seed", async () => {
    const limits = { milliseconds: 2000, bytes: 6e8 };
    const { faults, reached } = await runReader("planted", { built, inputs: 10, seed: 0, commands: 0, limits });
    const found = Object.fromEntries(faults.map(({ seed, what }) => [seed, what]));
    expect(found).toEqual({
      2: expect.stringMatching(/^TypeError: a planted error\n +at /),
      3: "it takes more than 2 s",
      4: expect.stringMatching(/^it ended with SIGSEGV/),
      5: expect.stringMatching(/^unhandled rejection: Error: a planted rejection/),
      6: expect.stringMatching(/^a stack trace on standard error:\nError: a planted trace\n +at /),
      7: expect.stringMatching(/^internal error: planted/),
      ...(process.platform === "linux" ? { 8: "it takes more than 0.6 GB of memory" } : { 8: expect.anything() }),
      9: expect.stringMatching(/^it ended with code 0/),
    });
    expect(reached).toBeGreaterThanOrEqual(5);
  });

  it("gives an input again by its seed", async () => {
    const one = await runReader("planted", { built, inputs: 1, seed: 2, commands: 0 });
    expect(one.faults.map(({ seed }) => seed)).toEqual([2]);
    expect(faultText("planted", one.faults[0])).toMatch(/--reader planted --seed 2 --inputs 1/);
  });
});
