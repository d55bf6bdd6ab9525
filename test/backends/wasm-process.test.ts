/** A process that only waits for WebAssembly workers must not end before they answer. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const distUrl = new URL("../../dist/src/", import.meta.url);

const script = `
import { compile } from "${distUrl}backends/index.js";
import * as q from "${distUrl}tensor/index.js";
const options = { cpu: { instructionSet: "wasm", threads: 2 } };
const w = q.variable("w", [4096]);
const first = await compile({ add: { outputs: {}, assign: [[w, q.add(w, 1)]] } }, options);
await first.run("add");
const second = await compile({ most: { outputs: { most: q.max(w) } } }, { ...options, shareWith: first });
for (let i = 0; i < 5; i++) {
  await first.run("add");
  await second.run("most");
}
const [most] = await second.read("most");
second.dispose();
first.dispose();
console.log(most);
`;

it("a process stays alive until two programs of two threads have taken turns", { timeout: 120_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
  expect(stdout).toBe("6\n");
});
