import { z } from "zod";
import { simulateOptions } from "../eval/arena/simulate-options.js";
import { judgeOption } from "../eval/judge/live/judge-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Simulate the votes of an arena: two or more models answer prompts, and a judge votes between every two answers, in both " +
    "orders; where the orders disagree, or the judge sees no difference, the vote is a tie. quern arena rank ranks the votes. " +
    "An interrupted call resumes.",
  options: z.object({ judge: judgeOption, ...simulateOptions.shape }),
  resumes: true,
  computes: true,
  examples: [
    "quern arena simulate --models runs/sft runs/dpo smollm2.gguf --prompts prompts.jsonl --judge runs/reward --out runs/arena",
    "quern arena simulate --models a.json b.json c.json --prompts prompts.jsonl --judge http://127.0.0.1:8000/v1 --out runs/arena",
  ],
  async run(options, { signal, onProgress, print, log, named }) {
    const { simulateVotes } = await import("../eval/index.js");
    const onWarning = (warning: string) => log(`warning: ${warning}`);
    const result = await simulateVotes({ ...options, signal, onProgress, onWarning, named });
    const { models, battles, votes, file, dropped, dropped_at, judgements, cached, price_now } = result;
    print(`${votes} votes of ${result.judge} in ${battles} battles of ${models.join(", ")}: ${file}`);
    const price = price_now === null ? "" : `, ${price_now.toFixed(4)} dollars`;
    print(`${judgements} judgements, ${cached} from the cache${price}`);
    for (const [reason, count] of Object.entries(dropped))
      print(`dropped ${count} ${reason}, such as ${dropped_at[reason][0]}`);
    print(`rank them: quern arena rank ${file}`);
    return result;
  },
});
