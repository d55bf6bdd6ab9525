/** @file The command line: finds the verb, reads its options, runs it, prints errors in one line, returns the exit code. */
import { readFile } from "node:fs/promises";
import { CommanderError, type Command as Parser } from "commander";
import {
  EndedElsewhereError,
  fileError,
  InterruptedError,
  isAbortError,
  QuernError,
  RankLostError,
  RankStartError,
} from "../errors.js";
import { type Launch, launchOf } from "../launch.js";
import { checkOptions, nearest } from "../options.js";
import { hideCredentials, printable } from "../printable.js";
import { version } from "../version.js";
import type { Command, CommandContext } from "./command.js";
import { flagsOf, givenValues, namesOf, parserOf } from "./flags.js";
import { createProgressLine } from "./progress-line.js";

/** A verb as cli.ts lists it: its words (`tokenizer train`), a summary, and its module, loaded when called. */
export interface Verb {
  readonly words: string;
  readonly summary: string;
  readonly load: () => Promise<{ readonly default: Command }>;
}

/** Exit codes of a wrong call and of an interrupted one. */
const WRONG_CALL = 2;
const INTERRUPTED = 130;

/**
 * Runs one command line and returns its exit code: 0, 1 (the work failed), 2 (wrong call), 130 (interrupted).
 * @param argv arguments after `quern`
 * @param onListening called before a verb runs, after the interrupt handlers are installed
 */
export async function main(
  verbs: readonly Verb[],
  argv: readonly string[],
  onListening: () => Promise<void> = async () => {},
): Promise<number> {
  const debug = argv.includes("--debug");
  const progress = createProgressLine(process.stderr);
  const abort = new AbortController();
  const launch = launchOf();
  const isSilent = isFollower(launch);
  const inJob = launch !== null || process.env.SLURM_JOB_ID !== undefined;
  const release = listenForInterrupts(abort, inJob, () => {
    progress.clear();
    return !isSilent;
  });
  try {
    return await dispatch(verbs, argv, { signal: abort.signal, progress, launch }, onListening);
  } catch (error) {
    progress.clear();
    // Rank 0 says what is wrong, unless it was lost, cannot know it, or another process says so.
    const isOwn = error instanceof RankLostError || (error instanceof RankStartError && !abort.signal.aborted);
    if ((isSilent && !isOwn) || error instanceof EndedElsewhereError) {
      if (abort.signal.aborted) return INTERRUPTED;
      return error instanceof QuernError ? error.exitCode : 1;
    }
    if (error instanceof CommanderError && error.exitCode === 0) return 0; // --help
    if (abort.signal.aborted && (isAbortError(error) || error === abort.signal.reason)) {
      const saved = error instanceof InterruptedError ? error.message : "interrupted";
      process.stderr.write(`quern: ${printable(saved)}\n`);
      return INTERRUPTED;
    }
    process.stderr.write(`quern: ${printable(hideCredentials(messageOf(error)))}\n`);
    if (debug && error instanceof Error) process.stderr.write(`${error.stack}\n${causesOf(error)}`);
    if (abort.signal.aborted) return INTERRUPTED;
    return error instanceof QuernError ? error.exitCode : 1;
  } finally {
    release();
  }
}

/** Whether this is one of several ranks, and not the one that prints. */
const isFollower = (launch: Launch | null) => launch !== null && launch.rank > 0;

interface Surroundings {
  readonly signal: AbortSignal;
  readonly progress: ReturnType<typeof createProgressLine>;
  readonly launch: Launch | null;
}

