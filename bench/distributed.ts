/**
 * @file Training with two ranks of one thread beside one rank of two threads, and beside PyTorch's DistributedDataParallel with gloo.
 * Rounds alternate, so that changes of the machine's speed affect all; figures are medians, and each run is its own processes.
 *   QUERN_TORCH_PYTHON=… npm run bench:distributed [-- --only llama-3m --rounds 3 --steps 5 --dtype fp32 --zero 1]
 * Prints tokens/s of all ranks, the share of a step in exposed communication, and the memory of a rank with ZeRO 1 (or `--zero`)
 * beside one rank. All train on random tokens, with the same rows per step in all.
 */
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RankFigures } from "./distributed-rank.js";
import { machineLine, median, runPeer, torchPython } from "./measure.js";

const only = option("only");
const dtype = option("dtype") ?? "fp32";
const zero = option("zero") ?? "1";
const rounds = Number(option("rounds") ?? 3);
const python = torchPython();

interface Row {
  readonly preset: string;
  /** Rows of a step, of all ranks together. */
  readonly batch: number;
  readonly sequence: number;
  readonly steps: number;
  readonly peer: readonly string[];
}
const ROWS: readonly Row[] = [
  {
    ...{ preset: "gpt2-124m", batch: 4, sequence: 256, steps: 5 },
    peer: [
      "--family",
      "gpt2",
      "--layers",
      "12",
      "--heads",
      "12",
      "--width",
      "768",
      "--vocab",
      "50257",
      "--positions",
      "1024",
    ],
  },
  {
    ...{ preset: "llama-3m", batch: 16, sequence: 256, steps: 10 },
    peer: ["--layers", "4", "--heads", "6", "--width", "192", "--vocab", "8192"],
  },
];

const script = join(dirname(fileURLToPath(import.meta.url)), "distributed-rank.js");

function runRanks({ preset, batch, sequence }: Row, steps: number, ranks: number, stage: string): RankFigures {
  const options = { preset, ranks, batch: batch / ranks, sequence, threads: 2 / ranks, zero: stage, dtype, steps };
  const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const output = execFileSync(process.execPath, [script, ...words], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  return JSON.parse(output.trim().split("\n").at(-1) as string) as RankFigures;
}

interface PeerFigures {
  readonly tokens_per_second: number;
  readonly peak_rss_mb: number;
}

function runTorch({ peer, batch, sequence }: Row, steps: number): PeerFigures {
  const shape = ["--batch", `${batch / 2}`, "--sequence", `${sequence}`, "--dtype", dtype, "--steps", `${steps}`];
  const words = [...peer, ...shape, "--threads", "1", "--ranks", "2"];
  return runPeer<PeerFigures>(python as string, "bench/peers/torch_train.py", words);
}

const results: Record<string, unknown>[] = [];
for (const row of ROWS) {
  if (only !== undefined && !row.preset.includes(only)) continue;
  const steps = Number(option("steps") ?? row.steps);
  const one: RankFigures[] = [];
  const two: RankFigures[] = [];
  const divided: RankFigures[] = [];
  const theirs: PeerFigures[] = [];
  for (let round = 0; round < rounds; round++) {
    one.push(runRanks(row, steps, 1, "0"));
    two.push(runRanks(row, steps, 2, "0"));
    divided.push(runRanks(row, steps, 2, zero));
    if (python !== null) theirs.push(runTorch(row, steps));
    const rates = [one, two, divided, theirs].map((all) => all.at(-1)?.tokens_per_second.toFixed(0) ?? "none");
    console.log(
      `${row.preset} ${dtype}, round ${round + 1}: one rank ${rates[0]} tokens/s, two ${rates[1]}, with ZeRO ${zero} ` +
        `${rates[2]}, PyTorch DDP ${rates[3]}`,
    );
  }
  const rate = (all: readonly PeerFigures[]) => median(all.map((each) => each.tokens_per_second));
  const memory = (all: readonly PeerFigures[]) => median(all.map((each) => each.peak_rss_mb));
  const peer = theirs.length === 0 ? null : rate(theirs);
  const figures = {
    ...{ preset: row.preset, dtype, batch: row.batch, sequence: row.sequence, target: one[0].target },
    one_rank_tokens_per_second: rate(one),
    two_ranks_tokens_per_second: rate(two),
    zero_tokens_per_second: rate(divided),
    two_ranks_ratio: median(two.map((each, i) => each.tokens_per_second / one[i].tokens_per_second)),
    peer_tokens_per_second: peer,
    peer_ratio:
      peer === null ? null : median(two.map((each, i) => each.tokens_per_second / theirs[i].tokens_per_second)),
    communication_share: median(two.map((each) => each.communication_share)),
    zero_communication_share: median(divided.map((each) => each.communication_share)),
    one_rank_mb: memory(one),
    two_ranks_mb: memory(two),
    zero_mb: memory(divided),
    zero_memory_ratio: memory(divided) / memory(one),
    plan_mb: [one[0].plan_mb, two[0].plan_mb, divided[0].plan_mb],
    peer_mb: theirs.length === 0 ? null : memory(theirs),
  };
  results.push(figures);
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  console.log(
    `${row.preset} ${dtype}: two ranks ${figures.two_ranks_tokens_per_second.toFixed(0)} tokens/s, ` +
      `${figures.two_ranks_ratio.toFixed(2)} × one rank of two threads, ` +
      `${figures.peer_ratio === null ? "no peer" : `${figures.peer_ratio.toFixed(2)} × PyTorch DDP`}; exposed communication ` +
      `${percent(figures.communication_share)}; memory per rank ${figures.one_rank_mb}, ${figures.two_ranks_mb}, ` +
      `with ZeRO ${zero} ${figures.zero_mb} MB (${figures.zero_memory_ratio.toFixed(2)} × one rank)`,
  );
}
const machine = await machineLine();
console.log(machine);
console.log(JSON.stringify({ bench: "distributed", rounds, zero, machine, results }));

function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}
