import type { Scaling } from "../scale/index.js";
import { planOptions } from "../scale/plan/plan-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Plan training: FLOPs, time, cost, energy and CO2, memory per device with every way to reduce it, and what serving costs. " +
    "Nothing is trained.",
  options: planOptions,
  examples: [
    "quern scale plan --params 405B --tokens 15.6T --hardware h100 --gpus 16000 --tflops 400 --price 2",
    "quern scale plan --model runs/first --tokens 1e9 --hardware 4090",
    "quern scale plan --params 124M --tokens 10B --hardware cpu --nodes 64 --network 25 --tokens-per-second 260 --sequence 1024",
  ],
  async run(options, { print, log }) {
    const { planTraining } = await import("../scale/index.js");
    const plan = await planTraining(options);
    for (const warning of plan.warnings) log(`warning: ${warning}`);
    const { hardware, gpus, inference, dollars, dollars_range: range } = plan;
    const line = (name: string, value: string) => print(`${name.padEnd(16)}  ${value}`);
    const money = (value: number) => `$${value < 100 ? value.toFixed(2) : Math.round(value).toLocaleString("en-US")}`;
    const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(bytes < 1e10 ? 2 : 0)} GB`;
    line(
      "model",
      `${plan.params.toPrecision(4)} params, ${plan.tokens.toPrecision(4)} tokens (${plan.tokens_per_param.toFixed(1)} per parameter)`,
    );
    line(
      "FLOPs",
      `${plan.flops.toExponential(3)} (6ND)${plan.flops_exact === null ? "" : `, ${plan.flops_exact.toExponential(3)} exact`}`,
    );
    line(
      "hardware",
      `${gpus} × ${hardware.title} at ${(plan.flops_per_second / 1e12).toPrecision(3)} TFLOP/s (${(100 * plan.mfu).toFixed(1)} % of the peak)`,
    );
    line("throughput", `${Math.round(plan.tokens_per_second).toLocaleString("en-US")} tokens/s`);
    line(
      "time",
      `${Math.round(plan.gpu_hours).toLocaleString("en-US")} device hours, ${plan.days.toPrecision(3)} days`,
    );
    if (dollars !== null) {
      line(
        "cost",
        `${money(dollars)}${range === null ? "" : ` (${money(range[0])} to ${money(range[1])} at prices of ${hardware.price?.date ?? hardware.date})`}`,
      );
    }
    line("energy", `${plan.energy_mwh.toPrecision(3)} MWh, ${plan.co2_tonnes.toPrecision(3)} t CO2`);
    const { weights, gradients, optimizer, activations, workspace } = plan.memory;
    line(
      "memory",
      `${gigabytes(plan.memory_bytes)} of ${gigabytes(hardware.memory)} per device: weights ${gigabytes(weights)}, gradients ${gigabytes(gradients)}, ` +
        `optimizer ${gigabytes(optimizer)}, activations ${gigabytes(activations + workspace)}; largest batch ${plan.largest_batch}`,
    );
    for (const row of plan.memory_options) {
      print(
        `  ${row.setup.padEnd(52)} ${gigabytes(row.bytes).padStart(10)}  ${row.fits ? `fits, largest batch ${row.largest_batch}` : "does not fit"}`,
      );
    }
    if (plan.scaling !== null) printScaling(plan.scaling, print);
    line("KV cache", `${plan.kv_cache_bytes_per_token.toLocaleString("en-US")} bytes per token`);
    const { single, largest, prompt_dollars_per_million_tokens: prompts } = inference;
    const perMillion = (value: number | null) => (value === null ? "" : `${money(value)} per million tokens, `);
    line(
      "serving",
      `${inference.devices} device(s)${prompts === null ? "" : `: prompts ${money(prompts)} per million tokens`}`,
    );
    for (const cost of [single, largest]) {
      print(
        `  ${String(cost.batch).padStart(6)} at once: ${perMillion(cost.dollars_per_million_tokens)}` +
          `${cost.tokens_per_second_each.toPrecision(3)} tokens/s each (${cost.bound}-bound)`,
      );
    }
    return plan;
  },
});

/** Prints the efficiency on 1, 2, 4 … nodes, and what it assumes. */
function printScaling({ rows, assumptions }: Scaling, print: (line?: string) => void): void {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const seconds = (value: number) => value.toPrecision(3);
  const cells = [
    ["nodes", "tokens/s", "efficiency", "no overlap", "full overlap", "sum, s", "ring", "halving", "tree"],
    ...rows.map((row) => [
      String(row.nodes),
      Math.round(row.tokens_per_second).toLocaleString("en-US"),
      percent(row.efficiency),
      ...row.efficiency_bounds.map(percent),
      ...[row.sum_seconds.rounds, row.sum_seconds.ring, row.sum_seconds.halving, row.sum_seconds.tree].map(seconds),
    ]),
  ];
  print("nodes, by simulation (Thakur et al. 2005: a message takes α + bytes/bandwidth)");
  for (const row of cells) print(`  ${row.map((cell) => cell.padStart(13)).join("")}`);
  for (const assumption of assumptions) print(`  assumed: ${assumption}`);
}
