/** @file What every section of `npm run bench:corpus` has: its rows, the shared documents, verbs in processes of their own. */
import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";

export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Beside whom, and what that one reached in the same run. */
  readonly peer?: { readonly name: string; readonly value: number };
  /** What `value` is of the peer's, or what else the floor is about. */
  readonly ratio?: number;
  /** The least that is asked for: of the ratio where there is one, else of the value. */
  readonly least?: number;
  /** The most that is allowed. */
  readonly most?: number;
}

export interface Section {
  readonly name: string;
  run(options: { readonly rounds: number; readonly folder: string }): Promise<readonly Row[]>;
}

export const sharedDocuments = (): string => {
  const shared = process.env.QUERN_SHARED;
  if (shared === undefined) throw new Error("QUERN_SHARED must name the folder that holds data/documents");
  return join(shared, "data", "documents", "web.en.jsonl.gz");
};

export function sharedTexts(): readonly string[] {
  const lines = gunzipSync(readFileSync(sharedDocuments())).toString("utf8").trim().split("\n");
  return lines.map((line) => (JSON.parse(line) as { text: string }).text);
}

/** A verb in a process of its own, beside others. */
export async function startVerb(call: readonly string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [join(import.meta.dirname, "measured-verb.js"), ...call]);
}

/** A verb in a process of its own: its seconds, start and all, and its greatest resident memory in MB. */
export function runVerb(call: readonly string[]): { readonly seconds: number; readonly memory: number } {
  const program = join(import.meta.dirname, "measured-verb.js");
  const start = performance.now();
  const { stderr, status } = spawnSync(process.execPath, [program, ...call], { encoding: "utf8", maxBuffer: 2 ** 28 });
  const seconds = (performance.now() - start) / 1e3;
  if (status !== 0) throw new Error(stderr);
  return { seconds, memory: Number(/MAXRSS (\d+)/.exec(stderr)?.[1]) / 1024 };
}
