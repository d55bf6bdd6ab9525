/** docs/align.md: its data and its reward are written to a folder, and all its commands run there, on a tiny policy. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { dpoOptions, GRPO_NAMES, PREFERENCE_LOSSES } from "../../src/align/index.js";
import { BUILT_IN } from "../../src/align/rewards/built-in.js";
import { main, type Verb } from "../../src/commands/main.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const page = readFileSync(join(root, "docs", "align.md"), "utf8");
const source = readFileSync(join(root, "src", "cli.ts"), "utf8");
const verbs: Verb[] = [...source.matchAll(/words: "([^"]+)"[\s\S]*?import\("\.\/commands\/([\w-]+)\.js"\)/g)].map(
  ([, words, file]) => ({ words, summary: "", load: () => import(`../../src/commands/${file}.ts`) }),
);

/** Data and TypeScript: the last file named before a block is its name. */
const blocks = [...page.matchAll(/`([\w-]+\.(?:jsonl|ts))`[^`]*:\n\n```(?:jsonl|ts)\n([\s\S]*?)^```$/gm)];
const commands = [...page.matchAll(/^ {4}npx quern (.*)$/gm)].map(([, line]) => line);

/** The losses of `quern dpo`, from its help. */
const described = dpoOptions.shape.loss.description ?? "";
const listedLosses = /: ([\w, ]+) \(/.exec(described)?.[1].split(", ") ?? [];

const before = process.cwd();
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quern-align-page-"));
  mkdirSync(join(folder, "runs"));
  cpSync(join(root, "test", "oracle", "fixtures", "align", "policy"), join(folder, "runs", "base"), {
    recursive: true,
  });
  for (const [, name, content] of blocks) writeFileSync(join(folder, name), content);
  process.chdir(folder);
});

afterAll(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true, force: true });
});

/** A small chat model, in place of the page's model on the hub. */
const CHAT_MODEL = join(root, "test", "oracle", "fixtures", "tiny-chat");

/** Runs a command line. */
async function quern(line: string) {
  const streams = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      streams[name] += String(text);
      return true;
    }),
  );
  try {
    return { code: await main(verbs, line.replace(/hf:\/\/\S+/, CHAT_MODEL).split(" ")), ...streams };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

describe("docs/align.md", () => {
  it("has its examples", () => {
    expect(blocks.map(([, name]) => name)).toEqual([
      ...["chats.jsonl", "questions.jsonl", "pairs.jsonl", "held-out-questions.jsonl", "held-out-pairs.jsonl"],
      ...["labels.jsonl", "prompts.jsonl", "reward.ts"],
    ]);
    const used = new Set(commands.map((line) => line.split(" ")[0]));
    expect([...used].sort()).toEqual(["chat", "dpo", "generate", "grpo", "merge", "ppo", "reward", "sft"]);
  });

  // A conversation needs a person; the test of `quern chat` has one.
  it.each(commands.filter((line) => !line.startsWith("chat")))("quern %s", { timeout: 60_000 }, async (line) => {
    const { code, stdout, stderr } = await quern(`${line}${/^(merge|generate)/.test(line) ? "" : " --threads 1"}`);
    expect(`${code} ${code === 0 ? "" : stderr}`.trim()).toBe("0");
    if (line.includes("--preview")) {
      const shown = page.slice(page.indexOf("    example 1:")).split("\n\n")[0];
      expect(stdout).toContain(shown.replaceAll(/^ {4}/gm, ""));
    }
  });

  it("explains every metric of its runs", () => {
    const explained = new Set([...page.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => cell.match(/\w+/g) ?? []));
    const runs = readdirSync("runs").filter((name) => name !== "base");
    for (const run of runs) {
      for (const line of readFileSync(join("runs", run, "metrics.jsonl"), "utf8")
        .trim()
        .split("\n")) {
        const names = Object.keys(JSON.parse(line) as object).map((name) => name.replace(/^validation_/, ""));
        for (const name of names) {
          if (["step", "rollouts", ...listedLosses].includes(name) || /^reward_(?!std|chosen|rejected)/.test(name))
            continue;
          expect(explained, `${run}: ${name}`).toContain(name);
        }
      }
    }
  });

  it("has a row with a formula and a source for every loss, and names every reward", () => {
    const rows = new Map(
      [...page.matchAll(/^\| `([^`]+)`(?: \(default\))? \| (.+) \| (.+) \|$/gm)].map(([, ...row]) => [row[0], row]),
    );
    expect(listedLosses).toEqual(expect.arrayContaining(Object.keys(PREFERENCE_LOSSES)));
    for (const name of [...listedLosses, ...GRPO_NAMES]) {
      expect(rows.get(name)?.[1] ?? "no row", name).not.toBe("no row");
      if (name !== "bnpo") expect(rows.get(name)?.[2] ?? "no row", name).toMatch(/arxiv\.org\/abs\/\d{4}\.\d{5}/);
    }
    for (const name of Object.keys(BUILT_IN)) expect(page, name).toMatch(new RegExp(`^\\| \`${name}[\`:]`, "m"));
  });
});
