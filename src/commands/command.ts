/**
 * @file Defines a verb: a name, a schema and a function that calls the library and prints.
 *
 * The schema, a zod object, is the only source of the verb's flags, its `--help`, its checks and its config file. Each
 * option is described with its unit; `.meta({ value: "PATH" })` names its value in the help, `.meta({ separator: "," })`
 * lets a list be given as `A,B`. A key `keyValueHeads` becomes the flag `--key-value-heads`;
 * `.meta({ flag })` overrides that. A boolean that is true by default becomes `--no-…`; its help is "do not" plus the
 * description, or the text of `.meta({ off })`. Every verb also has `--config`, `--json`, `--debug` and `--help`.
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
 *         const { countWords } = await import("../documents/index.js"); // load the library only when needed
 *         const { words } = await countWords({ ...options, signal, onProgress });
 *         print(`${words} words`);
 *         return { words }; // what --json prints
 *       },
 *     });
 */
import { z } from "zod";
import type { NameOption } from "../options.js";
import type { OnProgress } from "../progress.js";

export interface CommandContext {
  /** Aborted by Ctrl-C: the library saves its work, then returns or throws; the exit code is 130 either way. */
  readonly signal: AbortSignal;
  /** Writes progress to standard error: a live line on a terminal, occasional plain lines elsewhere. */
  readonly onProgress: OnProgress;
  /** Prints one line of the result to standard output; silent under `--json`. */
  readonly print: (line?: string) => void;
  /** Writes result text as it arrives, without a line end; silent under `--json`. */
  readonly write: (text: string) => void;
  /** Prints a warning or note to standard error. */
  readonly log: (line: string) => void;
  /** True under `--json`. */
  readonly json: boolean;
  /** Returns the name of an option for errors: its flag, or its key in the config file. */
  readonly named: NameOption;
}

/** Definition of a verb; `S` is the type of its schema. */
export interface CommandDefinition<S extends z.ZodObject> {
  /** What the verb does, what it writes, how long it takes; the help starts with it. */
  readonly description: string;
  readonly options: S;
  /** Keys of `options` given without a flag, in order; a list takes all remaining arguments. */
  readonly positional?: readonly (keyof z.output<S> & string)[];
  /** After an interrupt `out` keeps the finished work, and the same call resumes there. */
  readonly resumes?: true;
  /** It runs programs: it gets the flag `--backend`, and what it compiles runs there. */
  readonly computes?: true;
  /** It can run as several ranks, of which only rank 0 prints. */
  readonly ranks?: true;
  /** It runs until an interrupt, which then is no failure: exit code 0. */
  readonly servesUntilInterrupt?: true;
  /** Complete command lines that work. */
  readonly examples?: readonly string[];
  /** Calls the library and prints; returns the object that `--json` prints, or null if it printed its own JSON. */
  readonly run: (options: z.output<S>, context: CommandContext) => Promise<object | null>;
}

/** A verb without the type of its options, as the command line handles it. */
export interface Command {
  readonly description: string;
  readonly options: z.ZodObject;
  readonly positional: readonly string[];
  readonly resumes: boolean;
  readonly ranks: boolean;
  readonly servesUntilInterrupt: boolean;
  readonly examples: readonly string[];
  readonly run: (options: Record<string, unknown>, context: CommandContext) => Promise<object | null>;
}

const backend = z
  .enum(["auto", "cpu", "webgpu", "cuda"])
  .optional()
  .describe("what computes; auto measures which is fastest here, and prints it (default QUERN_BACKEND, else cpu)")
  .meta({ value: "NAME" });

/** Runs `work` with this backend as the default of `compile`, also in processes that it starts. */
async function withBackend<T>(
  name: string | undefined,
  log: (line: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  if (name === undefined) return work();
  const { chooseBackend } = await import("../backends/index.js");
  const choice = await chooseBackend(name);
  if (name !== "cpu") log(choice.line);
  const before = process.env.QUERN_BACKEND;
  process.env.QUERN_BACKEND = choice.name;
  try {
    return await work();
  } finally {
    if (before === undefined) delete process.env.QUERN_BACKEND;
    else process.env.QUERN_BACKEND = before;
  }
}

/** Defines a verb; see the head of this file. */
export function defineCommand<S extends z.ZodObject>(definition: CommandDefinition<S>): Command {
  return {
    description: definition.description,
    options: definition.computes ? definition.options.extend({ backend }) : definition.options,
    positional: definition.positional ?? [],
    resumes: definition.resumes ?? false,
    ranks: definition.ranks ?? false,
    servesUntilInterrupt: definition.servesUntilInterrupt ?? false,
    examples: definition.examples ?? [],
    // `options` was checked against this schema, so the casts are safe.
    run(options, context) {
      if (!definition.computes) return definition.run(options as z.output<S>, context);
      const { backend: name, ...own } = options as { readonly backend?: string };
      return withBackend(name, context.log, () => definition.run(own as z.output<S>, context));
    },
  };
}