async function dispatch(
  verbs: readonly Verb[],
  argv: readonly string[],
  { signal, progress, launch }: Surroundings,
  onListening: () => Promise<void>,
): Promise<number> {
  const asksHelp = argv[0] === "help" || argv[0] === "--help" || argv[0] === "-h";
  const words = argv[0] === "help" ? [...argv.slice(1), "--help"] : argv;
  if (words[0] === "--version" || words[0] === "-V") {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const verb = verbs
    .filter(({ words: name }) => name.split(" ").every((word, index) => words[index] === word))
    .sort((a, b) => b.words.length - a.words.length)[0];
  if (verb === undefined) {
    const group = verbs.filter((each) => words[0] !== undefined && each.words.startsWith(`${words[0]} `));
    const next = group.length > 0 ? words[1] : words[0];
    if (next === undefined || next.startsWith("-")) {
      const listed = group.length > 0 ? group : verbs;
      if (next !== undefined && next !== "--help" && next !== "-h") {
        throw new QuernError(`unknown flag ${next}; flags follow a verb, see quern --help`, { exitCode: 2 });
      }
      const shown = listHelp(listed, group.length > 0 ? (words[0] as string) : undefined);
      (next === undefined && !asksHelp ? process.stderr : process.stdout).write(shown);
      return next === undefined && !asksHelp ? WRONG_CALL : 0;
    }
    throw unknownVerb(verbs, group, words);
  }
  const name = verb.words;
  const command = (await verb.load()).default;
  if (launch !== null && !command.ranks) {
    throw new QuernError(
      `quern ${name} runs as one process, and ${launch.launcher} started ${launch.size}; run it without ${launch.launcher}, or ` +
        "with one",
      { exitCode: 2 },
    );
  }
  const flags = flagsOf(command.options);
  const parser = parserOf(name, command, flags);
  try {
    parser.parse(words.slice(name.split(" ").length) as string[], { from: "user" });
  } catch (error) {
    throw error instanceof CommanderError && error.exitCode !== 0 ? wrongFlag(error, name, parser) : error;
  }
  const own = parser.opts() as { readonly config?: string; readonly json?: boolean };
  const named = namesOf(command, flags);
  const given = givenValues(parser, command, flags);
  const configured = own.config === undefined ? {} : await readConfig(own.config, command, given);
  const missing = flags.filter(({ key, required }) => required && !(key in given) && !(key in configured));
  if (missing.length > 0) {
    const wanted = missing.map(({ key, flag, value }) =>
      command.positional.includes(key) ? value : `${flag} ${value}`,
    );
    throw new QuernError(`quern ${name} needs ${wanted.join(" and ")} (see quern ${name} --help)`, { exitCode: 2 });
  }
  const nameOf = (key: string) => (key in configured && !(key in given) ? `${key} in ${own.config}` : named(key));
  const options = checkOptions(command.options, { ...configured, ...given }, nameOf);

  const json = own.json === true;
  const isSilent = isFollower(launch);
  const context: CommandContext = {
    signal,
    onProgress: isSilent ? () => {} : progress.onProgress,
    json,
    named: nameOf,
    print: (line = "") => {
      if (json || isSilent) return;
      progress.clear();
      process.stdout.write(`${printable(line)}\n`);
    },
    write: (text) => {
      if (json || isSilent) return;
      progress.clear();
      process.stdout.write(text);
    },
    log: (line) => {
      if (isSilent) return;
      progress.clear();
      process.stderr.write(`${printable(hideCredentials(line))}\n`);
    },
  };
  await onListening();
  const result = await command.run(options, context).catch((error: unknown) => {
    const { out } = options as { readonly out?: string };
    if (!isAbortError(error) || error instanceof InterruptedError || out === undefined) throw error;
    const kept = command.resumes
      ? `${out} keeps the finished work; run the same command to resume`
      : "nothing was saved";
    throw new InterruptedError(`interrupted; ${kept}`, out);
  });
  progress.clear();
  if (json && !isSilent && result !== null) process.stdout.write(`${JSON.stringify(result)}\n`);
  return signal.aborted && !command.servesUntilInterrupt ? INTERRUPTED : 0;
}

/**
 * The first Ctrl-C (or SIGTERM) aborts, so that the work can be saved; the second ends the process at once. SIGUSR1, by which
 * a scheduler warns of a time limit, aborts too.
 * @param inJob whether a scheduler or an MPI launcher started this process
 * @param clear makes room for a line on the terminal; returns false if this process prints none
 */
function listenForInterrupts(abort: AbortController, inJob: boolean, clear: () => boolean): () => void {
  const release = () => {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
    process.off("SIGUSR1", warned);
  };
  const interrupt = () => {
    // From here on the system's default handling ends the process.
    release();
    if (clear()) process.stderr.write("quern: stopping; press Ctrl-C again to quit immediately\n");
    abort.abort();
  };
  const warned = () => {
    if (abort.signal.aborted) return;
    if (clear()) process.stderr.write("quern: SIGUSR1, the time limit approaches: stopping\n");
    abort.abort();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  // Outside of jobs, SIGUSR1 starts Node's debugger.
  if (inJob) process.on("SIGUSR1", warned);
  return release;
}

/** Lists all verbs by their full names. */
function listHelp(verbs: readonly Verb[], group: string | undefined): string {
  const width = Math.max(...verbs.map((verb) => verb.words.length));
  const lines = verbs.map((verb) => `  ${verb.words.padEnd(width)}  ${verb.summary}`);
  return [
    `Usage: quern ${group === undefined ? "" : `${group} `}<verb> [options]`,
    "",
    "Language models in TypeScript, from raw text to a trained model: data, tokens, training, generation.",
    "",
    "Verbs:",
    ...lines,
    "",
    "quern <verb> --help shows the options of a verb; quern --version prints the version.",
    "",
  ].join("\n");
}

function unknownVerb(verbs: readonly Verb[], group: readonly Verb[], words: readonly string[]): QuernError {
  if (group.length > 0) {
    const near = nearest(
      `${words[0]} ${words[1]}`,
      group.map((verb) => verb.words),
    );
    return new QuernError(`unknown verb "${words[0]} ${words[1]}"; did you mean "quern ${near}"?`, { exitCode: 2 });
  }
  const near = nearest(
    words[0] as string,
    verbs.map((verb) => verb.words),
  );
  return new QuernError(`unknown verb "${words[0]}"; did you mean "quern ${near}"? All verbs: quern --help`, {
    exitCode: 2,
  });
}

function wrongFlag(error: CommanderError, verb: string, parser: Parser): QuernError {
  const flag = /'(-[^' ]*)/.exec(error.message)?.[1] ?? "";
  const see = `see quern ${verb} --help`;
  if (error.code === "commander.unknownOption") {
    const known = [...parser.options.map((option) => option.long ?? ""), "--help"];
    return new QuernError(`unknown flag ${flag}; did you mean ${nearest(flag, known)}? (${see})`, { exitCode: 2 });
  }
  if (error.code === "commander.optionMissingArgument") {
    return new QuernError(`${flag} needs a value (${see})`, { exitCode: 2 });
  }
  if (error.code === "commander.excessArguments") {
    const extra = parser.args.slice(parser.registeredArguments.length).join(" ");
    return new QuernError(`unexpected argument "${extra}" (${see})`, { exitCode: 2 });
  }
  const text = error.message.replace(/^error: /, "").replace(/\s+/g, " ");
  return new QuernError(`${text} (${see})`, { exitCode: 2 });
}

