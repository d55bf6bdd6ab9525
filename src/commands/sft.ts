import { sftOptions } from "../align/sft-options.js";
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
    "Fine-tune a model on conversations, on prompts with completions, or on texts. Writes a run folder with checkpoints that " +
    "transformers can load and a report. Ctrl-C saves; --resume continues.",
  options: sftOptions.extend({ ...previewFlags, ...alignFlags }),
  resumes: true,
  computes: true,
  ranks: true,
  examples: [
    "quern sft --model runs/first --data chats.jsonl --out runs/chat",
    "quern sft --model smollm2.gguf --data qa.jsonl --out runs/qa --epochs 2 --eval-data held-out.jsonl",
    "quern sft --out runs/chat --resume",
  ],
  async run({ preview, dryRun, explain, ranks, ...options }, context) {
    const { sft, previewSft } = await import("../align/index.js");
    if (preview !== undefined) {
      return printPreview(
        await previewSft({ ...options, ...alignCallbacks(context, { dryRun, explain }) }, preview),
        context,
      );
    }
    return printResult(
      await sft({
        ...withOut(options),
        ...{ ...alignCallbacks(context, { dryRun, explain }), team: await alignTeam({ ranks, dryRun }) },
      }),
      context,
      dryRun,
    );
  },
});
