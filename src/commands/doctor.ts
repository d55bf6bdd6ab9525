import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Show the compiler, instruction set, threads and memory of this machine, and measure its peak rates (about five seconds). " +
    "Other verbs report their speed as a share of these peaks. Quote the last line with any benchmark figure.",
  options: z.object({
    measure: z.boolean().default(true).describe("measure the peak rates of arithmetic and memory"),
  }),
  examples: ["quern doctor", "quern doctor --json"],
  async run({ measure }, { print, signal }) {
    const { examineMachine } = await import("../backends/index.js");
    const report = await examineMachine({ measure, signal });
    const rows: [string, string][] = [
      ["processor", `${report.processor}, ${report.cores} cores`],
      ["memory", `${gibibytes(report.memory)}, ${gibibytes(report.freeMemory)} free`],
      ["system", `${report.system}, Node ${report.node}, Quern ${report.quern}`],
      ["compiler", compilerOf(report)],
      ["instructions", `${report.instructionSet} (this machine runs ${report.instructionSets.join(", ")})`],
      ...(report.bf16InstructionSet === null
        ? []
        : ([["… for bf16", `${report.bf16InstructionSet} (the fastest measured)`]] as [string, string][])),
      ["threads", String(report.threads)],
      ["cache", report.cache + (report.cacheFree === null ? "" : `, ${gibibytes(report.cacheFree)} free`)],
    ];
    for (const { backend, gpu, problem } of report.gpus) rows.push([backend, gpu ?? `none: ${problem}`]);
    const { peak } = report;
    if (peak !== null) {
      rows.push([
        "fp32 peak",
        `${peak.gflopsOneThread} GFLOP/s with one thread, ${peak.gflops} with ${report.threads} (measured)`,
      ]);
      if (peak.bf16 > 0) {
        rows.push([
          "bf16 peak",
          `${peak.bf16OneThread} GFLOP/s with one thread, ${peak.bf16} with ${report.threads} (measured)`,
        ]);
      }
      if (peak.amx > 0) {
        rows.push([
          "AMX peak",
          `${peak.amxOneThread} GFLOP/s with one thread, ${peak.amx} with ${report.threads} (measured)`,
        ]);
      }
      if (peak.read !== undefined) {
        rows.push([
          "memory read",
          `${peak.readOneThread} GB/s with one thread, ${peak.read} with ${report.threads} (measured)`,
        ]);
      }
    } else if (report.peakProblem !== undefined) {
      rows.push(["peak", `not measured: ${report.peakProblem}`]);
    }
    const width = Math.max(...rows.map(([name]) => name.length));
    for (const [name, value] of rows) print(`${name.padEnd(width)}  ${value}`);
    print();
    print(report.line);
    return report;
  },
});

function compilerOf({
  compiler,
  clang,
}: {
  compiler: { command: string; version: string } | null;
  clang: string | null;
}) {
  if (compiler !== null) return `${compiler.command}: ${compiler.version}`;
  if (clang !== null) return `none found; ${clang} compiles programs to WebAssembly (slower)`;
  return "none found; install cc, gcc or clang, or clang as WebAssembly: npm install @yowasp/clang";
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
