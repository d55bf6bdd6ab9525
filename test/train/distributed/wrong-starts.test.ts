/** Wrong starts by an mpirun: one sentence from rank 0, and all ranks end (`npm run test:distributed`). */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { cli, endAll, MPIRUNS, PATIENCE, type Running, start, startEach } from "./processes.js";

const package_ = dirname(dirname(dirname(cli)));
let folder: string;

/** Folders of two nodes, which name their shards alike. */
const [left, right, empty] = ["left", "right", "empty"];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-wrong-"));
  const lines = (word: string) =>
    Array.from({ length: 300 }, (_, i) => `On day ${i} the ${word} ground ${i % 7} sacks.`);
  const quern = (...args: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, [cli, ...args], { cwd: folder, encoding: "utf8" });
    expect(status, stderr).toBe(0);
  };
  for (const name of [left, right, empty]) mkdirSync(join(folder, name));
  writeFileSync(join(folder, "left.txt"), lines("mill").join("\n"));
  writeFileSync(join(folder, "right.txt"), lines("miller").join("\n"));
  if (MPIRUNS.length === 0) return;
  quern("tokenizer", "train", "left.txt", "--vocab-size", "300", "--out", "tokenizer");
  for (const name of [left, right]) {
    quern("tokenizer", "encode", `${name}.txt`, "--tokenizer", "tokenizer", "--out", join(name, "shards"));
  }
}, PATIENCE);
afterEach(endAll, PATIENCE);
afterAll(() => rm(folder, { recursive: true, maxRetries: 5, retryDelay: 500 }));

const sizes = "--layers 1 --width 32 --sequence 16 --batch 4 --steps 4 --dtype fp32".split(" ");
const onText = (out: string) => [
  "pretrain",
  "--text",
  join(folder, "left.txt"),
  "--out",
  join(folder, out),
  ...sizes,
  "--vocab-size",
  "300",
];
const onShards = (out: string) => [
  ...["pretrain", "--data", "shards", "--tokenizer", join(folder, "tokenizer"), "--out", out],
  ...sizes,
];

/** Waits until all ranks have ended; returns the one sentence, without `quern: `. */
async function sentenceOf(run: Running): Promise<string> {
  const { code, stderr } = await run.ended;
  expect(code, stderr).not.toBe(0);
  while ((await run.pids()).length > 0) await sleep(10);
  const said = [...stderr.matchAll(/^quern: (.*)$/gm)].map(([, sentence]) => sentence);
  expect(said, stderr).toHaveLength(1);
  return said[0];
}

