import {
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Command } from "../../src/commands/command.js";
import { main, type Verb } from "../../src/commands/main.js";
import { claimOutput } from "../../src/documents/index.js";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const source = readFileSync(join(root, "src", "cli.ts"), "utf8");
const verbs: Verb[] = [...source.matchAll(/words: "([^"]+)"[\s\S]*?import\("\.\/commands\/([\w-]+)\.js"\)/g)].map(
  ([, words, file]) => ({ words, summary: "", load: () => import(`../../src/commands/${file}.ts`) }),
);

/** A call of a verb that writes an output. */
interface Case {
  /** The call without its output. `input` is a file of documents, `folder` its folder. */
  readonly words: (at: { readonly input: string; readonly folder: string }) => readonly string[];
  /** The option that names the output, if it is not --out. */
  readonly flag?: string;
  /** The output is a file. */
  readonly isFile?: true;
  /** Its input is a single file, so an output may be next to it. */
  readonly fileInput?: true;
  /** It reads no file here, so its output cannot contain an input. */
  readonly noInput?: true;
  /** A file that it writes, relative to the output. */
  readonly writes: string;
  /** The same call may be repeated and continues the output. */
  readonly open?: true;
}

let base: string;
const shared = (name: string) => join(base, "shared", name);
const sentence = (i: number) =>
  `The miller number ${i} ground ${i * 7} sacks of corn by the river in the year ${1800 + i}.`;

/** Writes prompts, two files of answers, and a judge. */
function answersIn(folder: string): { prompts: string; answers: string[]; judge: string } {
  const prompts = join(folder, "prompts.jsonl");
  writeFileSync(prompts, '{"prompt":"one"}\n{"prompt":"two"}\n');
  const answers = ["a", "b"].map((name) => join(folder, `${name}.jsonl`));
  for (const file of answers) writeFileSync(file, `{"output":"${file}"}\n{"output":"x"}\n`);
  const judge = join(folder, "judge.mjs");
  writeFileSync(judge, "export const judge = (_, first, second) => (first < second ? 1 : 2);\n");
  return { prompts, answers, judge };
}

