/** @file `arenaRank()`: reads votes, ranks the models, and writes the leaderboard. */
import { join } from "node:path";
import type { z } from "zod";
import { type ReadReport, withOutput, writeFileAtomic } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { checkOptions, type NameOption } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import { leaderboardPage } from "./leaderboard-page.js";
import { type Ranking, rankVotes } from "./rank.js";
import { arenaRankOptions } from "./rank-options.js";
import { readVotes } from "./votes.js";

export type ArenaRankOptions = z.input<typeof arenaRankOptions> & {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** How errors name an option. */
  readonly named?: NameOption;
};

export type ArenaRanking = Ranking & ReadReport & { readonly out?: string };

/** The options of one method only. */
const ONLY = {
  elo: ["order", "k", "homeAdvantage", "margin", "reversion", "season"],
  bt: ["style", "anchor"],
} as const;

/**
 * Ranks the models of vote files. With `out` it writes leaderboard.html and ranking.json.
 * @throws QuernError if there are no votes, or if they do not connect the models
 */
export async function arenaRank({ signal, onProgress, named, ...given }: ArenaRankOptions): Promise<ArenaRanking> {
  const options = checkOptions(arenaRankOptions, given, named);
  const { files, method, style, margin, strict, out, force } = options;
  const name = named ?? ((key: string) => key);
  const other = method === "bt" ? "elo" : "bt";
  for (const key of ONLY[other]) {
    if (options[key] === undefined || options[key] === false) continue;
    throw new QuernError(`${name(key)} needs ${name("method")} ${other}`, { exitCode: 2 });
  }
  const work = async (): Promise<ArenaRanking> => {
    const votes = await readVotes(files, { style, margin, strict, signal, onProgress });
    const { k, homeAdvantage, reversion, season } = options;
    const elo = { ...defined({ k, homeAdvantage, reversion, season }), usesMargin: margin !== undefined };
    const { bootstrap, confidence, seed, anchor, order } = options;
    const ranking = await rankVotes(votes, {
      ...{ method, bootstrap, confidence, seed, style, anchor, order, elo, signal, onProgress },
    });
    const result = { ...ranking, ...votes.report, ...(out === undefined ? {} : { out }) };
    if (out !== undefined) {
      await writeFileAtomic(join(out, "ranking.json"), `${JSON.stringify(result)}\n`);
      await writeFileAtomic(join(out, "leaderboard.html"), leaderboardPage(ranking, votes.report));
    }
    return result;
  };
  if (out === undefined) return work();
  const layout = { writes: (path: string) => path === "ranking.json" || path === "leaderboard.html" };
  return withOutput({ verb: "arena rank", out, inputs: files, layout, force }, work);
}

/** Leaves out undefined values, which would hide defaults. */
function defined<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
