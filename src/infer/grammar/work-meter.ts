/**
 * @file Limits the work on one schema and on one mask, so that no request stalls a server. Work is counted, not timed: a schema
 * that is accepted on one machine is accepted on every other.
 */
import { QuernError } from "../../errors.js";

/** Combinations of subschemas; automaton states and what leads to them; values, properties and items. */
export type WorkKind = "cases" | "states" | "values";

const REASONS: Readonly<Record<WorkKind, string>> = {
  cases: "its anyOf, oneOf, allOf, not and if have too many combinations; write fewer alternatives",
  states: "its patterns, formats, lengths and names need too many automaton states; shorten them, or combine fewer",
  values: "it has too many values, properties or items; split it",
};

/** Units of work for one schema or pattern: at most about 2 s on one core. */
export const COMPILE_WORK = 4_000_000;
/** Units for one mask, one token or one shortest completion: at most about 1 s. */
export const STEP_WORK = 2_000_000;

export class WorkMeter {
  /** Work that is left, in units of roughly half a microsecond; infinite outside `limit`. */
  #left = Number.POSITIVE_INFINITY;
  /** All work so far, within limits and without. */
  total = 0;
  #subject = () => "";
  readonly #spent: Record<WorkKind, number> = { cases: 0, states: 0, values: 0 };

  /**
   * Runs a task within a limit. A task inside another counts towards the outer one only.
   * @param subject what the error is about, such as `the JSON Schema`
   * @throws QuernError (exit code 2) that says what was too large
   */
  limit<T>(units: number, subject: () => string, task: () => T): T {
    if (this.#left !== Number.POSITIVE_INFINITY) return task();
    this.#left = units;
    this.#subject = subject;
    this.#spent.cases = 0;
    this.#spent.states = 0;
    this.#spent.values = 0;
    try {
      return task();
    } catch (error) {
      // Node has no other sign of a full stack, and nesting is limited by nothing else in a few recursive functions.
      if (error instanceof RangeError && /call stack/.test(error.message))
        throw tooComplex(subject(), "it nests too deeply; make it flatter");
      throw error;
    } finally {
      this.#left = Number.POSITIVE_INFINITY;
    }
  }

  spend(kind: WorkKind, units: number): void {
    this.total += units;
    this.#spent[kind] += units;
    this.#left -= units;
    if (this.#left < 0) throw tooComplex(this.#subject(), REASONS[this.#largest()]);
  }

  #largest(): WorkKind {
    const { cases, states, values } = this.#spent;
    return states >= cases && states >= values ? "states" : cases >= values ? "cases" : "values";
  }
}

function tooComplex(subject: string, reason: string): QuernError {
  return new QuernError(`${subject} is too complex: ${reason}`, { exitCode: 2 });
}
