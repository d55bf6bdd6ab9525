import { arenaRankOptions } from "../eval/arena/rank-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Rank models by votes between their answers. A vote has model_a, model_b and winner (model_a, model_b, tie or " +
    '"tie (bothbad)"), and optionally tstamp, conversation_a and conversation_b, as Chatbot Arena and lm-arena publish them. Annotations of judges in the columns of AlpacaEval are votes too. Bradley–Terry ' +
    "ratings are 1000 + 400 / ln 10 · θ; the anchor has 1000, and a tie is half a win of each. A model's rank is 1 + the number of " +
    "models whose interval lies above its own. A line that is not a vote is skipped and counted. One million votes take some seconds.",
  options: arenaRankOptions,
  positional: ["files"],
  examples: [
    "quern arena rank votes.jsonl",
    "quern arena rank battles.json --style --bootstrap 1000 --out leaderboard",
    "quern arena rank votes.jsonl --method elo --k 8 --json",
  ],
  async run(options, { signal, onProgress, print, log, named }) {
    const { arenaRank } = await import("../eval/index.js");
    const { readLines } = await import("../documents/index.js");
    const result = await arenaRank({ ...options, signal, onProgress, named });
    for (const warning of result.warnings) log(`warning: ${warning}`);
    const wide = Math.max(5, ...result.models.map(({ model }) => model.length));
    print(`rank  ${"model".padEnd(wide)}   rating    lower    upper      votes`);
    for (const { rank, model, rating, lower, upper, votes } of result.models) {
      const numbers = [rating, lower, upper].map((value) => value.toFixed(1).padStart(9)).join("");
      print(`${String(rank).padStart(4)}  ${model.padEnd(wide)}${numbers}${String(votes).padStart(11)}`);
    }
    for (const { feature, points, lower, upper } of result.style ?? []) {
      print(
        `style ${feature}: ${points.toFixed(1)} points per standard deviation (${lower.toFixed(1)} to ${upper.toFixed(1)})`,
      );
    }
    for (const line of readLines(result)) print(line);
    if (result.out !== undefined)
      print(`${result.out}/leaderboard.html shows the win matrix and how many more votes are needed`);
    return result;
  },
});