/** Reads a config file. Its keys are those of the schema; a flag overrides a key. */
async function readConfig(
  path: string,
  command: Command,
  given: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw fileError(error, "read", path);
  }
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw new QuernError(`${path} is not valid JSON: ${jsonReason(error, text)}`, { exitCode: 2, cause: error });
  }
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new QuernError(`${path} must contain one JSON object of options`, { exitCode: 2 });
  }
  const known = Object.keys(command.options.shape);
  for (const key of Object.keys(config)) {
    if (known.includes(key)) continue;
    throw new QuernError(`unknown option "${key}" in ${path}; did you mean "${nearest(key, known)}"?`, { exitCode: 2 });
  }
  return Object.fromEntries(Object.entries(config).filter(([key]) => !(key in given)));
}

function jsonReason(error: unknown, text: string): string {
  const reason = error instanceof Error ? error.message : String(error);
  const position = Number(/at position (\d+)/.exec(reason)?.[1] ?? Number.NaN);
  if (Number.isNaN(position)) return reason;
  const before = text.slice(0, position).split("\n");
  return `${reason.replace(/ in JSON at position.*/, "")} at line ${before.length}, column ${(before.at(-1) ?? "").length + 1}`;
}

function messageOf(error: unknown): string {
  if (error instanceof QuernError) return error.message;
  const known = fileError(error, "use", (error as NodeJS.ErrnoException)?.path ?? "a file");
  if (known instanceof QuernError) return known.message;
  const reason = error instanceof Error ? error.message : String(error);
  return `internal error: ${reason.split("\n")[0]} (run again with --debug for a stack trace, and please report it)`;
}

function causesOf(error: Error): string {
  return error.cause instanceof Error ? `caused by ${error.cause.stack}\n${causesOf(error.cause)}` : "";
}
