import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Funnel } from "../../src/data/index.js";
import { document, lines, tree, writeTo } from "../data/made-documents.js";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quern-clean-command-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
const write = (name: string, data: string | Buffer): string => writeTo(root, name, data);

const cli = join(import.meta.dirname, "..", "..", "dist", "src", "cli.js");
const newestSource = () =>
  Math.max(
    ...readdirSync(join(import.meta.dirname, "../../src/data"), { recursive: true, encoding: "utf8" }).map(
      (name) => statSync(join(import.meta.dirname, "../../src/data", name)).mtimeMs,
    ),
  );
/** The built command, in a separate process. */
const isBuilt = existsSync(cli) && statSync(cli).mtimeMs > newestSource();

describe.skipIf(!isBuilt)("quern data clean (npm run build)", () => {
  /** FineWeb's recipe without language detection, whose tables take most of a process's start time. */
  const options = ["--recipe", "", "--keep-dropped"];
  let inputs: string[];
  let expected: Record<string, string>;
  beforeAll(() => {
    options[1] = write(
      "kill/recipe.ts",
      `import { c4Quality, defineRecipe, gopherQuality, gopherRepetition, normalize, personalData } from "quern/data";
export default defineRecipe({ steps: [gopherRepetition(), gopherQuality(), c4Quality(), normalize(), personalData()] });`,
    );
    inputs = Array.from({ length: 8 }, (_, part) => {
      const documents = Array.from({ length: 150 }, (_, i) => document(part * 150 + i));
      const spoilt = documents.map((each, i) =>
        i % 5 === 0
          ? {
              ...each,
              text: i % 10 === 0 ? `${each.text.split(".")[0]}.` : `${each.text}\nLet me show { this } to you.`,
            }
          : each,
      );
      return write(`kill/in/${part}.jsonl`, lines(spoilt));
    });
    const out = join(root, "kill/expected");
    const { status, stderr } = spawnSync(
      process.execPath,
      [cli, "data", "clean", ...inputs, "--out", out, ...options, "--workers", "1"],
      { encoding: "utf8" },
    );
    expect(stderr === "" || status === 0).toBe(true);
    expected = tree(out);
    // Some documents are kept and some are dropped, at more than one step.
    const { output, steps } = JSON.parse(expected["funnel.json"]) as Funnel;
    expect(output.documents).toBeGreaterThan(100);
    expect(steps.filter(({ documents: { dropped } }) => dropped > 0).length).toBeGreaterThan(1);
  });

  it("writes the same bytes with two workers", () => {
    const out = join(root, "kill/two");
    const { status } = spawnSync(process.execPath, [
      cli,
      "data",
      "clean",
      ...inputs,
      "--out",
      out,
      ...options,
      "--workers",
      "2",
    ]);
    expect(status).toBe(0);
    expect(tree(out)).toEqual(expected);
  });

  it("writes the same bytes after kills at random moments", async () => {
    const out = join(root, "kill/killed");
    let killed = 0;
    for (let attempt = 0; attempt < 4; attempt++) {
      const child = spawn(
        process.execPath,
        [cli, "data", "clean", ...inputs, "--out", out, ...options, "--workers", "2", "--force"],
        { stdio: "ignore" },
      );
      const ended = new Promise<void>((resolve) => child.on("exit", () => resolve()));
      // The first kill comes as soon as it writes, however fast the machine; later ones at any moment.
      if (attempt === 0) while (child.exitCode === null && !existsSync(out)) await sleep(1);
      else await Promise.race([sleep(200 + Math.random() * 1000), ended]);
      if (child.exitCode === null) {
        child.kill("SIGKILL");
        killed += 1;
      }
      await ended;
    }
    expect(killed).toBeGreaterThan(0);
    const { status, stdout } = spawnSync(
      process.execPath,
      [cli, "data", "clean", ...inputs, "--out", out, ...options, "--json", "--force"],
      { encoding: "utf8" },
    );
    expect(status).toBe(0);
    expect(tree(out)).toEqual(expected);
    const funnel = JSON.parse(expected["funnel.json"]) as Funnel;
    expect(JSON.parse(stdout)).toMatchObject({ tasks: 8, documents: funnel.output.documents });
  }, 180_000);

  it("checks a file with one document per line", () => {
    const { stdout, status } = spawnSync(process.execPath, [cli, "data", "check", inputs[0]], { encoding: "utf8" });
    expect(status).toBe(0);
    const answers = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(answers).toHaveLength(150);
    expect(answers[0]).toEqual({ id: "d0", verdict: "drop", step: expect.any(String), reason: expect.any(String) });
    expect(answers[1]).toEqual({
      id: "d1",
      verdict: expect.stringMatching(/^(keep|drop)$/),
      ...(answers[1].verdict === "drop" ? { step: expect.any(String), reason: expect.any(String) } : {}),
    });
  });

  it("reports what is wrong with a call", () => {
    const call = (...args: string[]) => spawnSync(process.execPath, [cli, "data", ...args], { encoding: "utf8" });
    expect(call("clean", "nowhere.jsonl", "--out", join(root, "x"))).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/nowhere.jsonl: there is no such file/),
    });
    expect(call("clean", inputs[0])).toMatchObject({ status: 2, stderr: expect.stringContaining("--out DIR") });
    expect(call("clean", inputs[0], "--out", join(root, "x"), "--sample", "2")).toMatchObject({ status: 2 });
    expect(call("clean", inputs[0], "--out", join(root, "x"), "--dry-run")).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("gopher-quality"),
    });
  });
});
