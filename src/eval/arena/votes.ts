/**
 * @file Reads votes: Quern's own, Chatbot Arena's and lm-arena's columns, from JSONL, JSON, CSV and Parquet files. A line that is
 * not a vote is skipped and counted by reason.
 *
 * A vote has `model_a`, `model_b` and `winner` (model_a, model_b, tie, "tie (bothbad)"), or the three columns `winner_model_a`,
 * `winner_model_b`, `winner_tie`. It may have `tstamp` (or `timestamp`), `conversation_a` and `conversation_b` (or `response_a`
 * and `response_b`), and `conv_metadata` with counts of the style.
 *
 * The judgements of `quern judge`, in AlpacaEval's columns, are votes of a judge: `generator_1`, `generator_2`, `preference`,
 * `output_1`, `output_2`.
 */
import {
  isCsv,
  isFolder,
  QuernError,
  ReadLog,
  type ReadReport,
  RefusedDamage,
  type Row,
  readCsv,
  readRows,
} from "../../documents/index.js";
import type { OnProgress } from "../../progress.js";
import { styleOf } from "./style.js";

/** N votes between M models. */
export interface Votes {
  /** In order of their first appearance. */
  readonly models: readonly string[];
  /** (N) indices of model_a and model_b. */
  readonly first: Int32Array;
  readonly second: Int32Array;
  /** (N) 1 if model_a won, 0 if model_b won, ½ for a tie. */
  readonly outcome: Float64Array;
  /** (N) seconds; undefined unless every vote has a time. */
  readonly time: Float64Array | undefined;
  /** (N) margin of victory, at least 0; empty unless asked for. */
  readonly margin: Float64Array;
  /** (N, features) style of answer A minus style of answer B over their sum; empty unless asked for. */
  readonly style: Float64Array;
  readonly report: ReadReport;
}

export interface ReadVotesOptions {
  /** Whether votes need conversations, for style control. */
  readonly style?: boolean;
  /** Key of the margin of victory. */
  readonly margin?: string;
  /** Whether the first damaged or wrong line is an error. */
  readonly strict?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** Keeps matrices of models below 200 MB. */
const MOST_MODELS = 5000;

/** Rows between two progress reports. */
const REPORTED = 20_000;

/** Reads the votes of files and folders. @throws QuernError if there are none */
export async function readVotes(paths: readonly string[], options: ReadVotesOptions = {}): Promise<Votes> {
  const { strict = false, signal, onProgress } = options;
  if (paths.length === 0) throw new QuernError("no votes; give a file", { exitCode: 2 });
  const log = new ReadLog({ strict });
  const box = new VoteBox(options, (reason, place, detail) => {
    log.skip(reason, place, { detail });
    if (strict) throw new RefusedDamage(reason, `${place}: ${detail}`);
  });
  let rows = 0;
  for (const group of byReader(paths)) {
    // A missing file is an error, not a skipped one.
    if (group.csv) await isFolder(group.paths[0]);
    const reader = group.csv ? undefined : readRows(group.paths, { strict, signal });
    for await (const row of reader ?? readCsv(group.paths[0], { log, signal })) {
      box.add(row);
      rows += 1;
      if (rows % REPORTED !== 0) continue;
      signal?.throwIfAborted();
      onProgress?.({ task: "read votes", done: rows, unit: "vote" });
    }
    if (reader !== undefined) log.merge(reader.report);
  }
  const votes = box.votes(log.report);
  if (votes.outcome.length > 0) return votes;
  const why = Object.entries(votes.report.skippedAt).map(([reason, [place]]) => `${reason}: ${place}`);
  throw new QuernError(
    `no votes in ${paths.join(", ")}: ${why.slice(0, 3).join("; ") || "it has no rows"}; a vote has model_a, model_b and winner`,
  );
}

/** Groups neighbouring paths that one reader takes; each CSV file is a group. */
function byReader(paths: readonly string[]): { readonly csv: boolean; readonly paths: string[] }[] {
  const groups: { csv: boolean; paths: string[] }[] = [];
  for (const path of paths) {
    const last = groups.at(-1);
    if (!isCsv(path) && last?.csv === false) last.paths.push(path);
    else groups.push({ csv: isCsv(path), paths: [path] });
  }
  return groups;
}

type Fields = Readonly<Record<string, unknown>>;

class VoteBox {
  readonly #models = new Map<string, number>();
  readonly #first: number[] = [];
  readonly #second: number[] = [];
  readonly #outcome: number[] = [];
  readonly #time: number[] = [];
  readonly #margin: number[] = [];
  readonly #style: number[] = [];
  readonly #options: ReadVotesOptions;
  readonly #refuse: (reason: string, place: string, detail: string) => void;

  constructor(options: ReadVotesOptions, refuse: (reason: string, place: string, detail: string) => void) {
    this.#options = options;
    this.#refuse = refuse;
  }

