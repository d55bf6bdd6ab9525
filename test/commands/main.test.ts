import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { defineCommand } from "../../src/commands/command.js";
import { main, type Verb } from "../../src/commands/main.js";
import { QuernError } from "../../src/errors.js";

const count = defineCommand({
  description: "Count words.",
  options: z.object({
    files: z.array(z.string()).min(1).describe("text files").meta({ value: "PATH" }),
    longestWord: z.int().min(1).max(100).default(40).describe("longest word counted, in characters"),
    rate: z.number().positive().optional().describe("words a second"),
    text: z.array(z.string()).optional().describe("more files").meta({ value: "PATH" }),
    special: z.array(z.string()).default([]).describe("special words").meta({ separator: "," }),
    mode: z.enum(["fast", "slow"]).default("fast").describe("how"),
    cache: z.boolean().default(true).describe("keep what was counted"),
    fresh: z.boolean().default(true).describe("keep words").meta({ off: "count everything again" }),
    verbose: z.boolean().default(false).describe("say more"),
    seed: z.int().default(0).describe("seed"),
  }),
  positional: ["files"],
  examples: ["quern count a.txt"],
  run: async (options, { print, onProgress, signal }) => {
    if (options.files[0] === "throw") throw new QuernError("the work failed in line 3; mend it");
    if (options.files[0] === "wrong") throw new QuernError("no such thing", { exitCode: 2 });
    if (options.files[0] === "bug") throw new TypeError("x is undefined");
    if (options.files[0] === "wait") {
      setTimeout(() => process.emit("SIGINT"), 10);
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }
    if (options.files[0] === "save") {
      setTimeout(() => process.emit("SIGINT"), 10);
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    }
    onProgress({ task: "count", done: 1, unit: "word" });
    print("one word");
    return options;
  },
});
const verbs: Verb[] = [
  { words: "count", summary: "count words", load: async () => ({ default: count }) },
  { words: "tokenizer train", summary: "train a tokenizer", load: async () => ({ default: count }) },
  { words: "tokenizer encode", summary: "encode", load: async () => ({ default: count }) },
  { words: "data clean", summary: "clean", load: () => import("../../src/commands/data-clean.js") },
  {
    words: "data classifier train",
    summary: "train",
    load: () => import("../../src/commands/data-classifier-train.js"),
  },
  { words: "bench", summary: "measure", load: () => import("../../src/commands/bench.js") },
  { words: "data corpus", summary: "corpus", load: () => import("../../src/commands/data-corpus.js") },
];

let out = "";
let err = "";
let folder: string;
beforeEach(async () => {
  out = "";
  err = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += text;
    return true;
  });
  folder = await mkdtemp(join(tmpdir(), "quern-main-"));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

const run = (line: string) =>
  main(
    verbs,
    line.split(" ").filter((word) => word !== ""),
  );

describe("flags", () => {
  it("fill the schema, with its defaults", async () => {
    expect(
      await run("count a b --longest-word 7 --rate 2.5 --text c d --special x,y --mode slow --seed -3 --json"),
    ).toBe(0);
    expect(JSON.parse(out)).toEqual({
      files: ["a", "b"],
      longestWord: 7,
      rate: 2.5,
      text: ["c", "d"],
      special: ["x", "y"],
      mode: "slow",
      cache: true,
      fresh: true,
      verbose: false,
      seed: -3,
    });
  });

  it("switch booleans both ways", async () => {
    await run("count a --no-cache --verbose --json");
    expect(JSON.parse(out)).toMatchObject({ cache: false, verbose: true });
  });

  it("list the choices of an argument, without its description", async () => {
    expect(await run("bench speed")).toBe(2);
    expect(err).toMatch(/^quern: what must be one of train, decode, .*, not "speed"\n$/);
  });

  it("print text without --json", async () => {
    expect(await run("count a")).toBe(0);
    expect(out).toBe("one word\n");
  });

  it("reach nested verbs", async () => {
    expect(await run("tokenizer train a --json")).toBe(0);
    expect(JSON.parse(out).files).toEqual(["a"]);
  });
});

