import { fitOptions } from "../scale/fit/fit-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Fit a scaling law to runs: the loss over params and tokens, the best size for a budget, and how sure that is. Reads a sweep " +
    "or a table of anybody's runs. With --out, writes law.json for `scale predict` and `pretrain --law`, and report.html. " +
    "Takes some seconds.",
  options: fitOptions,
  positional: ["runs"],
  examples: [
    "quern scale fit sweep/ --out law/",
    'quern scale fit chinchilla.csv --columns "params=Model Size,flops=Training FLOP" --drop-highest 5',
    "quern scale fit runs.csv --approach isoflop --bootstrap 0 --json",
  ],
  async run(options, { signal, onProgress, print, log }) {
    const { fitScalingLaw } = await import("../scale/index.js");
    const result = await fitScalingLaw({ ...options, signal, onProgress });
    for (const warning of result.warnings) log(`warning: ${warning}`);
    const [low, high] = result.range.flops;
    print(`${result.runs} runs, ${low.toExponential(1)} to ${high.toExponential(1)} FLOPs; ${result.approach} fit`);
    print();
    const rows: [name: string, value: number | null][] = [
      ...(["A", "B", "E", "alpha", "beta"] as const).map((key) => [key, result[key]] as [string, number | null]),
      ...Object.entries(result.kaplan ?? {}),
      ...(["a", "b"] as const).map((key) => [key, result.exponents[key]] as [string, number]),
    ];
    for (const [name, value] of rows) {
      if (value === null) continue;
      const interval = result.intervals?.[name];
      const band = interval ? `  95 %: ${short(interval[0])} to ${short(interval[1])}` : "";
      print(`${name.padEnd(8)}  ${short(value).padStart(10)}${band}${NOTES[name] ?? ""}`);
    }
    if (result.objective !== null) print(`objective ${result.objective.toPrecision(9)}`);
    if (result.hoffmann !== null) {
      const { rejected, statistic, p } = result.hoffmann;
      print(
        `Hoffmann et al.'s published constants: ${rejected ? "rejected" : "not rejected"} (χ² ${statistic.toFixed(1)}, p ${p.toExponential(1)})`,
      );
    }
    print();
    print("     FLOPs      params      tokens  tokens/param    loss  95 % of the expected loss");
    for (const row of result.optimal) {
      const cells = [row.flops.toExponential(2), row.params.toExponential(2), row.tokens.toExponential(2)];
      const band = row.loss_interval ? `  ${row.loss_interval.map((value) => value.toFixed(3)).join(" to ")}` : "";
      print(
        `${cells[0].padStart(10)}${cells[1].padStart(12)}${cells[2].padStart(12)}${row.tokens_per_param.toFixed(1).padStart(14)}` +
          `${row.loss.toFixed(3).padStart(8)}${band}${row.extrapolated ? "  extrapolated" : ""}`,
      );
    }
    const { learning_rate: rate, batch, repeated, downstream } = result;
    const power = ({ coefficient, exponent }: { coefficient: number; exponent: number }) =>
      `${coefficient.toPrecision(3)} · C^${exponent.toFixed(3)}`;
    if (rate !== null) print(`best learning rate: ${power(rate)}`);
    if (batch !== null) print(`best tokens per step: ${power(batch)}`);
    if (repeated !== null)
      print(`repeated data: R_D ${repeated.R_D.toFixed(1)}, R_N ${repeated.R_N?.toFixed(1) ?? "unknown"}`);
    if (downstream !== null) {
      const { task, floor, top, midpoint, error, runs } = downstream;
      print(
        `accuracy${task === null ? "" : ` of ${task}`} over loss: from ${floor.toFixed(3)} to ${top.toFixed(3)}, halfway at ${midpoint.toFixed(3)} nats, ` +
          `± ${error.toFixed(3)} on ${runs} runs`,
      );
    }
    if (result.law !== null) print(`\nwritten: ${result.law}, ${result.report}`);
    return result;
  },
});

const NOTES: Readonly<Record<string, string>> = { a: "  (best params ∝ C^a)", b: "  (best tokens ∝ C^b)" };
const short = (value: number) =>
  Math.abs(value) >= 1e6 ? value.toExponential(3) : Number(value.toPrecision(5)).toString();
