/**
 * @file Training throughput compared with PyTorch on the same cores. Rounds alternate (Quern, eager, compile, Quern, …) so that
 * changes of the machine's speed affect all. Each is its own process, whose memory is reported as well.
 *   QUERN_TORCH_PYTHON=/path/to/python npm run bench:train [-- --only llama-3m --rounds 3 --steps 10 --threads 2]
 * The peer is the better of eager and compile. If jemalloc or tcmalloc is found (`QUERN_JEMALLOC`, `QUERN_TCMALLOC`, or Debian's
 * libjemalloc2 and libtcmalloc-minimal4), each also runs with it preloaded; the fastest variant is measured. `--ways
 * "eager,compile with jemalloc"` skips this selection to save time. PyTorch trains on random tokens, which costs the
 * same. QUERN_SHARED is the folder with the text of the Shakespeare rows; without it they are left out. On a CPU
 * without bf16 products PyTorch's bf16 takes minutes per step, so bf16 rows are compared with Quern's fp32. A round is
 * dropped and counted if the machine's peak, measured at its start, is below 60 % of the row's best. The AMX table
 * (bench/amx.ts) comes last; `--only amx` measures it alone.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bf16Row, limitOf, measurePeak } from "../src/backends/index.js";
import { AMX_COMMAND, type AmxRow, amxRowsAlone, hasAmx, printAmxTable, roundsThatCount } from "./amx.js";
import { machineLine, median, runPeer, torchPython } from "./measure.js";

const only = option("only");
const rounds = Number(option("rounds") ?? 3);
const threads = Number(option("threads") ?? 2);

interface Row {
  readonly name: string;
  readonly quern: readonly string[];
  readonly peer: readonly string[];
  readonly dtype: "fp32" | "bf16";
  readonly steps: number;
}

const GPT2 = ["--family", "gpt2", "--layers", "12", "--heads", "12", "--width", "768", "--vocab", "50257"];
const LLAMA = ["--layers", "4", "--heads", "6", "--width", "192", "--vocab", "8192"];
const shape = (batch: number, sequence: number) => ["--batch", `${batch}`, "--sequence", `${sequence}`];
const both = (row: Omit<Row, "name" | "dtype"> & { readonly name: string }): Row[] =>
  (["fp32", "bf16"] as const).map((dtype) => ({ ...row, name: `${row.name} ${dtype}`, dtype }));
const rows: readonly Row[] = [
  ...both({
    name: "gpt2-124m B4 T256",
    quern: ["train", "--preset", "gpt2-124m", ...shape(4, 256)],
    peer: [...GPT2, "--positions", "1024", ...shape(4, 256)],
    steps: 5,
  }),
  ...both({
    name: "gpt2-124m B1 T1024",
    quern: ["train", "--preset", "gpt2-124m", ...shape(1, 1024)],
    peer: [...GPT2, ...shape(1, 1024)],
    steps: 5,
  }),
  ...both({
    name: "llama-3m B16 T256",
    quern: ["train", "--preset", "llama-3m", ...shape(16, 256)],
    peer: [...LLAMA, ...shape(16, 256)],
    steps: 10,
  }),
  // Only steps; `quern bench shakespeare` evaluates on the whole validation split.
  ...both({
    name: "shakespeare",
    quern: ["shakespeare", "--seeds", "1"],
    peer: [
      ...["--family", "gpt2", "--layers", "4", "--heads", "4", "--width", "128", "--vocab", "65"],
      ...shape(12, 64),
    ],
    steps: 300,
  }),
];

/** The rows that the AMX table repeats, with their goals. */
const AMX_ROWS = [
  { of: "gpt2-124m B4 T256 bf16", name: "GPT-2 124M, B 4 × T 256, vs the best PyTorch", goal: 1.6, aim: 2.5 },
  { of: "llama-3m B16 T256 bf16", name: "Llama 3.3M, B 16 × T 256, vs the best PyTorch", goal: 1.1, aim: 1.8 },
] as const;

interface Figures {
  readonly tokens_per_second: number;
  readonly peak_rss_mb: number;
}
interface QuernFigures extends Figures {
  readonly mfu: number;
  readonly peak_gflops: number;
  /** Absent for shakespeare. */
  readonly plan_mb?: number;
  readonly target: string;
}

