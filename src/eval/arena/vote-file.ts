/** @file The file to which an arena appends its votes: one JSON line each, on disk before the voter gets an answer. */
import { type FileHandle, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { makeFolder } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
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
  let handle: FileHandle;
  let startsLine: boolean;
  try {
    await makeFolder(dirname(path));
    const before = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    });
    const first = before.split("\n", 1)[0];
    if (first !== "" && !/^\{.*"model_a"/.test(first)) {
      throw new QuernError(`${path} contains something other than votes; choose another file`, { exitCode: 2 });
    }
    startsLine = before === "" || before.endsWith("\n");
    handle = await open(path, "a");
  } catch (error) {
    throw fileError(error, "write", path);
  }
  let votes = 0;
  // One vote after the other, so that a failed write cannot mix two lines.
  let last: Promise<unknown> = Promise.resolve();
  const write = async (vote: VoteRecord) => {
    const line = `${startsLine ? "" : "\n"}${JSON.stringify(vote)}\n`;
    startsLine = false;
    try {
      await handle.appendFile(line);
      await handle.datasync();
    } catch (error) {
      throw fileError(error, "write", path);
    }
    startsLine = true;
    votes += 1;
  };
  return {
    path,
    get votes() {
      return votes;
    },
    append(vote) {
      const written = last.then(() => write(vote));
      last = written.catch(() => {});
      return written;
    },
    async close() {
      await last;
      await handle.close();
    },
  };
}
