import { pretrainOptions } from "../train/pretrain-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Train a language model on text, from nothing: a tokenizer, token shards, a transformer sized for the time there is, " +
    "checkpoints that transformers loads, and a report. Ctrl-C saves; --resume goes on.",
  options: pretrainOptions,
  examples: [
    "quern pretrain --text books/ --out runs/first --minutes 10",
    "quern pretrain --text books/ --out runs/wide --steps 2000 --width 384 --layers 8 --save-every 500",
    "quern pretrain --out runs/first --resume",
  ],
  async run(options, { signal, onProgress, print }) {
    const { pretrain } = await import("../train/index.js");
    const done = await pretrain({ ...options, signal, onProgress });
    const { plan, result } = done;
    const { bits_per_byte: bits, gzip_bits_per_byte: gzip, brotli_bits_per_byte: brotli } = result;
    const rows = [
      [
        "model",
        `${(plan.parameters / 1e6).toFixed(2)}M parameters, ${plan.model.layers} layers of ${plan.model.width}, ${plan.model.vocabSize} tokens`,
      ],
      [
        "trained",
        `${plan.steps} steps, ${plan.steps * plan.batch * plan.sequence * plan.accumulate} tokens, ${done.trainingSeconds.toFixed(0)} s`,
      ],
      ["held out", `${bits?.toFixed(3)} bits per byte (gzip -9 ${gzip?.toFixed(3)}, brotli ${brotli?.toFixed(3)})`],
      ["checkpoint", done.checkpoint],
      ["report", done.report],
    ];
    for (const [name, value] of rows) print(`${name.padEnd(10)}  ${value}`);
    for (const { prompt, after } of result.samples ?? []) print(`\n${prompt}${after}`);
    return done;
  },
});
