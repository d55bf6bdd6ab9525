/**
 * @file `node scripts/page.mjs FOLDER` builds the chat page of `quern serve`: src/serve/page becomes one HTML file, one script
 * and one style sheet with hashed names. The result is kept in .cache/page, and made again only if a source or a tool has changed.
 */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { filesOf, replace, root, runTool } from "./steps.mjs";

const SOURCES = join(root, "src", "serve", "page");
const PROJECT = "tsconfig.page.json";
const TOOLS = ["preact", "@preact/signals", "vite", "typescript"];

/** Writes the page to a folder. Returns 0 or the exit code of what failed. */
async function buildPage(target) {
  const missing = TOOLS.filter((name) => !existsSync(join(root, "node_modules", name, "package.json")));
  if (missing.length > 0) {
    console.error(`quern: ${missing.join(" and ")} is not installed; run npm install`);
    return 1;
  }
  const made = join(root, ".cache", "page");
  const stamp = join(made, ".sources");
  const hash = sourceHash();
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== hash) {
    console.log("building the chat page (vite)");
    const code = runTool("typescript", ["-p", PROJECT]);
    if (code !== 0) return code;
    const temporary = join(root, ".cache", `page-${process.pid}`);
    try {
      await bundle(temporary);
    } catch (error) {
      rmSync(temporary, { recursive: true, force: true });
      console.error(`quern: the chat page cannot be built: ${error.message}`);
      return 1;
    }
    writeFileSync(join(temporary, ".sources"), hash);
    replace(temporary, made);
  }
  mkdirSync(target, { recursive: true });
  cpSync(made, target, { recursive: true, filter: (path) => path !== stamp });
  return 0;
}

async function bundle(out) {
  const { build } = await import("vite");
  await build({
    configFile: false,
    root: SOURCES,
    base: "/",
    logLevel: "warn",
    publicDir: false,
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    build: {
      outDir: out,
      emptyOutDir: true,
      target: "es2022",
      modulePreload: false,
      assetsInlineLimit: 0,
      reportCompressedSize: false,
    },
  });
}

/** Equal hashes mean equal pages. */
function sourceHash() {
  const hash = createHash("sha256");
  const manifests = TOOLS.map((name) => join(root, "node_modules", name, "package.json"));
  for (const file of [...filesOf(SOURCES), ...manifests, join(root, PROJECT), join(root, "scripts", "page.mjs")])
    hash
      .update(`${relative(root, file)}\0`)
      .update(readFileSync(file))
      .update("\0");
  return hash.digest("hex");
}

process.exit(await buildPage(process.argv[2]));
