import { rewardOptions } from "../align/reward-options.js";
import {
  alignCallbacks,
  alignFlags,
  alignTeam,
  previewFlags,
  printPreview,
  printResult,
  withOut,
} from "./align-command.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Train a reward model on preferences: pairs of a chosen and a rejected answer. Writes a run folder whose checkpoints are sequence " +
    "classifiers with one label, which transformers can load, and a report. With --eval-data, prints the accuracy on held-out pairs " +
    "with its 95 % confidence interval, and the calibration. Ctrl-C saves; --resume continues.",
  options: rewardOptions.extend({ ...previewFlags, ...alignFlags }),
  resumes: true,
  computes: true,
  ranks: true,
  examples: [
    "quern reward --model runs/chat --data pairs.jsonl --out runs/reward --eval-data held-out.jsonl",
    "quern reward --model smollm2.gguf --data pairs.jsonl --out runs/reward --lora 16 --center 0.01",
    "quern reward --out runs/reward --resume",
  ],
  async run({ preview, dryRun, explain, ranks, ...options }, context) {
    const { previewReward, reward } = await import("../align/index.js");
    const calls = alignCallbacks(context, { dryRun, explain });
    if (preview !== undefined) return printPreview(await previewReward({ ...options, ...calls }, preview), context);
    return printResult(
      await reward({ ...withOut(options), ...calls, team: await alignTeam({ ranks, dryRun }) }),
      context,
      dryRun,
    );
  },
});