describe("a wrong call is one line and exit code 2", () => {
  const wrong: [string, string | RegExp][] = [
    [
      "count a --longest-wrod 3",
      "quern: unknown flag --longest-wrod; did you mean --longest-word? (see quern count --help)\n",
    ],
    ["count a --longest-word abc", 'quern: --longest-word must be a number, not "abc"\n'],
    ["count a --longest-word 2.5", "quern: --longest-word must be a whole number, not 2.5\n"],
    ["count a --longest-word 0", "quern: --longest-word must be at least 1, not 0\n"],
    ["count a --longest-word 101", "quern: --longest-word must be at most 100, not 101\n"],
    ["count a --rate 0", "quern: --rate must be more than 0, not 0\n"],
    ["count a --mode quick", 'quern: --mode must be one of fast, slow, not "quick"\n'],
    ["count a --rate", "quern: --rate needs a value (see quern count --help)\n"],
    [
      "data clean a --out b --array-size 3",
      'quern: --array-size has no effect with the executor "local"; it requires --executor slurm\n',
    ],
    [
      "data corpus a --recipe r.json --out b --array-size 3",
      'quern: --array-size has no effect with the executor "local"; it requires --executor slurm\n',
    ],
    ["count", "quern: quern count needs PATH (see quern count --help)\n"],
    ["cuont", 'quern: unknown verb "cuont"; did you mean "quern count"? All verbs: quern --help\n'],
    ["tokenizer trian", 'quern: unknown verb "tokenizer trian"; did you mean "quern tokenizer train"?\n'],
    ["--jsno", "quern: unknown flag --jsno; flags follow a verb, see quern --help\n"],
    [
      "count a --config missing.json",
      "quern: cannot read missing.json: there is no such file or folder; check the path\n",
    ],
  ];
  it.each(wrong)("%s", async (line, message) => {
    expect(await run(line)).toBe(2);
    expect(err).toEqual(message);
    expect(out).toBe("");
  });
});

describe("a config file", () => {
  const config = async (text: string) => {
    const path = join(folder, "quern.json");
    await writeFile(path, text);
    return path;
  };

  it("sets options, and flags override it", async () => {
    const path = await config('{"files": ["a"], "longestWord": 9, "seed": 5}');
    expect(await run(`count --config ${path} --seed 6 --json`)).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ files: ["a"], longestWord: 9, seed: 6 });
  });

  it.each([
    ['{"longestWrod": 9}', /unknown option "longestWrod" in .*quern.json; did you mean "longestWord"\?/],
    ['{"longestWord": "9"}', /longestWord in .*quern.json must be a number, not "9"/],
    ['{"a": 1,\n"b" 2}', /quern.json is not valid JSON: .*line 2, column 5/],
    ["[1]", /must contain one JSON object/],
  ])("%s is refused", async (text, message) => {
    const path = await config(text);
    expect(await run(`count a --config ${path}`)).toBe(2);
    expect(err).toMatch(message);
    expect(err.trimEnd().split("\n")).toHaveLength(1);
  });
});

describe("how a verb ends", () => {
  it("exit code 1 and no stack trace when the work fails", async () => {
    expect(await run("count throw")).toBe(1);
    expect(err).toBe("quern: the work failed in line 3; mend it\n");
    expect(await run("count wrong")).toBe(2);
  });

  it("a stack trace under --debug", async () => {
    expect(await run("count bug")).toBe(1);
    expect(err).toMatch(/^quern: internal error: x is undefined .*--debug.*\n$/);
    err = "";
    expect(await run("count bug --debug")).toBe(1);
    expect(err).toContain("main.test");
  });

  it("130 when interrupted, whether the library throws or saves and returns", async () => {
    expect(await run("count wait")).toBe(130);
    expect(err).toContain("quern: interrupted");
    expect(await run("count save --json")).toBe(130);
    expect(JSON.parse(out).files).toEqual(["save"]);
  });
});

describe("help", () => {
  it("lists all verbs, or those of a group", async () => {
    expect(await run("--help")).toBe(0);
    expect(out).toMatch(/count +count words/);
    expect(out).toMatch(/tokenizer train +train a tokenizer/);
    out = "";
    expect(await run("tokenizer")).toBe(2);
    expect(err).toContain("tokenizer encode");
  });

  it("shows each option with its default", async () => {
    expect(await run("help count")).toBe(0);
    expect(out).toMatch(/--longest-word <N> +longest word counted, in characters \(default 40\)/);
    expect(out).toMatch(/--no-cache +do not keep what was counted\n/);
    expect(out).toMatch(/--no-fresh +count everything again\n/);
    expect(out).toMatch(/--mode <fast\|slow> +how \(default fast\)/);
    expect(out).toContain("quern count a.txt");
  });
});

describe("data classifier train", () => {
  it("warns that a run with several threads cannot be repeated, and not with one", async () => {
    const lines = join(folder, "lines.txt");
    await writeFile(lines, "__label__a one two\n__label__b three four\n".repeat(4));
    const call = `data classifier train ${lines} --out ${join(folder, "m.bin")} --dim 4 --bucket 100 --epoch 1`;
    expect(await run(call)).toBe(0);
    expect(err).not.toContain("repeated");
    expect(await run(`${call} --threads 2 --force`)).toBe(0);
    expect(err).toContain("2 threads update shared memory without locks, so this run cannot be repeated");
  });
});
