/**
 * @file Evaluation compared with lm-evaluation-harness on the same cores. Rounds alternate, each in its own process; the table
 * has medians.
 *   QUERN_TORCH_PYTHON=/path/to/python npm run bench:eval [-- --only shots --rounds 3 --threads 2 --model FOLDER --tasks FOLDER]
 * The Python has lm_eval 0.4.13, torch 2.13 and transformers 5.24; without it the peer's columns say "not measured".
 * Rows: 1,000 requests without shots and 400 with five, in fp32, by a Llama with the shape of SmolLM2-135M and random weights,
 * or by `--model`, a Hugging Face folder; with it and QUERN_SHARED the documents are real. `quern eval list` of `--tasks`, a
 * folder of task files such as lm-eval's; Bradley–Terry with intervals on a million made-up votes.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeModel } from "./align-data.js";
import { arenaRow } from "./eval-arena.js";
import { writeEvalTasks } from "./eval-data.js";
import type { EvalJob, EvalMeasured } from "./eval-job.js";
import { machineLine, median, runPeer, torchPython } from "./measure.js";

const only = option("only");
const rounds = Number(option("rounds") ?? 3);
const threads = Number(option("threads") ?? 2);
const taskFiles = option("tasks");
const here = dirname(fileURLToPath(import.meta.url));
const cli = join(here, "../src/cli.js");
/** Batch sizes of lm-eval; its best one counts. */
const BATCHES = { "0 shots": [1, 8, 32], "5 shots": [1, 4, 16] };

interface Line {
  readonly name: string;
  readonly line: string;
  readonly [figure: string]: unknown;
}

const scratch = mkdtempSync(join(tmpdir(), "quern-bench-eval-"));
const lines: Line[] = [];
try {
  if (wanted("0 shots") || wanted("5 shots")) await likelihoods();
  if (wanted("list")) lines.push(list());
  if (wanted("arena")) lines.push(arenaRow({ scratch, cli, rounds }));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
const processor = cpus()[0]?.model.trim() || "an unknown CPU";
console.log(`\nEvaluation with ${threads} threads on ${processor}; medians of ${rounds} alternating rounds`);
for (const { line } of lines) console.log(line);
const machine = await machineLine();
console.log(machine);
console.log(JSON.stringify({ bench: "eval", threads, rounds, processor, machine, results: lines }));

async function likelihoods(): Promise<void> {
  const python = torchPython();
  const given = option("model");
  const model = given ?? (await makeModel(scratch, "llama-135m")).folder;
  const shared = process.env.QUERN_SHARED;
  const benchmarks = given === undefined || shared === undefined ? null : join(shared, "data/benchmarks");
  const { folder, zeroShot, fiveShot } = await writeEvalTasks(scratch, model, benchmarks);
  const rows = [
    { name: "0 shots", tasks: zeroShot, shots: 0, least: 2, aim: 4 },
    { name: "5 shots", tasks: fiveShot, shots: 5, least: 4, aim: 8 },
  ] as const;
  for (const { name, tasks, shots, least, aim } of rows) {
    if (!wanted(name)) continue;
    const job = (batch: number): EvalJob => ({ model, folder, tasks, shots, threads, batch });
    const peer = (batch: number) =>
      runPeer<EvalMeasured>(python!, "bench/peers/lm_eval_run.py", [JSON.stringify(job(batch))]);
    const quern = () => lastLine<EvalMeasured>([join(here, "eval-job.js"), JSON.stringify(job(0))]);
    const tried = python === null ? [] : BATCHES[name].map((batch) => ({ batch, ...peer(batch) }));
    tried.sort((a, b) => a.seconds - b.seconds);
    const [ours, theirs]: EvalMeasured[][] = [[], tried.slice(0, 1)];
    for (let round = 0; round < rounds; round++) {
      ours.push(quern());
      if (python !== null && round > 0) theirs.push(peer(tried[0].batch));
      console.log(
        `${name}, round ${round + 1}: Quern ${ours.at(-1)!.seconds.toFixed(1)} s, lm-eval ${theirs.at(-1)?.seconds.toFixed(1) ?? "not measured"} s`,
      );
    }
    const seconds = median(ours.map((each) => each.seconds));
    const peerSeconds = theirs.length === 0 ? null : median(theirs.map((each) => each.seconds));
    const ratio = peerSeconds === null ? null : peerSeconds / seconds;
    const { requests, accuracies } = ours[0];
    const compared =
      ratio === null
        ? "lm-eval not measured"
        : `lm-eval ${peerSeconds!.toFixed(1)} s (batch ${tried[0].batch}), ${ratio.toFixed(2)} × (at least ${least} ×, aim ${aim} ×)`;
    lines.push({
      ...{ name, requests, seconds, peer_seconds: peerSeconds, ratio, least, aim, accuracies },
      peer_accuracies: theirs[0]?.accuracies ?? null,
      documents: benchmarks === null ? "made up" : "real",
      line: `${requests} requests, ${name}: ${seconds.toFixed(1)} s, ${(requests / seconds).toFixed(0)} requests/s; ${compared}`,
    });
  }
}

function list(): Line {
  const name = "list";
  if (taskFiles === undefined || !existsSync(taskFiles)) {
    return { name, line: "quern eval list: not measured; give a folder of task files with --tasks" };
  }
  const cache = join(scratch, "cache");
  const run = () => {
    const start = performance.now();
    const command = [cli, "eval", "list", "--include", taskFiles, "--json"];
    const output = execFileSync(process.execPath, command, {
      encoding: "utf8",
      maxBuffer: 2 ** 30,
      env: { ...process.env, QUERN_CACHE: cache, XDG_CACHE_HOME: cache },
    });
    return { seconds: (performance.now() - start) / 1000, files: (JSON.parse(output) as { files: number }).files };
  };
  const cold = Array.from({ length: rounds }, () => {
    rmSync(cache, { recursive: true, force: true });
    return run();
  });
  const cached = Array.from({ length: rounds }, run);
  const [first, again] = [cold, cached].map((runs) => median(runs.map(({ seconds }) => seconds)));
  const { files } = cold[0];
  return {
    ...{ name, files, cold_seconds: first, cached_seconds: again },
    line: `quern eval list of ${files} files: ${first.toFixed(2)} s cold (at most 5 s), ${again.toFixed(2)} s cached (at most .3 s)`,
  };
}

function lastLine<T>(command: readonly string[]): T {
  const output = execFileSync(process.execPath, command, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  return JSON.parse(output.trim().split("\n").at(-1) as string) as T;
}

function wanted(name: string): boolean {
  return only === undefined || name.includes(only);
}

function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}
