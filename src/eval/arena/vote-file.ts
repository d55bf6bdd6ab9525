/** @file The file to which an arena appends its votes: one JSON line each, on disk before the voter gets an answer. */
import { openAppendFile } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import type { ChatMessage } from "../../tokenizer/index.js";

export type Winner = "model_a" | "model_b" | "tie" | "tie (bothbad)";

/** A vote, in Chatbot Arena's columns. */
export interface VoteRecord {
  readonly model_a: string;
  readonly model_b: string;
  readonly winner: Winner;
  /** Seconds since 1970. */
  readonly tstamp: number;
  readonly conversation_a: readonly ChatMessage[];
  readonly conversation_b: readonly ChatMessage[];
}

export interface VoteFile {
  readonly path: string;
  /** Votes that this process appended. */
  readonly votes: number;
  /** Appends a vote; when it returns, the vote survives a kill and a power failure. */
  append(vote: VoteRecord): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a file of votes, or creates it. A last line that a kill cut off stays, and the next vote starts a new line.
 * @throws QuernError if the file cannot be written, or contains something else
 */
export async function openVoteFile(path: string): Promise<VoteFile> {
  const file = await openAppendFile(path, (first) => {
    if (/^\{.*"model_a"/.test(first)) return;
    throw new QuernError(`${path} contains something other than votes; choose another file`, { exitCode: 2 });
  });
  let votes = 0;
  return {
    path,
    get votes() {
      return votes;
    },
    async append(vote) {
      await file.append([vote]);
      votes += 1;
    },
    close: () => file.close(),
  };
}
