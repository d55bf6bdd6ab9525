/** The library examples of README and docs/library.md, compiled as strictly as the library and run against the build. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const execute = promisify(execFile);
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const readme = await readFile(join(root, "README.md"), "utf8");
const library = await readFile(join(root, "docs", "library.md"), "utf8");
const examples = [...`${readme}\n${library}`.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]);

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-readme-"));
  await mkdir(join(folder, "node_modules", "@types"), { recursive: true });
  // As in an installation: the package by its name, and Node's types.
  await symlink(root, join(folder, "node_modules", "quern"), "junction");
  await symlink(
    join(root, "node_modules", "@types", "node"),
    join(folder, "node_modules", "@types", "node"),
    "junction",
  );
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "reader", private: true, type: "module" }));
  const compilerOptions = { strict: true, target: "ES2023", module: "NodeNext", types: ["node"], skipLibCheck: true };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  for (const [index, code] of examples.entries()) await writeFile(join(folder, `example-${index + 1}.ts`), code);
  // The reward of docs/align.md, which test/docs/align.test.ts runs.
  const align = await readFile(join(root, "docs", "align.md"), "utf8");
  await writeFile(join(folder, "reward.ts"), /^```ts\n([\s\S]*?)^```$/m.exec(align)?.[1] ?? "");
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  await execute(process.execPath, [tsc, "-p", folder], { cwd: folder }).catch((error: { stdout: string }) => {
    throw new Error(`the examples of README and docs/library.md do not compile:\n${error.stdout}`);
  });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("README and docs/library.md", () => {
  it("have examples", () => expect(examples.length).toBeGreaterThanOrEqual(5));

  it.each(examples.map((code, index) => [index + 1, /from "(quern\/\w+)"/.exec(code)?.[1]] as const))(
    "example %i, %s, runs",
    async (number) => {
      const { stdout } = await execute(process.execPath, [`example-${number}.js`], { cwd: folder });
      expect(stdout.trim()).not.toBe("");
      expect(stdout).not.toMatch(/NaN|undefined|^false$/m);
    },
  );

  it("name only existing files and verbs", async () => {
    for (const [, path] of readme.matchAll(/\]\(([^)#]+)\)/g)) await readFile(join(root, path));
    const cli = await readFile(join(root, "src", "cli.ts"), "utf8");
    for (const [, words] of readme.matchAll(/npx quern ([a-z]+(?: [a-z]+)?)\b/g)) {
      const verb = /^(?:tokenizer|data) /.test(words) ? words : words.split(" ")[0];
      // A verb of three words is listed by its first two.
      expect(cli).toMatch(new RegExp(`words: "${verb}[ "]`));
    }
  });
});
