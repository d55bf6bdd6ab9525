/** @file The order in which a judge sees two answers, and the way back from what it preferred. */
import { PythonRandom } from "../harness/python-random.js";
import type { Preference } from "./win-rate.js";

/**
 * Returns whether AlpacaEval's annotators saw `output_2` first: a coin thrown by Python's generator, seeded with the
 * instruction, so that every program and every rerun agrees.
 * @param seed of the annotator, default 0
 */
export function isSwitched(instruction: string, seed: number = 0): boolean {
  return new PythonRandom(`is_switched_outputs${instruction}${seed}`).random() >= 0.5;
}

/** Translates a preference between the answers as shown into one between output 1 and output 2. */
export function unswitched(preference: Preference, switched: boolean): Preference {
  return preference === null || preference === 0 || !switched ? preference : 3 - preference;
}