const cases: Readonly<Record<string, Case>> = {
  "tokenizer train": {
    words: ({ folder }) => ["tokenizer", "train", folder, "--vocab-size", "300", "--threads", "1"],
    writes: "tokenizer.json",
  },
  "tokenizer encode": {
    words: ({ folder }) => ["tokenizer", "encode", folder, "--tokenizer", shared("tokenizer"), "--threads", "1"],
    writes: "shards.json",
  },
  "tokenizer show": {
    words: ({ input }) => ["tokenizer", "show", input, "--tokenizer", shared("tokenizer")],
    flag: "--html",
    isFile: true,
    writes: "",
  },
  "scale predict": {
    words: ({ folder }) => {
      const law = join(folder, "law.json");
      const power = { coefficient: 0.1, exponent: 0.5 };
      const range = Object.fromEntries(["params", "tokens", "flops", "loss"].map((key) => [key, [1, 2]]));
      const constants = { A: 30, B: 60, E: 1.2, alpha: 0.35, beta: 0.35 };
      const rest = { approach: "parametric", counting: "all", frontier: { params: power, tokens: power }, range };
      writeFileSync(law, JSON.stringify({ format: "quern scaling law", ...constants, ...rest }));
      rmSync(join(folder, "documents.jsonl"), { force: true });
      return ["scale", "predict", "--law", law, "--flops", "1e10"];
    },
    isFile: true,
    fileInput: true,
    writes: "",
  },
  "scale fit": {
    words: ({ folder }) => {
      const runs = [1e7, 3e7, 1e8, 3e8].flatMap((N) =>
        [1e9, 4e9, 1e10].map((D) => `${N},${D},${2 + 400 * N ** -0.35 + 2000 * D ** -0.37}`),
      );
      writeFileSync(join(folder, "runs.csv"), `params,tokens,loss\n${runs.join("\n")}\n`);
      rmSync(join(folder, "documents.jsonl"), { force: true });
      return ["scale", "fit", folder, "--bootstrap", "0", "--approach", "kaplan", "--threads", "1"];
    },
    writes: "law.json",
  },
  "scale sweep": {
    words: ({ folder }) => [
      ...["scale", "sweep", "--text", folder, "--flops", "1e8", "--sizes", "1", "--vocab-size", "300"],
      ...["--sequence", "16", "--held-out", "256", "--workers", "1"],
    ],
    writes: "runs.csv",
  },
  pretrain: {
    words: ({ folder }) => [
      ...["pretrain", "--text", folder, "--steps", "1", "--layers", "1", "--width", "16", "--heads", "1"],
      ...["--sequence", "16", "--batch", "2", "--vocab-size", "300", "--dtype", "fp32", "--threads", "1"],
    ],
    writes: "run.json",
  },
  sft: {
    words: ({ folder }) => [
      ...["sft", "--model", join(root, "test", "oracle", "fixtures", "align", "policy"), "--data", folder],
      ...["--steps", "1", "--batch", "1", "--max-length", "16", "--dtype", "fp32", "--threads", "1"],
    ],
    writes: "run.json",
  },
  dpo: {
    words: ({ folder }) => {
      const pair = { prompt: "a", chosen: " good answer", rejected: " bad" };
      writeFileSync(join(folder, "pairs.jsonl"), `${JSON.stringify(pair)}\n`);
      rmSync(join(folder, "documents.jsonl"), { force: true });
      return [
        ...["dpo", "--model", join(root, "test", "oracle", "fixtures", "align", "policy"), "--data", folder],
        ...["--steps", "1", "--batch", "1", "--dtype", "fp32", "--threads", "1"],
      ];
    },
    writes: "run.json",
  },
  reward: {
    words: ({ folder }) => {
      const pair = { prompt: "a", chosen: " good answer", rejected: " bad" };
      writeFileSync(join(folder, "pairs.jsonl"), `${JSON.stringify(pair)}\n`);
      rmSync(join(folder, "documents.jsonl"), { force: true });
      return [
        ...["reward", "--model", join(root, "test", "oracle", "fixtures", "align", "policy"), "--data", folder],
        ...["--steps", "1", "--batch", "1", "--dtype", "fp32", "--threads", "1"],
      ];
    },
    writes: "run.json",
  },
  ppo: {
    words: ({ folder }) => {
      writeFileSync(join(folder, "prompts.jsonl"), `${JSON.stringify({ prompt: "2+2=", answer: "4" })}\n`);
      rmSync(join(folder, "documents.jsonl"), { force: true });
      return [
        ...["ppo", "--model", join(root, "test", "oracle", "fixtures", "align", "policy"), "--prompts", folder],
        ...["--reward", "exact", "--steps", "1", "--batch", "1", "--tokens", "2", "--dtype", "fp32"],
        ...["--threads", "1"],
      ];
    },
    writes: "run.json",
  },
  grpo: {
    words: ({ folder }) => {
      writeFileSync(join(folder, "prompts.jsonl"), `${JSON.stringify({ prompt: "2+2=", answer: "4" })}\n`);
      rmSync(join(folder, "documents.jsonl"), { force: true });
      return [
        ...["grpo", "--model", join(root, "test", "oracle", "fixtures", "align", "policy"), "--prompts", folder],
        ...["--reward", "exact", "--steps", "1", "--batch", "1", "--group", "2", "--tokens", "2", "--dtype", "fp32"],
        ...["--threads", "1"],
      ];
    },
    writes: "run.json",
  },
  generate: {
    words: ({ folder }) => {
      const file = join(folder, "prompts.jsonl");
      writeFileSync(file, `${JSON.stringify({ prompt: "a" })}\n`);
      return [
        ...["generate", "--model", join(root, "test", "oracle", "fixtures", "align", "policy"), "--prompts", file],
        ...["--best-of", "2", "--reward", "regex:pattern=a", "--tokens", "2", "--threads", "1"],
      ];
    },
    isFile: true,
    writes: "",
  },
  merge: {
    words: ({ folder }) => {
      cpSync(join(root, "test", "oracle", "fixtures", "align", "lora", "plain"), folder, { recursive: true });
      return ["merge", "--model", join(root, "test", "oracle", "fixtures", "align", "policy"), "--adapter", folder];
    },
    writes: "config.json",
  },
  "eval report": {
    words: ({ folder }) => {
      const run = join(folder, "evaluation");
      mkdirSync(run, { recursive: true });
      writeFileSync(join(run, "results.json"), '{"results":{"a":{"acc,none":0.5}}}');
      return ["eval", "report", run];
    },
    flag: "--html",
    isFile: true,
    writes: "",
  },
  judge: {
    words: ({ folder }) => {
      const { prompts, answers, judge } = answersIn(folder);
      return ["judge", "--prompts", prompts, "--a", answers[0], "--b", answers[1], "--judge", judge];
    },
    fileInput: true,
    writes: "annotations.json",
  },
  "arena simulate": {
    words: ({ folder }) => {
      const { prompts, answers, judge } = answersIn(folder);
      return ["arena", "simulate", "--prompts", prompts, "--models", ...answers, "--judge", judge];
    },
    fileInput: true,
    writes: "votes.jsonl",
  },
  "arena rank": {
    words: ({ folder }) => {
      const file = join(folder, "votes.jsonl");
      writeFileSync(file, '{"model_a":"x","model_b":"y","winner":"tie"}\n'.repeat(4));
      return ["arena", "rank", file];
    },
    fileInput: true,
    writes: "ranking.json",
  },
  eval: {
    words: ({ folder }) => {
      mkdirSync(join(folder, "made"), { recursive: true });
      writeFileSync(join(folder, "made", "test.jsonl"), '{"q":"one","a":"two"}\n{"q":"three","a":"four"}\n');
      const task = join(folder, "task.yaml");
      const keys = ["task: made", "dataset_path: made", "test_split: test", "output_type: loglikelihood"];
      writeFileSync(task, [...keys, "doc_to_text: q", "doc_to_target: a", ""].join("\n"));
      const model = join(root, "test", "oracle", "fixtures", "tiny-chat");
      return ["eval", "--model", model, "--tasks", task, "--data", folder, "--bootstrap", "0", "--threads", "1"];
    },
    fileInput: true,
    writes: "results.json",
  },
  perplexity: {
    words: ({ input }) => [
      ...[
        "perplexity",
        input,
        "--model",
        join(root, "test", "oracle", "fixtures", "align", "policy"),
        "--threads",
        "1",
      ],
    ],
    flag: "--html",
    isFile: true,
    writes: "",
  },
  export: {
    words: ({ folder }) => {
      const file = join(folder, "model.gguf");
      copyFileSync(join(root, "test", "oracle", "fixtures", "gguf", "gpt2.gguf"), file);
      return ["export", "--model", file];
    },
    flag: "--gguf",
    isFile: true,
    fileInput: true,
    writes: "",
  },
  quantise: {
    words: ({ folder }) => {
      const file = join(folder, "model.gguf");
      copyFileSync(join(root, "test", "oracle", "fixtures", "gguf", "gpt2.gguf"), file);
      return ["quantise", "--model", file, "--type", "q8_0"];
    },
    isFile: true,
    fileInput: true,
    writes: "",
  },
  import: {
    words: ({ folder }) => {
      const file = join(folder, "model.gguf");
      copyFileSync(join(root, "test", "oracle", "fixtures", "gguf", "gpt2.gguf"), file);
      return ["import", file];
    },
    fileInput: true,
    writes: "config.json",
  },
  "data crawl": {
    words: () => ["data", "crawl", "http://127.0.0.1:9/"],
    noInput: true,
    writes: "crawl.json",
    open: true,
  },
  "data clean": {
    words: ({ folder }) => ["data", "clean", folder, "--recipe", shared("clean.json"), "--workers", "1"],
    writes: "funnel.json",
  },
  "data deduplicate": {
    words: ({ folder }) => ["data", "deduplicate", folder, "--by", "document", "--workers", "1"],
    writes: "documents/00000.jsonl",
  },
  "data decontaminate": {
    words: ({ folder }) => ["data", "decontaminate", folder, "--against", shared("exam.jsonl"), "--workers", "1"],
    writes: "decontaminate.json",
  },
  "data mix": {
    words: ({ folder }) => {
      const recipe = join(dirname(folder), "mix.json");
      writeFileSync(recipe, JSON.stringify({ inputs: [folder], by: "source", temperature: 1 }));
      return ["data", "mix", "--recipe", recipe];
    },
    writes: "mix.json",
  },
  "data corpus": {
    words: ({ folder }) => ["data", "corpus", folder, "--recipe", shared("corpus.json"), "--workers", "1"],
    writes: "manifest.json",
  },
  "data classifier train": {
    words: ({ folder }) => {
      const lines = join(folder, "lines.txt");
      writeFileSync(lines, "__label__a one two\n__label__b three four\n".repeat(4));
      return ["data", "classifier", "train", lines, "--dim", "4", "--bucket", "100", "--epoch", "1", "--threads", "1"];
    },
    isFile: true,
    writes: "",
  },
  "data classifier fit": {
    words: ({ input }) => [
      ...["data", "classifier", "fit", "reference", "--good", input, "--rest", shared("rest.jsonl")],
      ...["--dim", "4", "--epoch", "1"],
    ],
    isFile: true,
    writes: "",
  },
};