const cli = join(dirname(fileURLToPath(import.meta.url)), "..", "src", "cli.js");
const python = torchPython();
const allocators = findAllocators();
const firstPeak = await measurePeak({ threads });
const bf16Products = firstPeak.bf16 > 0 || firstPeak.amx > 0;
const bf16Target = await bf16Row(firstPeak);

function runQuern(row: Row, steps: number): QuernFigures {
  const args = ["bench", ...row.quern, "--dtype", row.dtype, "--threads", `${threads}`, "--steps", `${steps}`];
  const output = execFileSync(process.execPath, [cli, ...args, "--json"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return JSON.parse(output.trim().split("\n").at(-1) as string) as QuernFigures;
}

/** A variant of running the peer. */
interface Way {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}
const ways = (args: readonly string[], name: string): Way[] => [
  { name, args, env: {} },
  ...allocators.map(({ allocator, path }) => ({ name: `${name} with ${allocator}`, args, env: { LD_PRELOAD: path } })),
];

function runTorch(row: Row, steps: number, { args, env }: Way): Figures {
  const common = ["--dtype", row.dtype, "--threads", `${threads}`, "--steps", `${steps}`];
  return runPeer<Figures>(python as string, "bench/peers/torch_train.py", [...row.peer, ...common, ...args], env);
}

/** The fastest variant, by a short run of each. */
function fastest(row: Row, candidates: readonly Way[]): Way {
  if (candidates.length === 1) return candidates[0];
  const rated = candidates.map((way) => ({ way, rate: runTorch(row, 2, way).tokens_per_second }));
  return rated.reduce((best, each) => (each.rate > best.rate ? each : best)).way;
}

function peersOf(row: Row): Way[] {
  const [eager, compiled] = [ways([], "eager"), ways(["--compile"], "compile")];
  const named = option("ways")?.split(",");
  if (named === undefined) return [fastest(row, eager), fastest(row, compiled)];
  return named.map((name) => {
    const way = [...eager, ...compiled].find((each) => each.name === name);
    if (!way)
      throw new Error(
        `unknown way "${name}"; available: ${[...eager, ...compiled].map((each) => each.name).join(", ")}`,
      );
    return way;
  });
}

const results: Record<string, unknown>[] = [];
for (const row of rows) {
  const inTable = AMX_ROWS.some(({ of }) => of === row.name);
  if (only !== undefined && !row.name.includes(only) && !(only === "amx" && inTable)) continue;
  if (only === "amx" && !(await hasAmx())) continue;
  if (row.quern[0] === "shakespeare" && !process.env.QUERN_SHARED) {
    console.log(`${row.name}: left out, because QUERN_SHARED names no folder with data/text/tinyshakespeare.txt`);
    continue;
  }
  const steps = Number(option("steps") ?? row.steps);
  const peers = python === null || (row.dtype === "bf16" && !bf16Products) ? [] : peersOf(row);
  const peaks: number[] = [];
  const allOurs: QuernFigures[] = [];
  const allTheirs = peers.map((): Figures[] => []);
  for (let round = 0; round < rounds; round++) {
    peaks.push(limitOf(await measurePeak({ threads }), { target: bf16Target, dtype: row.dtype }));
    allOurs.push(runQuern(row, steps));
    for (const [i, way] of peers.entries()) allTheirs[i].push(runTorch(row, steps, way));
    const last = [allOurs.at(-1), ...allTheirs.map((each) => each.at(-1))];
    const rates = last.map((each) => each?.tokens_per_second.toFixed(0));
    console.log(
      `${row.name}, round ${round + 1}: Quern ${rates[0]} tokens/s, PyTorch ${rates.slice(1).join(", ")}; ` +
        `peak ${peaks.at(-1)?.toFixed(0)} GFLOP/s`,
    );
  }
  const { counts, dropped } = roundsThatCount(peaks);
  const ours = allOurs.filter((_, i) => counts[i]);
  const theirs = allTheirs.map((each) => each.filter((_, i) => counts[i]));
  const rate = median(ours.map((each) => each.tokens_per_second));
  const mfu = median(ours.map((each) => each.mfu));
  const peerRates = theirs.map((each) => median(each.map((figures) => figures.tokens_per_second)));
  const best = peerRates.length === 0 ? null : Math.max(...peerRates);
  const memory = Math.max(...ours.map((each) => each.peak_rss_mb));
  const peerMemory = theirs.map((each) => median(each.map((figures) => figures.peak_rss_mb)));
  console.log(
    `${row.name}: ${rate.toFixed(0)} tokens/s, ${(100 * mfu).toFixed(1)} % of the peak, ` +
      `${best === null ? besideFp32(row, rate) : `${(rate / best).toFixed(2)} × PyTorch's best`}, ${memory} MB ` +
      `(plan ${ours[0].plan_mb ?? "?"} MB, PyTorch ${peerMemory.join(", ")} MB)${dropped > 0 ? `; ${dropped} rounds dropped for a low peak` : ""}`,
  );
  results.push({
    name: row.name,
    tokens_per_second: rate,
    mfu,
    peak_gflops: median(ours.map((each) => each.peak_gflops)),
    target: ours[0].target,
    peak_rss_mb: memory,
    plan_mb: ours[0].plan_mb ?? null,
    peers: peers.map(({ name }, i) => ({
      name,
      tokens_per_second: peerRates[i],
      ratio: rate / peerRates[i],
      peak_rss_mb: peerMemory[i],
    })),
    ratio: best === null ? null : rate / best,
    dropped,
  });
}
const machine = await machineLine();
const amx = only === undefined || only === "amx" ? await amxTable() : [];
if (amx.length > 0) printAmxTable(amx, machine);
else console.log(machine);
console.log(JSON.stringify({ bench: "train", threads, rounds, machine, results, amx }));

async function amxTable(): Promise<AmxRow[]> {
  const there = await hasAmx();
  const trained = AMX_ROWS.map(({ of, name, goal, aim }): AmxRow => {
    const row = results.find((each) => each.name === of);
    const known = { name, goal, aim, unit: "×" as const, dropped: Number(row?.dropped ?? 0) };
    if (!there) return { ...known, value: null, detail: `not measured: no AMX; ${AMX_COMMAND}` };
    if (!row || row.ratio === null) {
      return { ...known, value: null, detail: `not measured: no PyTorch; QUERN_TORCH_PYTHON=… ${AMX_COMMAND}` };
    }
    const peers = row.peers as readonly { readonly name: string; readonly tokens_per_second: number }[];
    const others = peers.map((peer) => `${peer.name} ${peer.tokens_per_second.toFixed(0)}`).join(", ");
    const detail = `${Number(row.tokens_per_second).toFixed(0)} tokens/s; PyTorch ${others}`;
    return { ...known, value: row.ratio as number, detail };
  });
  const bench = (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const output = execFileSync(process.execPath, [cli, "bench", ...args, "--json"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, ...env },
    });
    return JSON.parse(output.trim().split("\n").at(-1) as string);
  };
  return [...trained, ...(await amxRowsAlone({ rounds, threads, bench }))];
}

/** Without a peer: the rate as a multiple of the same row's fp32 rate, if that was measured. */
function besideFp32({ name, dtype }: Row, rate: number): string {
  const fp32 = results.find((each) => each.name === name.replace(/bf16$/, "fp32"));
  return dtype === "bf16" && fp32
    ? `no peer, ${(rate / Number(fp32.tokens_per_second)).toFixed(2)} × Quern's fp32`
    : "no peer";
}

function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}

function findAllocators(): { readonly allocator: string; readonly path: string }[] {
  const folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"];
  const candidates = [
    { allocator: "jemalloc", file: "libjemalloc.so.2", given: process.env.QUERN_JEMALLOC },
    { allocator: "tcmalloc", file: "libtcmalloc_minimal.so.4", given: process.env.QUERN_TCMALLOC },
  ];
  return candidates.flatMap(({ allocator, file, given }) => {
    const places = [given, ...folders.map((folder) => join(folder, file))];
    const path = places.find((place) => place !== undefined && existsSync(place));
    return path === undefined ? [] : [{ allocator, path }];
  });
}
