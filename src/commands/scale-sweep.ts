import { size } from "../pages/index.js";
import { sweepOptions } from "../scale/sweep/sweep-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Train a grid of small runs for a scaling law: every budget is spent on several sizes, on the same tokens and held-out text. " +
    "Learning rate and schedule follow the dial. Writes a run folder per run and runs.csv, which `scale fit` reads.",
  options: sweepOptions,
  computes: true,
  examples: [
    "quern scale sweep --text corpus/ --minutes 8 --out sweep/",
    "quern scale sweep --text corpus/ --flops 3e11,1e12,3e12 --sizes 5 --out sweep/",
    "quern scale sweep --data tokens/ --flops 1e12 --vary lr=1e-3,2e-3,4e-3 --out rates/",
  ],
  async run(options, { signal, onProgress, print, log, named }) {
    const { checkExecutor } = await import("../executors/index.js");
    checkExecutor(options, named);
    const { sweepRuns } = await import("../scale/index.js");
    const result = await sweepRuns({ ...options, signal, onProgress, onNotice: log });
    for (const warning of result.warnings) log(`warning: ${warning}`);
    print("run                            params      tokens     FLOPs      rate    loss  bits/byte");
    for (const row of result.runs) {
      const cells = [
        String(row.params),
        String(row.tokens),
        Number(row.flops).toExponential(2),
        String(row.learning_rate),
      ];
      const [params, tokens, flops, rate] = cells;
      const loss = typeof row.loss === "number" ? row.loss.toFixed(4) : "";
      const bits = typeof row.bits_per_byte === "number" ? row.bits_per_byte.toFixed(4) : "";
      const status = row.status === undefined || row.status === "finished" ? "" : `  ${row.status}: ${row.reason}`;
      print(
        `${String(row.run)
          .replace(/^runs[/\\]/, "")
          .padEnd(26)}${params.padStart(11)}${tokens.padStart(12)}${flops.padStart(10)}` +
          `${rate.padStart(10)}${loss.padStart(8)}${bits.padStart(11)}${status}`,
      );
    }
    print();
    const { hours, flops, disk_bytes: bytes, training_share: share, table } = result;
    const time =
      hours === null
        ? ""
        : `, ${hours < 0.1 ? `${(60 * hours).toFixed(1)} minutes` : `${hours.toFixed(2)} hours`} expected`;
    print(`${result.runs.length} runs, ${flops.toExponential(2)} FLOPs${time}, ${size(bytes)} on disk`);
    if (table !== null) {
      const of = share === null ? "" : `, ${(100 * share).toFixed(0)} % of the runs' time was training`;
      print(`${result.finished} finished in ${result.seconds.toFixed(0)} s${of}; written: ${table}`);
    }
    return result;
  },
});