// Without an mpirun the file still has its tests, all skipped.
describe.runIf(MPIRUNS.length > 0).each(MPIRUNS.length > 0 ? MPIRUNS : ["mpirun"])(
  "wrong starts by %s",
  { timeout: PATIENCE },
  (by) => {
    const [own, other] = by.includes("mpich") ? ["MPICH", "Open MPI"] : ["Open MPI", "MPICH"];
    const libraryOf = (kind: string) => (kind === "MPICH" ? "libmpich.so.12" : "libmpi.so.40");
    const name = own.replace(" ", "");
    const start2 = (args: readonly string[], environment: NodeJS.ProcessEnv = {}) => start(by, 2, args, environment);
    const each = (first: readonly string[], second: readonly string[], at = [left, right]) =>
      startEach(
        by,
        [first, second].map((args, i) => ({ folder: join(folder, at[i]), args })),
      );

    it("without an MPI library", async () => {
      const sentence = await sentenceOf(start2(onText(`a-${name}`), { QUERN_MPI: "/nowhere/libmpi.so" }));
      expect(sentence).toMatch(/^mpirun started several ranks, but QUERN_MPI=\/nowhere\/libmpi\.so is no MPI library/);
    });

    it("without an MPI library on one node", async () => {
      const command = { folder, args: onText(`n-${name}`) };
      const run = startEach(by, [command, { ...command, environment: { QUERN_MPI: "/nowhere/libmpi.so" } }]);
      expect(await sentenceOf(run)).toMatch(/^rank 1 on \S+: mpirun started several ranks, but QUERN_MPI=/);
    });

    it.runIf(MPIRUNS.length > 1)("with the library of the other MPI", async () => {
      const sentence = await sentenceOf(start2(onText(`b-${name}`), { QUERN_MPI: libraryOf(other) }));
      expect(sentence).toBe(
        `mpirun is of ${own}, but ${libraryOf(other)} is of ${other}; set QUERN_MPI to the libmpi of mpirun`,
      );
    });

    it("with a verb that runs as one process", async () => {
      const sentence = await sentenceOf(start2(["generate", "--model", "none", "--prompt", "none"]));
      expect(sentence).toContain("quern generate runs as one process, and mpirun started 2");
    });

    it("with other options on a rank", async () => {
      const sentence = await sentenceOf(
        each([...onText(`c-${name}`), "--lr", "0.01"], [...onText(`c-${name}`), "--lr", "0.02"]),
      );
      expect(sentence).toMatch(
        /^rank 1 on \S+ was started with learningRate 0.02, and rank 0 with 0.01; start all ranks/,
      );
    });

    it("with another version on a rank", async () => {
      const copy = join(folder, `copy-${name}`);
      cpSync(join(package_, "dist"), join(copy, "dist"), { recursive: true });
      symlinkSync(join(package_, "node_modules"), join(copy, "node_modules"));
      const json = JSON.parse(readFileSync(join(package_, "package.json"), "utf8")) as object;
      writeFileSync(join(copy, "package.json"), JSON.stringify({ ...json, version: "0.0.1" }));
      const command = { folder, args: onText(`d-${name}`) };
      const run = startEach(by, [command, { ...command, cli: join(copy, "dist", "src", "cli.js") }]);
      expect(await sentenceOf(run)).toMatch(
        /^rank 1 on \S+ runs Quern 0.0.1, and rank 0 runs \S+; install the same version/,
      );
    });

    it("with other data on a rank", async () => {
      const args = onShards(join(folder, `e-${name}`));
      const sentence = await sentenceOf(each(args, args));
      expect(sentence).toMatch(
        /^rank 1 on \S+: shards has other tokens than on rank 0; give all nodes the same files$/,
      );
    });

    it("without the data on a rank", async () => {
      const args = onShards(join(folder, `f-${name}`));
      expect(await sentenceOf(each(args, args, [left, empty]))).toMatch(/^rank 1 on \S+: .*shards/);
    });

    it("without a shared file system", async () => {
      const args = onShards(`here-${name}`);
      expect(await sentenceOf(each(args, args))).toMatch(
        /^rank 1 on \S+ does not see here-\w+ of rank 0 on \S+; choose a folder on a file system that all nodes share$/,
      );
    });

    it("with a full disk", async ({ skip }) => {
      const out = join(folder, "full");
      mkdirSync(out, { recursive: true });
      if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=300k", "tmpfs", out]).status !== 0)
        skip("a small disk cannot be mounted");
      try {
        expect(await sentenceOf(start2(onText("full")))).toMatch(/disk/);
      } finally {
        spawnSync("umount", ["-l", out]);
      }
    });

    it("with fewer slots than ranks, or more ranks than the plan has batches", async () => {
      if (own === "Open MPI") {
        // Open MPI's mpirun starts nothing, and says so itself.
        const { code, stderr } = await start(by, 64, onText(`g-${name}`), { OMPI_MCA_rmaps_base_oversubscribe: "0" })
          .ended;
        expect([code === 0, stderr.includes("not enough slots")]).toEqual([false, true]);
      }
      const alone = spawnSync(process.execPath, [cli, ...onText(`h-${name}`)], { encoding: "utf8" });
      expect(alone.status, alone.stderr).toBe(0);
      const again = ["pretrain", "--text", join(folder, "left.txt"), "--out", join(folder, `i-${name}`)];
      const run = start2([...again, "--plan", join(folder, `h-${name}`, "run.json")]);
      expect(await sentenceOf(run)).toBe("the plan has 1 batch per step, too few for 2 ranks; start at most 1");
    });
  },
);
