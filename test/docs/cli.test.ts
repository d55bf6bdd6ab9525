/** docs/cli.md is generated from the verbs of src/cli.ts; this test regenerates it and compares. */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, it, vi } from "vitest";
import type { Command } from "../../src/commands/command.js";
import { type Flag, flagsOf } from "../../src/commands/flags.js";
import type { Verb } from "../../src/commands/main.js";

const page = new URL("../../docs/cli.md", import.meta.url);

const started = vi.hoisted(() => ({ verbs: [] as Verb[] }));
vi.mock("../../src/commands/process.js", () => ({
  runProcess: (verbs: readonly Verb[]) => void started.verbs.push(...verbs),
}));

/** Text of a table cell. */
const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");

function fallbackOf(flag: Flag): string {
  if (flag.required) return "required";
  if (flag.fallback === undefined || flag.kind === "boolean") return "";
  const values = Array.isArray(flag.fallback) ? flag.fallback : [flag.fallback];
  const text = values.join(flag.separator ?? " ");
  return text === "" ? "" : `\`${text}\``;
}

function section({ words }: Verb, command: Command): string {
  const flags = flagsOf(command.options);
  const arguments_ = flags.filter(({ key }) => command.positional.includes(key));
  const options = flags.filter(({ key }) => !command.positional.includes(key));
  const name = ({ value, list }: Flag) => (list ? `${value}...` : value);
  const usage = ["quern", words, ...arguments_.map(name), "[options]"].join(" ");
  const rows = [
    ...arguments_.map((flag) => [`\`${name(flag)}\``, flag]),
    ...options.map((flag) => [
      `\`${flag.flag}${flag.kind === "boolean" && !flag.list ? "" : ` ${name(flag)}`}\``,
      flag,
    ]),
  ] as [string, Flag][];
  return [
    `## quern ${words}`,
    "",
    command.description,
    "",
    `    ${usage}`,
    ...(rows.length === 0 ? [] : ["", "| option | what it does | default |", "|---|---|---|"]),
    ...rows.map(([shown, flag]) => `| ${cell(shown)} | ${cell(flag.description)} | ${cell(fallbackOf(flag))} |`),
    ...(command.examples.length === 0 ? [] : ["", "Examples:", "", ...command.examples.map((line) => `    ${line}`)]),
    "",
  ].join("\n");
}

const anchor = (words: string) => `#quern-${words.replaceAll(" ", "-")}`;

it("describes every verb of src/cli.ts and each of its options", async () => {
  await import("../../src/cli.js");
  const { verbs } = started;
  expect(verbs.length).toBeGreaterThan(20);
  const commands = await Promise.all(verbs.map(async ({ load }) => (await load()).default));
  const written = [
    "# Command line",
    "",
    "This page is generated from `src/cli.ts`. `quern --help` lists the verbs, and `quern VERB --help` shows a verb's options.",
    "Every verb also takes `--config FILE`, `--json`, `--debug` and `--help`: see [configuration](configuration.md).",
    "",
    "| verb | what it does |",
    "|---|---|",
    ...verbs.map(({ words, summary }) => `| [\`${words}\`](${anchor(words)}) | ${cell(summary)} |`),
    "",
    ...verbs.map((verb, i) => section(verb, commands[i])),
  ].join("\n");
  if (process.env.UPDATE_DOCS === "1") writeFileSync(page, written);
  expect(readFileSync(page, "utf8"), "run UPDATE_DOCS=1 npx vitest run test/docs").toBe(written);
});