  add({ fields, place }: Row): void {
    const vote = parseVote(fields, this.#options);
    if ("reason" in vote) {
      this.#refuse(vote.reason, place, vote.detail);
      return;
    }
    this.#first.push(this.#indexOf(vote.a));
    this.#second.push(this.#indexOf(vote.b));
    this.#outcome.push(vote.outcome);
    this.#time.push(vote.time ?? Number.NaN);
    if (vote.margin !== undefined) this.#margin.push(vote.margin);
    if (vote.style !== undefined) this.#style.push(...vote.style);
  }

  #indexOf(model: string): number {
    const known = this.#models.get(model);
    if (known !== undefined) return known;
    if (this.#models.size === MOST_MODELS) {
      throw new QuernError(`there are more than ${MOST_MODELS} models; is model_a the model's name?`);
    }
    this.#models.set(model, this.#models.size);
    return this.#models.size - 1;
  }

  votes(report: ReadReport): Votes {
    const time = this.#time.every((each) => !Number.isNaN(each)) ? new Float64Array(this.#time) : undefined;
    return {
      models: [...this.#models.keys()],
      first: new Int32Array(this.#first),
      second: new Int32Array(this.#second),
      outcome: new Float64Array(this.#outcome),
      time,
      margin: new Float64Array(this.#margin),
      style: new Float64Array(this.#style),
      report,
    };
  }
}

interface Vote {
  readonly a: string;
  readonly b: string;
  readonly outcome: number;
  readonly time: number | undefined;
  readonly margin?: number;
  readonly style?: readonly number[];
}

/** Returns the vote of a row, or why there is none. */
function parseVote(
  fields: Fields,
  { margin: key, style }: ReadVotesOptions,
): Vote | { readonly reason: string; readonly detail: string } {
  const a = nameOf(fields.model_a ?? fields.generator_1);
  const b = nameOf(fields.model_b ?? fields.generator_2);
  if (a === undefined || b === undefined) {
    const missing = a === undefined ? "model_a" : "model_b";
    const keys = Object.keys(fields).slice(0, 6).join(", ");
    return { reason: "no_model", detail: `has no "${missing}"; its keys are ${keys === "" ? "none" : keys}` };
  }
  if (a === b) return { reason: "same_model", detail: `both answers are by ${a}` };
  const outcome = outcomeOf(fields);
  if (outcome === undefined) return { reason: "unknown_winner", detail: winnerDetail(fields) };
  const vote = { a, b, outcome, time: timeOf(fields.tstamp ?? fields.timestamp) };
  const margin = key === undefined ? undefined : numberOf(fields[key]);
  if (key !== undefined && (margin === undefined || margin < 0)) {
    return { reason: "no_margin", detail: `has no number of at least 0 as "${key}"` };
  }
  if (key === undefined && !style) return vote;
  if (!style) return { ...vote, margin };
  const differences = styleOf(fields);
  if (differences === undefined) {
    return { reason: "no_conversation", detail: "has no conversation_a and conversation_b" };
  }
  return { ...vote, margin, style: differences };
}

function nameOf(value: unknown): string | undefined {
  const name = typeof value === "string" ? value.trim() : typeof value === "number" ? String(value) : "";
  return name === "" ? undefined : name;
}

const OUTCOMES: Readonly<Record<string, number>> = { model_a: 1, model_b: 0, tie: 0.5, bothbad: 0.5, tiebothbad: 0.5 };

/** "tie (bothbad)", "both_bad" and "Both bad" are one outcome. */
function outcomeOf(fields: Fields): number | undefined {
  const { winner } = fields;
  if (winner === "model_a") return 1;
  if (winner === "model_b") return 0;
  if (typeof winner === "string") {
    const plain = winner.trim().toLowerCase();
    const key = plain.startsWith("model_") ? plain : plain.replace(/[^a-z]/g, "");
    return Object.hasOwn(OUTCOMES, key) ? OUTCOMES[key] : undefined;
  }
  if (winner !== undefined && winner !== null) return undefined;
  if (fields.preference !== undefined) return outcomeOfPreference(numberOf(fields.preference));
  const flags = [fields.winner_model_a, fields.winner_model_b, fields.winner_tie].map(flagOf);
  if (flags.filter((flag) => flag === true).length !== 1) return undefined;
  return flags[0] ? 1 : flags[1] ? 0 : 0.5;
}

/** A judge's preference: 1 is the first answer, 2 the second, between them a probability; 1.5 and 0 are ties. */
function outcomeOfPreference(preference: number | undefined): number | undefined {
  if (preference === 0 || preference === 1.5) return 0.5;
  if (preference === undefined || preference < 1 || preference > 2) return undefined;
  return preference < 1.5 ? 1 : 0;
}

function flagOf(value: unknown): boolean {
  if (typeof value === "string") return /^(1(\.0*)?|true)$/i.test(value.trim());
  return value === true || Number(value) === 1;
}

const winnerDetail = ({ winner }: Fields) =>
  winner === undefined
    ? 'has no "winner"'
    : `the winner ${JSON.stringify(winner)?.slice(0, 60)} is not model_a, model_b, tie or "tie (bothbad)"`;

function numberOf(value: unknown): number | undefined {
  if (typeof value !== "number" && typeof value !== "bigint" && typeof value !== "string") return undefined;
  if (typeof value === "string" && value.trim() === "") return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** Returns seconds: a number as it is, a date or ISO text as seconds since 1970. */
function timeOf(value: unknown): number | undefined {
  if (value instanceof Date) return value.getTime() / 1000;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  const number = numberOf(value);
  if (number !== undefined || typeof value !== "string") return number;
  const parsed = Date.parse(value);
  return Number.isNaN(parsed) ? undefined : parsed / 1000;
}
