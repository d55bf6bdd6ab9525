/** @file Chooses a backend by name, or for `auto` by the measured speed of a matrix product. */
import { QuernError } from "../errors.js";
import { type Entries, input, linear, variable } from "../tensor/index.js";
import type { Backend } from "./backend.js";
import type { Program } from "./program.js";

export interface BackendChoice {
  readonly name: string;
  /** What computes, and for `auto` why: a line to print. */
  readonly line: string;
}

/** Rows and columns of the measured product: large enough for a GPU, tenths of a second on a laptop's processor. */
const SIZE = 1024;
const REPETITIONS = 4;

type Compile = (backend: string, entries: Entries) => Promise<Program>;

const measured = new Map<string, Promise<number>>();

/** @throws QuernError for an unknown name, or if the named backend has no GPU here */
export async function chooseFrom(table: readonly Backend[], name: string, compile: Compile): Promise<BackendChoice> {
  if (name !== "auto") {
    const row = table.find((each) => each.name === name);
    if (!row) {
      const names = ["auto", ...table.map((each) => each.name)];
      throw new QuernError(`unknown backend "${name}"; available: ${names.join(", ")}`, { exitCode: 2 });
    }
    const found = await row.examineGpu?.();
    if (found === undefined) return { name, line: `computing on ${name}` };
    if (found.gpu === null) throw new QuernError(found.problem ?? `no GPU was found for the backend ${name}`);
    return { name, line: `computing on ${name}: ${found.gpu}` };
  }
  const [first, ...others] = table;
  const reports = await Promise.all(others.map((row) => row.examineGpu?.()));
  const usable = reports.flatMap((report) => (report && report.gpu !== null && !report.isSoftware ? [report] : []));
  const left = reports.flatMap((report) => {
    if (report === undefined || usable.includes(report)) return [];
    return [`${report.backend}: ${report.gpu ?? report.problem?.split(/[:;(]/)[0].trim()}`];
  });
  const without = left.length > 0 ? ` (not ${left.join("; not ")})` : "";
  if (usable.length === 0) return { name: first.name, line: `computing on ${first.name}, the only one here${without}` };
  const speeds: { readonly name: string; readonly gflops: number; readonly gpu: string }[] = [];
  for (const { backend, gpu } of [{ backend: first.name, gpu: null }, ...usable]) {
    speeds.push({ name: backend, gflops: await speedOf(backend, compile), gpu: gpu === null ? "" : `: ${gpu}` });
  }
  speeds.sort((a, b) => b.gflops - a.gflops);
  const [fastest, ...rest] = speeds;
  const compared = rest.map((each) => `${each.name} ${each.gflops.toFixed(0)}`).join(", ");
  const speed = `${fastest.gflops.toFixed(0)} GFLOP/s, ${compared}`;
  return {
    name: fastest.name,
    line: `computing on ${fastest.name}${fastest.gpu}, the fastest here (${speed})${without}`,
  };
}

/** GFLOP/s of an fp32 product, measured once per process. */
function speedOf(backend: string, compile: Compile): Promise<number> {
  const known = measured.get(backend);
  if (known) return known;
  const speed = (async () => {
    const y = linear(input("x", [SIZE, SIZE]), variable("w", [SIZE, SIZE]));
    const program = await compile(backend, { product: { outputs: { y } } });
    try {
      const x = new Float32Array(SIZE * SIZE).fill(1);
      await program.run("product", { x });
      const start = performance.now();
      for (let i = 0; i < REPETITIONS; i++) await program.run("product");
      return (REPETITIONS * 2 * SIZE ** 3) / (performance.now() - start) / 1e6;
    } finally {
      program.dispose();
    }
  })();
  measured.set(backend, speed);
  return speed;
}
