/** @file Pairs the samples of two runs: the same document with the same prompt, or why a pair is no fair comparison. */
import { createHash } from "node:crypto";
import type { EvaluationSample } from "../harness/evaluation-results.js";

/** Why the values of a document cannot be compared: other data, another prompt, or other choices after the same prompt. */
export type Obstacle = "document" | "prompt" | "choices";

export interface SamplePair {
  readonly ours: EvaluationSample;
  readonly theirs: EvaluationSample;
  readonly obstacle: Obstacle | null;
}

export interface PairedSamples {
  /** In the order of our samples. */
  readonly pairs: readonly SamplePair[];
  readonly onlyOurs: readonly EvaluationSample[];
  readonly onlyTheirs: readonly EvaluationSample[];
}

/** Pairs samples by document and filter. */
export function pairSamples(ours: readonly EvaluationSample[], theirs: readonly EvaluationSample[]): PairedSamples {
  const left = new Map(theirs.map((sample) => [keyOf(sample), sample]));
  const pairs: SamplePair[] = [];
  const onlyOurs: EvaluationSample[] = [];
  for (const sample of ours) {
    const other = left.get(keyOf(sample));
    if (other === undefined) onlyOurs.push(sample);
    else pairs.push({ ours: sample, theirs: other, obstacle: obstacleOf(sample, other) });
    left.delete(keyOf(sample));
  }
  return { pairs, onlyOurs, onlyTheirs: [...left.values()] };
}

const keyOf = ({ doc_id, filter }: EvaluationSample) => JSON.stringify([doc_id, filter]);

function obstacleOf(ours: EvaluationSample, theirs: EvaluationSample): Obstacle | null {
  if (ours.doc_hash !== undefined && theirs.doc_hash !== undefined && ours.doc_hash !== theirs.doc_hash) {
    return "document";
  }
  if (promptHash(ours) !== promptHash(theirs)) return "prompt";
  return sendsSameTexts(ours, theirs) ? null : "choices";
}

/** lm-eval hashes the first request's prompt. */
function promptHash(sample: EvaluationSample): string {
  if (sample.prompt_hash !== undefined) return sample.prompt_hash;
  return createHash("sha256").update(String(sample.arguments.gen_args_0?.arg_0)).digest("hex");
}

/** Compares all contexts and continuations; options of generation may be written differently for the same request. */
function sendsSameTexts(ours: EvaluationSample, theirs: EvaluationSample): boolean {
  const [left, right] = [Object.values(ours.arguments), Object.values(theirs.arguments)];
  const isSame = (a: unknown, b: unknown) => a === b || (typeof a !== "string" && typeof b !== "string");
  return (
    left.length === right.length &&
    left.every((request, i) => isSame(request.arg_0, right[i].arg_0) && isSame(request.arg_1, right[i].arg_1))
  );
}
