/**
 * @file `node scripts/gpu-check.mjs FOLDER`: makes a folder with the compiled check, its packages, fixtures and this Node, for
 * scripts/gpu-check.sh on a machine with a GPU and no network. Node is
 * compressed, so that all is less than 64 MiB; `--no-node` leaves it out.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { filesOf, install, requireNode, root, runTool } from "./steps.mjs";

/** Packages that the check imports; those that they need are added. */
const PACKAGES = ["fzstd", "koffi", "zod"];

requireNode();
install();
const [given] = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
if (given === undefined) {
  console.error("quern: node scripts/gpu-check.mjs FOLDER");
  process.exit(2);
}
const folder = resolve(given);
mkdirSync(folder, { recursive: true });
const project = join(folder, "tsconfig.json");
const files = ["test/backends/cuda/gpu-check.ts", "src/backends/cpu/webassembly.d.ts"].map((file) => join(root, file));
const options = {
  rootDir: root,
  outDir: join(folder, "dist"),
  declaration: false,
  typeRoots: [join(root, "node_modules/@types")],
};
writeFileSync(
  project,
  JSON.stringify({ extends: join(root, "tsconfig.json"), compilerOptions: options, files, include: [], exclude: [] }),
);
const code = runTool("typescript", ["-p", project]);
if (code !== 0) process.exit(code);
for (const name of ["cpu", "cuda"]) {
  cpSync(join(root, "src/backends", name, "templates"), join(folder, "dist/src/backends", name, "templates"), {
    recursive: true,
  });
}
for (const file of filesOf(join(root, "test/oracle/fixtures")).filter((file) => file.endsWith(".safetensors"))) {
  cpSync(file, join(folder, "dist", file.slice(root.length)));
}
cpSync(join(root, "test/backends/cuda/gpu_peer.py"), join(folder, "dist/test/backends/cuda/gpu_peer.py"));
cpSync(join(root, "package.json"), join(folder, "package.json"));
const copied = new Set();
function copyPackage(name) {
  const from = join(root, "node_modules", name);
  if (copied.has(name) || !existsSync(from)) return;
  copied.add(name);
  cpSync(from, join(folder, "node_modules", name), { recursive: true });
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(join(from, "package.json"), "utf8"));
  for (const each of Object.keys({ ...dependencies, ...optionalDependencies })) copyPackage(each);
}
for (const name of PACKAGES) copyPackage(name);
cpSync(join(root, "scripts/gpu-check.sh"), join(folder, "gpu-check.sh"));
if (!process.argv.includes("--no-node")) {
  writeFileSync(join(folder, "node.gz"), gzipSync(readFileSync(process.execPath)));
}
const bytes = filesOf(folder).reduce((sum, file) => sum + statSync(file).size, 0);
console.log(`${folder}: ${(bytes / 2 ** 20).toFixed(1)} MiB`);
console.log(`sh ${join(folder, "gpu-check.sh")}`);
