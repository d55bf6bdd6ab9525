/** @file Shared by the sections of `npm run bench:corpus`: result rows, documents, and commands run as child processes. */
import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";

export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The peer and its result in the same run. */
  readonly peer?: { readonly name: string; readonly value: number };
  /** `value` divided by the peer's. */
  readonly ratio?: number;
  /** Required minimum of the ratio, or of the value if there is no ratio. */
  readonly least?: number;
  /** Allowed maximum, likewise. */
  readonly most?: number;
}

export interface Section {
  readonly name: string;
  run(options: { readonly rounds: number; readonly folder: string }): Promise<readonly Row[]>;
}

export const sharedDocuments = (): string => {
  const shared = process.env.QUERN_SHARED;
  if (shared === undefined) throw new Error("QUERN_SHARED must name the folder that contains data/documents");
  return join(shared, "data", "documents", "web.en.jsonl.gz");
};

export function sharedTexts(): readonly string[] {
  const lines = gunzipSync(readFileSync(sharedDocuments())).toString("utf8").trim().split("\n");
  return lines.map((line) => (JSON.parse(line) as { text: string }).text);
}

/** Runs a command in a child process, in parallel with others. */
export async function startVerb(call: readonly string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [join(import.meta.dirname, "measured-verb.js"), ...call]);
}

/** Runs a command in a child process; returns its seconds, including startup, and its peak resident memory in MB. */
export function runVerb(call: readonly string[]): { readonly seconds: number; readonly memory: number } {
  const program = join(import.meta.dirname, "measured-verb.js");
  const start = performance.now();
  const { stderr, status } = spawnSync(process.execPath, [program, ...call], { encoding: "utf8", maxBuffer: 2 ** 28 });
  const seconds = (performance.now() - start) / 1e3;
  if (status !== 0) throw new Error(stderr);
  return { seconds, memory: Number(/MAXRSS (\d+)/.exec(stderr)?.[1]) / 1024 };
}