/** Runs a command line; returns its standard error and exit code. */
async function quern(words: readonly string[]): Promise<{ code: number; err: string }> {
  let err = "";
  const silent = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  const stderr = vi.spyOn(process.stderr, "write").mockImplementation((chunk) => {
    err += chunk;
    return true;
  });
  try {
    return { code: await main(verbs, words), err };
  } finally {
    silent.mockRestore();
    stderr.mockRestore();
  }
}

/** Lists every file, folder and link below a folder, with its content. */
function tree(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .sort()
      .map((name) => {
        const status = lstatSync(join(folder, name));
        if (status.isSymbolicLink()) return [name, `-> ${readlinkSync(join(folder, name))}`];
        return [name, status.isDirectory() ? "folder" : readFileSync(join(folder, name), "latin1")];
      }),
  );
}

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "quern-outputs-"));
  mkdirSync(join(base, "shared"));
  const lines = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => `${JSON.stringify({ id: `${from + i}`, text: sentence(from + i) })}\n`);
  writeFileSync(shared("rest.jsonl"), lines(100, 160).join(""));
  writeFileSync(shared("exam.jsonl"), lines(900, 905).join(""));
  writeFileSync(shared("clean.json"), JSON.stringify({ steps: [{ length: { minWords: 1 } }] }));
  const corpus = {
    clean: shared("clean.json"),
    deduplicate: [],
    heldout: 0.1,
    mix: { by: "source", temperature: 1 },
    shards: { vocabSize: 300 },
  };
  writeFileSync(shared("corpus.json"), JSON.stringify(corpus));
  writeFileSync(shared("text.txt"), lines(0, 60).join(""));
  const train = ["tokenizer", "train", shared("text.txt"), "--vocab-size", "300", "--threads", "1"];
  expect(await quern([...train, "--out", shared("tokenizer")])).toMatchObject({ code: 0 });
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

