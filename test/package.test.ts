/**
 * The package as a user gets it: packed, installed in an empty folder, called and imported. Installing takes the
 * dependencies out of npm's cache where it has them and asks the registry for the rest, as any installation does.
 */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const execute = promisify(execFile);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
  readonly version: string;
  readonly exports: Readonly<Record<string, unknown>>;
};
const stages = Object.keys(manifest.exports)
  .filter((name) => name !== "./package.json")
  .map((name) => name.slice(2));

let folder: string;
let tarball: string;
let app: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-package-"));
  app = join(folder, "app");
  await mkdir(app);
  // Packing builds first where the build is not of these sources.
  const { stdout } = await execute("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: root });
  tarball = join(folder, stdout.trim().split("\n").at(-1) as string);
  await writeFile(join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }));
  const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  await execute("npm", ["install", ...quiet, tarball], { cwd: app });
}, 300_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the package", () => {
  it("runs as a command from its installation", async () => {
    const { stdout } = await execute("npx", ["--no-install", "quern", "--help"], { cwd: app });
    expect(stdout).toContain("Usage: quern <verb>");
    const version = await execute(join(app, "node_modules", ".bin", "quern"), ["--version"], { cwd: app });
    expect(version.stdout.trim()).toBe(manifest.version);
  });

  it("gives each stage by its name", async () => {
    await writeFile(
      join(app, "stages.js"),
      `${stages.map((stage, index) => `import * as s${index} from "quern/${stage}";`).join("\n")}
console.log(JSON.stringify([${stages.map((_, index) => `Object.keys(s${index}).length`).join(", ")}]));`,
    );
    const { stdout } = await execute(process.execPath, ["stages.js"], { cwd: app });
    for (const names of JSON.parse(stdout) as number[]) expect(names).toBeGreaterThan(0);
  });

  it("carries the files that programs are made of, and no sources, tests or caches", async () => {
    const inside = readdirSync(join(app, "node_modules", "quern"), { recursive: true }).map(String);
    expect(inside.some((file) => /templates.gemm\.h$/.test(file))).toBe(true);
    expect(inside).toContain(join("bench", "peak.c"));
    expect(inside).toContain("LICENSE");
    expect(inside.filter((file) => /(^|[\\/])(test|\.cache|scripts)([\\/]|$)|(?<!\.d)\.ts$/.test(file))).toEqual([]);
  });

  it("takes less than 60 MB with all that it depends on", () => {
    const bytes = readdirSync(join(app, "node_modules"), { recursive: true })
      .map((file) => join(app, "node_modules", String(file)))
      .filter((file) => existsSync(file))
      .reduce((sum, file) => sum + (statSync(file).isFile() ? statSync(file).size : 0), 0);
    expect(bytes / 1e6).toBeLessThan(60);
  });

  it("passes publint", async () => {
    const { publint } = await import("publint");
    const { messages } = await publint({
      pack: { tarball: new Uint8Array(await readFile(tarball)).buffer },
    });
    expect(messages).toEqual([]);
  });

  it("passes attw: its types are found by those who import it", async () => {
    const attw = join(root, "node_modules", "@arethetypeswrong", "cli", "dist", "index.js");
    // It reads .attw.json: the package is ES modules alone. Its exit code is the verdict; its table comes with an error.
    const { stdout } = await execute(process.execPath, [attw, tarball, "--format", "ascii"], { cwd: root });
    expect(stdout).toContain("(ignoring resolutions: 'node10', 'node16-cjs')");
  });
});
