/**
 * @file The AMX table, printed last by `npm run bench:train`. It compares training with PyTorch, matrix products with
 * the measured AMX peak, and short batches and decoding with the instruction set used without AMX. Rounds alternate.
 * The AMX clock of virtual machines varies, so each round measures the peak first.
 *   QUERN_TORCH_PYTHON=/path/to/python npm run bench:train -- --only amx [--rounds 3]
 */
import { cpus } from "node:os";
import { examineMachine, measurePeak } from "../src/backends/index.js";
import { median } from "./measure.js";

export const AMX_COMMAND = "npm run bench:train -- --only amx";

/** A round whose measured peak is below this share of the best is dropped. */
const LEAST_PEAK = 0.6;

export interface Rounds {
  /** Whether each round counts: its peak is near the best one. */
  readonly counts: readonly boolean[];
  readonly dropped: number;
}

/** Decides which rounds count, by the peak measured at the start of each. */
export function roundsThatCount(peaks: readonly number[]): Rounds {
  const best = Math.max(...peaks);
  const counts = peaks.map((peak) => peak >= LEAST_PEAK * best);
  return { counts, dropped: counts.filter((each) => !each).length };
}

/** One line of the table. */
export interface AmxRow {
  readonly name: string;
  readonly goal: number;
  readonly aim: number | null;
  /** Null without AMX. */
  readonly value: number | null;
  readonly unit: "×" | "share";
  /** The figures behind the value. */
  readonly detail: string;
  readonly dropped: number;
}

export interface AmxTools {
  readonly rounds: number;
  readonly threads: number;
  /** Runs `quern bench` and returns its JSON. */
  readonly bench: (args: readonly string[], env?: Readonly<Record<string, string>>) => BenchResult;
}

interface BenchResult {
  readonly tokens_per_second: number;
  readonly gflops: number;
}

/** Whether this process may use AMX. */
export async function hasAmx(): Promise<boolean> {
  return (await examineMachine({ measure: false })).instructionSets.includes("amx");
}

const SHORT = ["train", "--preset", "gpt2-124m", "--batch", "2", "--sequence", "48"];
const DECODE = ["decode", "--preset", "gpt2-124m", "--sequence", "64"];

/** The rows that need no peer: products alone, short batches and decoding. */
export async function amxRowsAlone({ rounds, threads, bench }: AmxTools): Promise<AmxRow[]> {
  const rows = {
    name: "products alone, GPT-2's shapes, packing counted, share of the AMX peak",
    goal: 0.25,
    aim: 0.4,
  };
  const none = { value: null, detail: `not measured: no AMX; ${AMX_COMMAND}`, dropped: 0 };
  const before = { goal: 1, aim: null, unit: "×" as const };
  const short = { ...before, name: "short batches (GPT-2 124M, B 2 × T 48) vs the row before" };
  const decode = { ...before, name: "decoding (GPT-2 124M, one stream) vs the row before" };
  if (!(await hasAmx()))
    return [
      { ...rows, unit: "share", ...none },
      { ...short, ...none },
      { ...decode, ...none },
    ];
  const { instructionSets } = await examineMachine({ measure: false });
  const plain = { QUERN_CPU: instructionSets.find((name) => name === "avx512") ?? instructionSets[1] };
  const [peaks, shares, trained, decoded]: number[][] = [[], [], [], []];
  const common = ["--threads", `${threads}`];
  for (let round = 0; round < rounds; round++) {
    const { amx } = await measurePeak({ threads });
    peaks.push(amx);
    const products = bench(["gemm", "--preset", "gpt2-124m", "--dtype", "bf16", "--steps", "15", ...common]);
    shares.push(products.gflops / amx);
    const [bf16, fp32] = [
      bench([...SHORT, "--dtype", "bf16", ...common]),
      bench([...SHORT, "--dtype", "fp32", ...common], plain),
    ];
    trained.push(bf16.tokens_per_second / fp32.tokens_per_second);
    decoded.push(
      bench([...DECODE, ...common]).tokens_per_second / bench([...DECODE, ...common], plain).tokens_per_second,
    );
  }
  const { counts, dropped } = roundsThatCount(peaks);
  const middle = (values: readonly number[]) => median(values.filter((_, i) => counts[i]));
  const peak = middle(peaks);
  return [
    {
      ...{ ...rows, unit: "share" as const, value: middle(shares), dropped },
      detail: `${(middle(shares) * peak).toFixed(0)} of ${peak.toFixed(0)} GFLOP/s`,
    },
    { ...short, value: middle(trained), detail: `bf16 with amx, fp32 with ${plain.QUERN_CPU}`, dropped },
    { ...decode, value: middle(decoded), detail: `fp32, amx and ${plain.QUERN_CPU}`, dropped },
  ];
}

/** Prints the table. */
export function printAmxTable(rows: readonly AmxRow[], line: string): void {
  console.log(`\nAMX on ${cpus()[0]?.model.trim() || "an unknown CPU"}`);
  for (const { name, goal, aim, value, unit, detail, dropped } of rows) {
    const text = (x: number) => (unit === "share" ? `${(100 * x).toFixed(0)} %` : `${x.toFixed(2)} ×`);
    const goals = `at least ${text(goal)}${aim === null ? "" : ` (aim ${text(aim)})`}`;
    const rounds = dropped > 0 ? `; ${dropped} rounds dropped for a low peak` : "";
    console.log(value === null ? `${name}: ${detail}` : `${name}: ${text(value)}, ${goals}: ${detail}${rounds}`);
  }
  console.log(line);
}
