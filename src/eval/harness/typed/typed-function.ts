/** @file A function that a typed task holds, in the place of the Python function that a task file names. */
import { isAbortError, QuernError } from "../../../errors.js";
import { quoted } from "../../../printable.js";
import { userPlace } from "../../../user-place.js";
import { FunctionReference } from "../python-yaml.js";
import type { TaskFunction } from "../task-function.js";

/** Stands among a task's keys where a file of lm-eval has `!function module.name`. */
export class TypedFunction extends FunctionReference {
  /**
   * @param file the task's file
   * @param name the key of the definition, such as `docToText`
   */
  constructor(
    file: string,
    name: string,
    readonly implementation: TaskFunction,
  ) {
    super(file, name);
  }

  override toJSON(): string {
    return `function ${this.name}`;
  }
}

/**
 * Wraps a user's function: what it throws becomes one sentence with the line of its file.
 * @param file as the user named it
 */
export function guarded<A extends readonly unknown[], R>(
  file: string,
  name: string,
  call: (...args: A) => R,
): (...args: A) => R {
  const fault = (error: unknown): unknown => {
    if (error instanceof QuernError || isAbortError(error)) return error;
    const message = (error instanceof Error ? error.message : String(error)).split("\n")[0];
    return new QuernError(`${name} threw ${quoted(message)} (${userPlace(error, file) ?? file})`, { cause: error });
  };
  return (...args) => {
    try {
      const made = call(...args);
      if (!(made instanceof Promise)) return made;
      return made.catch((error: unknown) => {
        throw fault(error);
      }) as R;
    } catch (error) {
      throw fault(error);
    }
  };
}
