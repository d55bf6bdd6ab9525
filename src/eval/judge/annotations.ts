/** @file Reads AlpacaEval's annotation files: a judge's preference between two answers to each instruction. */
import { QuernError } from "../../errors.js";
import { show } from "../../options.js";
import { type JsonItem, readJsonItems, textAt } from "../json-input.js";
import type { Preference } from "./win-rate.js";

/** One judgement. A preference towards 1 favours `output1`, towards 2 `output2`, however the judge saw them. */
export interface Annotation {
  readonly instruction: string;
  readonly output1: string;
  readonly output2: string;
  readonly preference: Preference;
  readonly place: string;
}

/** All judgements of one model against one baseline by one judge. */
export interface AnnotationSet {
  /** `generator_2`, whose answers are `output2`. */
  readonly model: string;
  /** `generator_1`. */
  readonly baseline: string;
  /** Null if the file does not name the judge. */
  readonly annotator: string | null;
  readonly annotations: readonly Annotation[];
}

/**
 * Reads annotation files (JSON array or JSON lines, .gz too) and groups them by model, baseline and judge, in the order
 * of their first lines.
 * @throws QuernError with file and item: a missing key, a preference that is neither a number nor null, an instruction
 * judged twice by one judge for the same two models
 */
export async function readAnnotations(files: readonly string[], signal?: AbortSignal): Promise<AnnotationSet[]> {
  const sets = new Map<string, { set: AnnotationSet; annotations: Annotation[]; seen: Map<string, string> }>();
  for (const file of files) {
    for (const item of await readJsonItems(file, signal)) {
      const model = textAt(item, "generator_2");
      const baseline = textAt(item, "generator_1");
      const annotator = item.value.annotator === undefined ? null : textAt(item, "annotator");
      const key = JSON.stringify([model, baseline, annotator]);
      let group = sets.get(key);
      if (group === undefined) {
        const annotations: Annotation[] = [];
        group = { set: { model, baseline, annotator, annotations }, annotations, seen: new Map() };
        sets.set(key, group);
      }
      const annotation = annotationOf(item);
      const { instruction, output2, output1, place } = annotation;
      const question = JSON.stringify([instruction, output1, output2]);
      const earlier = group.seen.get(question);
      if (earlier !== undefined) {
        throw new QuernError(`${place} judges the same answers of ${model} as ${earlier}; remove one of them`);
      }
      group.seen.set(question, place);
      group.annotations.push(annotation);
    }
  }
  return [...sets.values()].map(({ set }) => set);
}

function annotationOf(item: JsonItem): Annotation {
  const { preference } = item.value;
  if (preference === undefined) throw new QuernError(`${item.place} has no "preference"`);
  if (preference !== null && typeof preference !== "number") {
    throw new QuernError(`"preference" of ${item.place} must be a number or null, not ${show(preference)}`);
  }
  return {
    instruction: textAt(item, "instruction"),
    output1: textAt(item, "output_1"),
    output2: textAt(item, "output_2"),
    preference,
    place: item.place,
  };
}

/** Returns the length of a text in code points, as Python counts. */
export function codePointsOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
