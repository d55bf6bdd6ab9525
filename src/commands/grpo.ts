import { grpoOptions } from "../align/grpo-options.js";
import { alignCallbacks, alignFlags, alignTeam, printResult } from "./align-command.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Train a policy on rewards of its own completions, each compared with the others of its prompt: GRPO and its variants. " +
    "Writes a run folder with checkpoints, metrics and a report. Ctrl-C saves; --resume continues.",
  options: grpoOptions.extend(alignFlags),
  resumes: true,
  computes: true,
  ranks: true,
  examples: [
    "quern grpo --model runs/chat --prompts math.jsonl --reward numeric --out runs/grpo",
    "quern grpo --model runs/chat --prompts prompts.jsonl --reward ./reward.ts --loss dr_grpo --group 16 --out runs/dr",
  ],
  async run({ dryRun, explain, ranks, ...options }, context) {
    const { grpo } = await import("../align/index.js");
    const team = await alignTeam({ ranks, dryRun });
    return printResult(
      await grpo({ ...options, ...alignCallbacks(context, { dryRun, explain }), team }),
      context,
      dryRun,
    );
  },
});