it("has a case for every verb that writes", async () => {
  const source = readFileSync(join(root, "src", "cli.ts"), "utf8");
  expect(verbs.length).toBe(source.match(/words:/g)?.length);
  const writing: string[] = [];
  for (const { words, load } of verbs) {
    const { options } = (await load()).default as Command;
    if (["out", "html", "gguf"].some((key) => key in options.shape)) writing.push(words);
  }
  expect(writing.sort()).toEqual(Object.keys(cases).sort());
});

it("writes no shards into the folder of their tokenizer", async () => {
  const words = ["tokenizer", "encode", shared("text.txt"), "--tokenizer", shared("tokenizer")];
  for (const out of ["tokenizer", "tokenizer/shards"]) {
    const refused = { code: 2, err: expect.stringMatching(/the output .* (is|is inside) the input/) };
    expect(await quern([...words, "--out", shared(out)])).toEqual(refused);
  }
});

it.runIf(process.platform === "linux")("detects whether a process in another container is still writing", async () => {
  const out = join(base, "container");
  const layout = { writes: () => true };
  const request = { verb: "x", out, inputs: [], layout };
  const claim = await claimOutput(request);
  const lock = join(out, ".quern.lock");
  const held = JSON.parse(readFileSync(lock, "utf8"));
  // The same lock as seen from another container, where the process id and perhaps the host name are unknown.
  for (const seen of [{ space: "pid:[1]" }, { host: "elsewhere" }]) {
    writeFileSync(lock, JSON.stringify({ ...held, pid: 1, token: "0", ...seen }));
    if (held.guarded) await expect(claimOutput(request)).rejects.toThrow(/is being written by process 1/);
  }
  await claim.release();
  expect(existsSync(lock)).toBe(true); // its text is no longer the holder's
  // The process has ended, and with it the kernel's lock.
  if (held.guarded) await (await claimOutput(request)).release();
});

