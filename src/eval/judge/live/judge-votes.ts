/** @file Votes of a judge, in the arena's format: one for each pair that has a preference. */

import { readFile } from "node:fs/promises";
import { openVoteFile, type VoteRecord, type Winner } from "../../arena/vote-file.js";
import { hashOf } from "./judge.js";
import type { JudgedPair } from "./judging.js";
import { rowsOf } from "./rows.js";
import { winnerOf } from "./summary.js";

/** A vote with its judge, and the key of its judgement, so that no call votes twice. */
export interface JudgeVote extends VoteRecord {
  readonly judge: string;
  readonly judgement: string;
}

/** A judged pair with the models that answered. */
export interface JudgedBattle {
  readonly pair: JudgedPair;
  readonly generators: readonly [string, string];
}

/**
 * Appends the votes of a judge to a file; battles that the file has already are left out. Returns how many votes were added.
 * @throws QuernError if the file contains something other than votes
 */
export async function appendJudgeVotes(path: string, battles: readonly JudgedBattle[], judge: string): Promise<number> {
  const before = rowsOf(await readFile(path, "utf8").catch(() => ""));
  const known = new Set(before.map(({ judgement }) => judgement));
  const file = await openVoteFile(path);
  try {
    for (const { pair, generators } of battles) {
      const { instruction, output1, output2, preference, key } = pair;
      const [model_a, model_b] = generators;
      const judgement = hashOf([key, generators]);
      if (preference === null || known.has(judgement)) continue;
      const better = winnerOf(preference);
      const winner: Winner = better === "1" ? "model_a" : better === "2" ? "model_b" : "tie";
      const conversation = (content: string) => [
        { role: "user", content: instruction },
        { role: "assistant", content },
      ];
      const vote: JudgeVote = {
        ...{ model_a, model_b, winner, tstamp: Date.now() / 1000 },
        conversation_a: conversation(output1),
        conversation_b: conversation(output2),
        ...{ judge, judgement },
      };
      await file.append(vote);
    }
    return file.votes;
  } finally {
    await file.close();
  }
}
