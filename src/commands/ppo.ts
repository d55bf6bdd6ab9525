import { ppoOptions } from "../align/ppo-options.js";
import { alignCallbacks, alignFlags, alignTeam, printResult } from "./align-command.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Train a policy on rewards of its own completions by PPO: a value model, a KL penalty towards the model before training, " +
    "clipped updates. Writes a run folder with checkpoints, metrics and a report. Ctrl-C saves; --resume continues.",
  options: ppoOptions.extend(alignFlags),
  resumes: true,
  computes: true,
  ranks: true,
  examples: [
    "quern ppo --model runs/chat --prompts prompts.jsonl --reward runs/reward --out runs/ppo",
    "quern ppo --model runs/chat --prompts prompts.jsonl --reward ./reward.ts --kl-target 6 --out runs/adaptive",
  ],
  async run({ dryRun, explain, ranks, ...options }, context) {
    const { ppo } = await import("../align/index.js");
    const team = await alignTeam({ ranks, dryRun });
    return printResult(
      await ppo({ ...options, ...alignCallbacks(context, { dryRun, explain }), team }),
      context,
      dryRun,
    );
  },
});