it("removes a lock that a killed call had taken away", async () => {
  const out = join(base, "aside");
  mkdirSync(out);
  writeFileSync(join(out, "..quern.lock.0123456789ab-1.tmp"), "{}");
  const claim = await claimOutput({ verb: "x", out, inputs: [], layout: { writes: () => true } });
  expect(readdirSync(out).sort()).toEqual([".quern.json", ".quern.lock"]);
  await claim.release();
});

it("leaves no folder if nothing was written", async () => {
  for (const layout of [{ writes: () => true }, undefined]) {
    const claim = await claimOutput({ verb: "x", out: join(base, "new/deep/out"), inputs: [], layout });
    await claim.release();
    expect(existsSync(join(base, "new"))).toBe(false);
  }
});

let count = 0;
describe.each(Object.entries(cases))(
  "quern %s",
  (verb, { words, flag = "--out", isFile, fileInput, noInput, writes, open }) => {
    const force = open ? [] : ["--force"];
    // No server answers the crawl: it writes its log, and fails because it kept no page.
    const done = verb === "data crawl" ? 1 : 0;
    /** A folder for one test, with documents and a user's own files. */
    let box: string;
    let folder: string;
    let input: string;
    const inBox = (name: string) => join(box, name);
    const foreign = (path: string, text = "mine, and nobody else's\n") => {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    };
    const call = (out: string, ...more: string[]) => quern([...words({ input, folder }), flag, out, ...more]);
    /** Expects that the call is refused as a wrong call, and that no file has changed. */
    const refused = async (out: string, reason: RegExp, ...more: string[]) => {
      words({ input, folder }); // may write a recipe
      const before = tree(box);
      expect(await call(out, ...more)).toEqual({ code: 2, err: expect.stringMatching(reason) });
      expect(tree(box)).toEqual(before);
    };

    beforeEach(() => {
      box = join(base, `box-${count++}`);
      folder = inBox("in");
      input = join(folder, "documents.jsonl");
      foreign(input, readFileSync(shared("text.txt"), "utf8"));
    });

    it("refuses folders with foreign files, including the current folder, even with --force", async () => {
      foreign(inBox("mine/.git/HEAD"), "ref: refs/heads/main\n");
      foreign(inBox("mine/letter.txt"));
      if (isFile) {
        await refused(inBox("mine/letter.txt"), /exists and was not written by quern/);
        await refused(inBox("mine/letter.txt"), /exists and was not written by quern/, "--force");
        await refused(inBox("mine"), /is a folder, not a file/);
        return;
      }
      await refused(inBox("mine"), /contains files that quern .* did not write/);
      await refused(inBox("mine"), /contains files that quern .* did not write/, ...force);
      await refused(inBox("mine/letter.txt"), /is a file, not a folder/);
      words({ input, folder });
      const before = tree(box);
      const previous = process.cwd();
      process.chdir(inBox("mine"));
      const { code } = await call(".").finally(() => process.chdir(previous));
      expect(code).toBe(2);
      expect(tree(box)).toEqual(before);
    });

    it.skipIf(noInput)("refuses an output that is, contains or is inside an input", async () => {
      const [named] = words({ input, folder }).filter((word) => word.startsWith(folder) && existsSync(word));
      await refused(named ?? folder, /the output .* (is|contains) the input|is a folder/);
      if (isFile) return refused(named, /the output .* is the input/, "--force");
      await refused(folder, /the output .* (is|contains) the input/, "--force");
      await refused(box, /the output .* contains the input/);
      if (fileInput) return;
      await refused(inBox("in/new/out"), /the output .* is inside the input/);
      // A link changes the path, but not the place.
      symlinkSync(folder, inBox("link"));
      await refused(inBox("link/out"), /the output .* is inside the input/);
      // Behind a link, the system resolves `..` differently.
      foreign(inBox("in/deep/letter.txt"));
      symlinkSync(inBox("in/deep"), inBox("deep"));
      for (const detour of ["deep/../out", "missing/../out"]) await refused(`${box}/${detour}`, /has \.\. after/);
    });

    it("follows no symbolic link to foreign files", async () => {
      foreign(inBox("mine/letter.txt"));
      symlinkSync(inBox("mine"), inBox("to-folder"));
      symlinkSync(inBox("mine/letter.txt"), inBox("to-file"));
      symlinkSync(inBox("nowhere"), inBox("to-nothing"));
      for (const link of ["to-folder", "to-file", "to-nothing"]) {
        await refused(inBox(link), /./);
        await refused(inBox(link), /./, ...force);
      }
    });

    it("writes, refuses to write again, and with --force replaces only its own files", async () => {
      const out = inBox(isFile ? "out/model.bin" : "out");
      // Of two concurrent calls, one is refused.
      words({ input, folder });
      const [one, two] = await Promise.all([call(out), call(out)]);
      expect([one.code, two.code].sort(), one.err + two.err).toEqual([done, 2]);
      expect(existsSync(join(out, writes))).toBe(true);
      expect(
        readdirSync(box, { recursive: true, encoding: "utf8" }).filter((name) => /lock|\.tmp|partial/.test(name)),
      ).toEqual([]);
      foreign(inBox("out/letter.txt"));
      foreign(inBox("out/letters/letter.txt"));
      if (open) {
        expect(await call(out)).toMatchObject({ code: done });
      } else {
        await refused(out, /give --force to replace it/);
        expect(await call(out, "--force")).toMatchObject({ code: 0 });
        expect(existsSync(join(out, writes))).toBe(true);
      }
      for (const name of ["out/letter.txt", "out/letters/letter.txt"])
        expect(readFileSync(inBox(name), "utf8")).toBe("mine, and nobody else's\n");
      const own = writes.includes("/") ? dirname(writes) : undefined;
      if (own === undefined) return;
      // A foreign file in a folder that is replaced as a whole, and a link in place of that folder.
      foreign(join(out, own, "letter.txt"));
      await refused(out, /was not written by quern/, "--force");
      rmSync(join(out, own, "letter.txt"));
      renameSync(join(out, own), inBox("elsewhere"));
      symlinkSync(inBox("elsewhere"), join(out, own));
      await refused(out, /is a symbolic link/, "--force");
    }, 120_000);

    it("removes temporary files of a killed call", async () => {
      const out = inBox(isFile ? "out/model.bin" : "out");
      expect(await call(out)).toMatchObject({ code: done });
      const name = isFile ? "model.bin" : writes;
      const at = name.includes("/") ? join(out, dirname(name)) : inBox("out");
      // Half a file, in the output folder or next to the output file.
      const left = join(at, `.${name.split("/").at(-1)}.0123456789ab-1.tmp`);
      const others = inBox("out/.letter.txt.0123456789ab-1.tmp");
      foreign(left, "half");
      foreign(others);
      expect(await call(out, ...force)).toMatchObject({ code: done });
      expect(existsSync(left)).toBe(false);
      expect(existsSync(others)).toBe(true);
    }, 120_000);

    it("is refused while another process writes there, but not by the lock of a killed one", async () => {
      const out = inBox(isFile ? "out/model.bin" : "out");
      const layout = isFile ? undefined : { writes: () => true };
      const claim = await claimOutput({ verb, out, inputs: [], layout });
      await refused(out, /is being written by another call of this process/);
      await claim.release();
      // A process that has ended, and one whose id another process has by now.
      const lock = isFile ? inBox("out/.model.bin.quern.lock") : inBox("out/.quern.lock");
      for (const [pid, started] of [
        [2 ** 22 + 1, null],
        [process.pid, "another boot 12345"],
      ]) {
        mkdirSync(dirname(lock), { recursive: true });
        writeFileSync(lock, JSON.stringify({ pid, started, host: hostname(), token: "0" }));
        const { code, err } = await call(out, ...force);
        expect(code, err).toBe(done);
        expect(existsSync(lock)).toBe(false);
      }
      // Another machine, which may still be writing.
      writeFileSync(lock, JSON.stringify({ pid: 1, started: null, host: "elsewhere", token: "0" }));
      await refused(out, /is being written by process 1 on elsewhere/, ...force);
    }, 120_000);
  },
);
