/**
 * @file `npm run test:webgpu`: every operation, the weights and caches in small types, transformers' fixtures, twenty steps of AdamW,
 * failures of the GPU, and `quern pretrain` beside the CPU, compared with the `reference` backend and the oracles. Without a GPU,
 * SwiftShader of Debian's chromium computes.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { build, install, requireNode, run, runTool } from "./steps.mjs";

requireNode();
install();
const SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";
const environment = { QUERN_TEST_WEBGPU: "1" };
// Where the caller chose no driver and there is this one, it is taken: the same adapter for everyone.
if (process.env.VK_ICD_FILENAMES === undefined && existsSync(SWIFTSHADER)) environment.VK_ICD_FILENAMES = SWIFTSHADER;

try {
  createRequire(import.meta.url).resolve("webgpu");
} catch {
  // 132 MB, so it is no development dependency. `--no-save` leaves package.json and the lock file as they are; without `--save-dev`,
  // npm 11 keeps to package.json, where it is an optional peer, and installs nothing.
  console.log("installing Dawn (the package webgpu, 132 MB) into node_modules");
  const npm = ["install", "--no-save", "--save-dev", "--no-audit", "--no-fund", "webgpu@0.6.2"];
  if (run("npm", npm) !== 0) {
    console.error("quern: these tests need Dawn: npm install --no-save --save-dev webgpu");
    process.exit(1);
  }
}
const files = [
  ...["webgpu", "cache-types", "stored-weights", "token-statistics"].map((name) => `test/backends/${name}`),
  ...["test/model/transformer", "test/model/packed", "test/train/optimizer", "test/infer/decoder"],
];
// A software adapter next to other programs takes minutes where a GPU takes seconds.
const patience = ["--testTimeout=900000", "--hookTimeout=900000"];
const code = build();
process.exit(
  code === 0 ? runTool("vitest", ["run", ...patience, ...files, ...process.argv.slice(2)], environment) : code,
);
