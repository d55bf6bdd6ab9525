/** @file The tasks that need no data: their documents are generated. */
import { entriesOf, type TypedEntry } from "../typed/task-module.js";
import { AGREEMENT } from "./agreement.js";
import { ARITHMETIC, ARITHMETIC_EXACT } from "./arithmetic.js";

/** Stands for the file of a built-in task. */
export const BUILT_IN = "built in";

/** Returns the entries of the built-in tasks and groups. */
export function builtInEntries(): readonly TypedEntry[] {
  return [ARITHMETIC, ARITHMETIC_EXACT, AGREEMENT].flatMap((item) => entriesOf(item, BUILT_IN));
}
