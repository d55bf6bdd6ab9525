import { predictOptions } from "../scale/predict/predict-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Predict a training run from a scaling law: the best size and token count for a budget, the expected loss with its 95 % " +
    "interval, learning rate and batch, and the plan that `pretrain --plan` takes. --check trains the plan and compares.",
  options: predictOptions,
  examples: [
    "quern scale predict --law law/law.json --flops 1e14",
    "quern scale predict --law law/law.json --minutes 30 --out plan.json",
    "quern scale predict --law law/law.json --flops 1e13 --check",
    "quern scale predict --law law/law.json --hours 10 --hardware h100 --gpus 8 --served 1e12",
  ],
  async run(options, { signal, onProgress, print, log }) {
    const { predictRun } = await import("../scale/index.js");
    const found = await predictRun({ ...options, signal, onProgress });
    for (const warning of found.warnings) log(`warning: ${warning}`);
    const band = (interval: readonly [number, number] | null) =>
      interval === null ? "" : `  95 %: ${interval[0].toFixed(4)} to ${interval[1].toFixed(4)}`;
    const line = (name: string, value: string) => print(`${name.padEnd(14)}  ${value}`);
    line(
      "budget",
      `${found.flops.toExponential(2)} FLOPs, ${found.times_largest.toPrecision(3)} times the largest run of the law`,
    );
    line(
      "size",
      `${found.params.toExponential(3)} params, ${found.tokens.toExponential(3)} tokens (${found.tokens_per_param.toFixed(1)} per parameter)`,
    );
    line("loss", `${found.loss.toFixed(4)} nats per token${band(found.loss_interval)}`);
    if (found.bits_per_byte !== null)
      line("bits per byte", `${found.bits_per_byte.toFixed(4)}${band(found.bits_per_byte_interval)}`);
    if (found.accuracy !== null) line("accuracy", found.accuracy.toFixed(3));
    line("learning rate", `${found.learning_rate}, ${found.batch} tokens per step`);
    const { serving, plan } = found;
    if (serving !== null) {
      line(
        "to be served",
        `${serving.params.toExponential(3)} params, ${serving.tokens.toExponential(3)} tokens: the same loss, ${(100 * serving.saved).toFixed(1)} % fewer FLOPs in all`,
      );
    }
    if (typeof plan === "string") line("plan", plan);
    else {
      const { model, parameters, steps } = plan.plan;
      line(
        "plan",
        `${model.layers} layers of ${model.width}, ${parameters} params, ${steps} steps; --out FILE writes it`,
      );
    }
    const { check } = found;
    if (check !== null) {
      const { params, tokens, predicted, predicted_interval: interval, loss, error, held, run } = check;
      line(
        "trained",
        `${params.toExponential(3)} params, ${tokens.toExponential(3)} tokens in ${check.seconds.toFixed(0)} s: ${run}`,
      );
      line("predicted", `${predicted.toFixed(4)} nats per token${band(interval)}`);
      const verdict = held === null ? "no interval to check" : held ? "the interval held" : "the interval did not hold";
      line(
        "measured",
        `${loss.toFixed(4)} nats per token, ${(100 * error).toFixed(2)} % from the prediction: ${verdict}`,
      );
    }
    return found;
  },
});
