import { dpoOptions } from "../align/dpo-options.js";
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
    "Train a model on preferences: pairs of a chosen and a rejected answer, by DPO or one of its variants. Writes a run folder with checkpoints that " +
    "transformers can load and a report. Ctrl-C saves; --resume continues.",
  options: dpoOptions.extend({ ...previewFlags, ...alignFlags }),
  resumes: true,
  computes: true,
  ranks: true,
  examples: [
    "quern dpo --model runs/chat --data pairs.jsonl --out runs/dpo",
    "quern dpo --model runs/chat --data pairs.jsonl --out runs/ipo --loss ipo --beta 0.05 --eval-data held-out.jsonl",
    "quern dpo --model runs/chat --data pairs.jsonl --out runs/mix --loss sigmoid,sft --loss-weights 1,0.2",
    "quern dpo --model runs/chat --data labelled.jsonl --out runs/kto --loss kto",
  ],
  async run({ preview, dryRun, explain, ranks, ...options }, context) {
    const { dpo, previewDpo } = await import("../align/index.js");
    if (preview !== undefined) {
      return printPreview(
        await previewDpo({ ...options, ...alignCallbacks(context, { dryRun, explain }) }, preview),
        context,
      );
    }
    return printResult(
      await dpo({
        ...withOut(options),
        ...{ ...alignCallbacks(context, { dryRun, explain }), team: await alignTeam({ ranks, dryRun }) },
      }),
      context,
      dryRun,
    );
  },
});
