/** @file Bradley–Terry with intervals on a million made-up votes for 200 models: the time of the whole command. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { randomStream } from "../src/model/index.js";
import { median } from "./measure.js";

const VOTES = 1_000_000;
const MODELS = 200;

export interface ArenaJob {
  /** Folder for the votes. */
  readonly scratch: string;
  /** The compiled command line. */
  readonly cli: string;
  readonly rounds: number;
}

/** Measures `quern arena rank` on votes drawn from known strengths. */
export function arenaRow({ scratch, cli, rounds }: ArenaJob) {
  const path = join(scratch, "votes.jsonl");
  writeVotes(path);
  const seconds = Array.from({ length: rounds }, () => {
    const start = performance.now();
    execFileSync(process.execPath, [cli, "arena", "rank", path, "--json"], { maxBuffer: 2 ** 28 });
    return (performance.now() - start) / 1000;
  });
  const middle = median(seconds);
  const name = "arena";
  return {
    ...{ name, votes: VOTES, models: MODELS, seconds: middle, most: 5 },
    line: `quern arena rank of ${VOTES.toLocaleString("en")} votes, ${MODELS} models, with intervals: ${middle.toFixed(2)} s (at most 5 s)`,
  };
}

function writeVotes(path: string): void {
  const random = randomStream(1, "bench arena");
  let drawn = 0;
  const uniform = () => random.uniform(drawn++);
  const strengths = Array.from({ length: MODELS }, () => 4 * uniform() - 2);
  const file = openSync(path, "w");
  for (let from = 0; from < VOTES; from += 10_000) {
    const lines = Array.from({ length: 10_000 }, () => {
      const a = Math.floor(uniform() * MODELS);
      const b = (a + 1 + Math.floor(uniform() * (MODELS - 1))) % MODELS;
      const wins = 1 / (1 + Math.exp(strengths[b] - strengths[a]));
      const winner = uniform() < 0.1 ? "tie" : uniform() < wins ? "model_a" : "model_b";
      return `{"model_a":"model-${a}","model_b":"model-${b}","winner":"${winner}"}\n`;
    });
    writeSync(file, lines.join(""));
  }
  closeSync(file);
}
