/**
 * @file What a verb is: a name, a schema and a function that calls the library and prints.
 *
 * The schema, a zod object, is the only source of the verb's flags, its `--help`, its checks and its config file. Each
 * option is described with its unit; `.meta({ value: "PATH" })` names its value in the help, `.meta({ separator: "," })`
 * lets a list be given as `A,B`. A key `keyValueHeads` becomes the flag `--key-value-heads`, or what `.meta({ flag })`
 * says. A boolean that is true by default becomes `--no-…`; its help is "do not" and the option's description, or what
 * `.meta({ off })` says. Every verb has `--config`, `--json`, `--debug` and `--help` beside its own.
 *
 *     // src/commands/count.ts — and one line in src/cli.ts
 *     export default defineCommand({
 *       description: "Count the words of text files.",
 *       options: z.object({
 *         files: z.array(z.string()).min(1).describe("text files or folders").meta({ value: "PATH" }),
 *         longest: z.int().min(1).default(40).describe("longest word counted, in characters").meta({ value: "N" }),
 *       }),
 *       positional: ["files"],
 *       examples: ["quern count notes/ --longest 20"],
 *       async run(options, { signal, onProgress, print }) {
 *         const { countWords } = await import("../documents/index.js"); // the library loads only when it is needed
 *         const { words } = await countWords({ ...options, signal, onProgress });
 *         print(`${words} words`);
 *         return { words }; // what --json prints
 *       },
 *     });
 */
import type { z } from "zod";
import type { NameOption } from "../options.js";
import type { OnProgress } from "../progress.js";

export interface CommandContext {
  /** Aborted by Ctrl-C: the library saves what it has and returns or throws; the exit code is 130 either way. */
  readonly signal: AbortSignal;
  /** Draws a live line on a terminal, occasional plain lines elsewhere, on standard error. */
  readonly onProgress: OnProgress;
  /** A line of the result for a person, on standard output; silent under `--json`. */
  readonly print: (line?: string) => void;
  /** Text of the result as it comes, without a line end; silent under `--json`. */
  readonly write: (text: string) => void;
  /** A line beside the result (a warning, a note), on standard error. */
  readonly log: (line: string) => void;
  /** True under `--json`. */
  readonly json: boolean;
  /** How an error names an option: by its flag, or its key in the config file. */
  readonly named: NameOption;
}

/** A verb's own definition; `S` types its options. */
export interface CommandDefinition<S extends z.ZodObject> {
  /** What it does, what it writes, how long it takes: the head of its help. */
  readonly description: string;
  readonly options: S;
  /** Keys of `options` that are given without a flag, in order; a list takes all that is left. */
  readonly positional?: readonly (keyof z.output<S> & string)[];
  /** Interrupted, it keeps what is done in `out`, and the same call resumes there. */
  readonly resumes?: true;
  /** Whole command lines that work. */
  readonly examples?: readonly string[];
  /** Calls the library and prints; returns the object that `--json` prints, or null where it printed its own. */
  readonly run: (options: z.output<S>, context: CommandContext) => Promise<object | null>;
}

/** A verb with its options' type forgotten, as the command line handles it. */
export interface Command {
  readonly description: string;
  readonly options: z.ZodObject;
  readonly positional: readonly string[];
  readonly resumes: boolean;
  readonly examples: readonly string[];
  readonly run: (options: Record<string, unknown>, context: CommandContext) => Promise<object | null>;
}

/** Defines a verb; see the head of this file. */
export function defineCommand<S extends z.ZodObject>(definition: CommandDefinition<S>): Command {
  return {
    description: definition.description,
    options: definition.options,
    positional: definition.positional ?? [],
    resumes: definition.resumes ?? false,
    examples: definition.examples ?? [],
    // `options` comes out of this very schema, so the narrower type holds.
    run: (options, context) => definition.run(options as z.output<S>, context),
  };
}
