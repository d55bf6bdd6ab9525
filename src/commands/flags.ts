/** @file Turns the keys of a schema into command-line flags: names, help, and values parsed from text. */
import { Argument, Option, Command as Parser } from "commander";
import { z } from "zod";
import type { NameOption } from "../options.js";
import type { Command } from "./command.js";

/** One option as the command line needs it, read from the schema. */
export interface Flag {
  readonly key: string;
  /** `--kv-heads`; `--no-cache` for a boolean that is true by default. */
  readonly flag: string;
  readonly kind: "boolean" | "number" | "text";
  readonly list: boolean;
  readonly separator?: string;
  /** Placeholder of the value in the help. */
  readonly value: string;
  readonly description: string;
  readonly required: boolean;
  readonly fallback: unknown;
}

interface Described {
  readonly type?: string;
  readonly items?: Described;
  readonly anyOf?: readonly Described[];
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly description?: string;
  readonly value?: string;
  readonly flag?: string;
  readonly separator?: string;
  readonly off?: string;
}

/** Returns the flags of a schema, in its order. */
export function flagsOf(schema: z.ZodObject): Flag[] {
  const described = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as {
    readonly properties?: Readonly<Record<string, Described>>;
    readonly required?: readonly string[];
  };
  return Object.entries(described.properties ?? {}).map(([key, property]) => {
    const list = property.type === "array";
    const item = list ? (property.items ?? {}) : property;
    const kind = kindOf(item);
    const name = property.flag ?? kebab(key);
    const negated = kind === "boolean" && property.default === true;
    const { description = "" } = property;
    return {
      key,
      flag: negated ? `--no-${name}` : `--${name}`,
      kind,
      list,
      separator: property.separator,
      value: property.value ?? item.enum?.join("|") ?? (kind === "text" ? "TEXT" : item.type === "integer" ? "N" : "X"),
      description: negated ? (property.off ?? `do not ${description}`) : description,
      required: described.required?.includes(key) ?? false,
      fallback: property.default,
    };
  });
}

function kindOf(property: Described): Flag["kind"] {
  const types = property.anyOf?.map((each) => each.type) ?? [property.type];
  if (types.includes("boolean")) return "boolean";
  return types.some((type) => type === "integer" || type === "number") ? "number" : "text";
}

function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Returns the function that names options in messages: by flag, or by the placeholder of a positional argument. */
export function namesOf(command: Command, flags: readonly Flag[]): NameOption {
  return (key) => {
    const flag = flags.find((each) => each.key === key);
    if (flag === undefined) return key.startsWith("-") ? key : `--${kebab(key)}`;
    if (!command.positional.includes(key)) return flag.flag;
    // The message already lists the choices, so leave out the long description.
    return flag.value.includes("|") ? key : `${flag.value} (${flag.description})`;
  };
}

/** Returns a parser for the command's flags. It keeps values as text; the schema checks them. */
export function parserOf(words: string, command: Command, flags: readonly Flag[]): Parser {
  const parser = new Parser(`quern ${words}`)
    .description(command.description)
    .exitOverride()
    .allowExcessArguments(false)
    .showSuggestionAfterError(false)
    .configureOutput({ outputError: () => {} })
    .configureHelp({ helpWidth: helpWidth() })
    .helpOption("-h, --help", "show this help");
  for (const flag of flags) {
    if (command.positional.includes(flag.key)) {
      const name = flag.list ? `${flag.value}...` : flag.value;
      parser.addArgument(new Argument(`[${name}]`, help(flag)));
    } else {
      const value = flag.list && flag.separator === undefined ? `<${flag.value}...>` : `<${flag.value}>`;
      const option = new Option(
        flag.kind === "boolean" && !flag.list ? flag.flag : `${flag.flag} ${value}`,
        help(flag),
      );
      // Commander sees a list only where a letter precedes the dots, and `V,…...` has none.
      option.variadic = flag.list && flag.separator === undefined;
      parser.addOption(option);
    }
  }
  parser.addOption(new Option("--config <FILE>", "read options from a JSON file; flags override it"));
  parser.addOption(new Option("--json", "print one JSON object to standard output, and nothing else"));
  parser.addOption(new Option("--debug", "print the stack trace of an error"));
  if (command.examples.length > 0) {
    parser.addHelpText("after", `\nExamples:\n${command.examples.map((line) => `  ${line}`).join("\n")}`);
  }
  return parser;
}

function helpWidth(): number {
  return Math.min(process.stdout.columns || 100, 110);
}

function help(flag: Flag): string {
  if (flag.required) return `${flag.description} (required)`;
  if (flag.fallback === undefined || flag.kind === "boolean") return flag.description;
  const fallback = Array.isArray(flag.fallback) ? flag.fallback.join(flag.separator ?? " ") : String(flag.fallback);
  return fallback === "" ? flag.description : `${flag.description} (default ${fallback})`;
}

/**
 * Returns the values given on the command line, for the schema to check. Text that is not a number stays text, so that
 * the error can show it.
 */
export function givenValues(parser: Parser, command: Command, flags: readonly Flag[]): Record<string, unknown> {
  const options: Readonly<Record<string, unknown>> = parser.opts();
  const values: Record<string, unknown> = {};
  for (const flag of flags) {
    const place = command.positional.indexOf(flag.key);
    if (place >= 0) {
      const given = parser.processedArgs[place] as string | readonly string[] | undefined;
      if (given !== undefined && given.length > 0) values[flag.key] = optionValue(flag, given);
      continue;
    }
    // Commander keeps `--no-cache` under `cache` and `--kv-heads` under `kvHeads`.
    const name = flag.flag.replace(/^--(no-)?/, "").replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    if (parser.getOptionValueSource(name) === "cli") values[flag.key] = optionValue(flag, options[name]);
  }
  return values;
}

function optionValue(flag: Flag, given: unknown): unknown {
  if (typeof given === "boolean") return given;
  if (flag.list) {
    const texts = Array.isArray(given) ? (given as string[]) : [String(given)];
    const parts = flag.separator === undefined ? texts : texts.flatMap((text) => text.split(flag.separator as string));
    return parts.map((part) => scalar(flag, part));
  }
  return scalar(flag, String(given));
}

function scalar(flag: Flag, text: string): unknown {
  if (flag.kind === "boolean") return text === "true" ? true : text === "false" ? false : text;
  if (flag.kind !== "number" || text.trim() === "") return text;
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}
