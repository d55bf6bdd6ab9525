/**
 * @file The steps shared by `npm start`, `npm test`, `npm run build` and `npm run bench`. Plain JavaScript without
 * dependencies, because they run before anything is installed or built.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of package.json. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a program in the root folder, attached to this terminal; returns its exit code. */
export function run(command, args, environment = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...environment },
    // On Windows, npm is a .cmd file, which needs a shell.
    shell: process.platform === "win32",
  });
  if (result.error) {
    console.error(`quern: cannot run ${command}: ${result.error.message}`);
    return 1;
  }
  return result.status ?? 1;
}

/** Runs a development tool from node_modules with this Node.js; returns its exit code. */
export function runTool(name, args, environment = {}) {
  const folder = join(root, "node_modules", name);
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = typeof bin === "string" ? bin : (bin[name.split("/").pop()] ?? Object.values(bin)[0]);
  return run(process.execPath, [join(folder, file), ...args], environment);
}

/** Exits with a clear message if Node.js is too old, before it fails with a syntax error. */
export function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  console.error(`quern: this is Node ${process.versions.node}; Quern needs 20.19 or newer`);
  process.exit(2);
}

/** Installs the dependencies if they are missing or older than the lock file. */
export function install() {
  const lock = join(root, "package-lock.json");
  const installed = join(root, "node_modules", ".package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  // A worktree may link to another one's packages. npm ci would empty the folder behind the link.
  if (lstatSync(join(root, "node_modules"), { throwIfNoEntry: false })?.isSymbolicLink()) return;
  console.log("installing dependencies (npm ci)");
  const code = run("npm", ["ci", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"]);
  if (code !== 0) {
    console.error("quern: npm ci failed; the first installation needs access to the npm registry");
    process.exit(1);
  }
}

/** Lists all files under a folder, sorted. */
export function filesOf(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** Hashes everything that a build depends on: equal hashes mean equal builds. */
function sourceHash(folders, project) {
  const hash = createHash("sha256");
  const typescript = join(root, "node_modules", "typescript", "package.json");
  const scripts = ["hover-text.mjs", "page.mjs"].map((name) => join(root, "scripts", name));
  const files = [
    ...folders.flatMap((folder) => filesOf(join(root, folder))),
    join(root, project),
    join(root, "tsconfig.page.json"),
    typescript,
    ...scripts,
  ];
  for (const file of files)
    hash
      .update(`${relative(root, file)}\0`)
      .update(readFileSync(file))
      .update("\0");
  return hash.digest("hex");
}

/** Copies the files that tsc ignores: C templates and all other files that are not TypeScript. The chat page is bundled instead. */
function copyAssets(out) {
  const page = join(root, "src", "serve", "page");
  for (const file of filesOf(join(root, "src"))) {
    if (/\.tsx?$/.test(file) || file.startsWith(page)) continue;
    const target = join(out, relative(root, file));
    mkdirSync(dirname(target), { recursive: true });
    cpSync(file, target);
  }
}

/**
 * Builds `out` (default: dist) unless it is up to date. Builds into a temporary folder and renames it when complete, so a
 * killed build leaves the old one intact. Returns 0 or the compiler's exit code.
 */
export function build({ out = "dist", project = "tsconfig.json", folders = ["src", "recipes"], force = false } = {}) {
  const target = join(root, out);
  const stamp = join(target, ".sources");
  const hash = sourceHash(folders, project);
  if (!force && existsSync(stamp) && readFileSync(stamp, "utf8") === hash) {
    // Tests compare the stamp's time with that of the sources.
    utimesSync(stamp, new Date(), new Date());
    return 0;
  }
  console.log(`building ${out} (tsc)`);
  const temporary = join(root, ".cache", `build-${process.pid}`);
  const code = runTool("typescript", ["-p", project, "--outDir", temporary]);
  if (code !== 0) {
    rmSync(temporary, { recursive: true, force: true });
    return code;
  }
  copyAssets(temporary);
  const hover = run(process.execPath, [join(root, "scripts", "hover-text.mjs"), temporary]);
  if (hover !== 0) {
    rmSync(temporary, { recursive: true, force: true });
    return hover;
  }
  const page = run(process.execPath, [join(root, "scripts", "page.mjs"), join(temporary, "src", "serve", "page")]);
  if (page !== 0) {
    rmSync(temporary, { recursive: true, force: true });
    return page;
  }
  // npm makes the command executable when it links it, but a rebuild would lose that.
  const cli = join(temporary, "src", "cli.js");
  if (existsSync(cli)) chmodSync(cli, 0o755);
  writeFileSync(join(temporary, ".sources"), hash);
  replace(temporary, target);
  return 0;
}

/** Replaces a folder by another. If two builds run at once, both are complete, so either may win. */
export function replace(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  for (let attempt = 0; ; attempt++) {
    const old = `${from}-old${attempt}`;
    try {
      if (existsSync(to)) renameSync(to, old);
      renameSync(from, to);
      return;
    } catch (error) {
      if (attempt === 5) throw error;
    } finally {
      rmSync(old, { recursive: true, force: true });
    }
  }
}
