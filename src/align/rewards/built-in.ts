/**
 * @file The built-in rewards and their options. On the command line an option follows the name: `length:target=50:unit=words`.
 */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { z } from "zod";
import { fileError, QuernError } from "../../errors.js";
import { requireIsolation, SANDBOX_LANGUAGES } from "../../executors/index.js";
import { readJsonFile } from "../../json-file.js";
import { checkOptions } from "../../options.js";
import { choiceAnswer, exactAnswer, numericAnswer } from "./answers.js";
import { codeReward } from "./code.js";
import {
  jsonReward,
  LENGTH_UNITS,
  lengthOf,
  lengthReward,
  matcherOf,
  schemaOf,
  softOverlong,
  thinkFormat,
  type Validator,
  validatorOf,
} from "./form.js";
import { judgeReward } from "./judge.js";
import { mathAnswer } from "./math.js";
import { type Fields, type Reward, textOf } from "./reward.js";

export interface OpenedReward {
  readonly reward: Reward;
  /** Calls at the same time; default that of the caller. */
  readonly concurrency?: number;
  /** Whether the reward limits its own time. */
  readonly hasOwnLimit?: boolean;
  readonly close?: () => Promise<void>;
}

export interface BuiltInSettings {
  /** Whether code may run without isolation. */
  readonly allowCode: boolean;
}

interface BuiltIn {
  /** What it rewards, for the documentation. */
  readonly summary: string;
  /** Other names. */
  readonly aliases?: readonly string[];
  readonly options: z.ZodObject;
  readonly open: (options: Readonly<Record<string, unknown>>, settings: BuiltInSettings) => Promise<OpenedReward>;
}

function builtIn<S extends z.ZodObject>(
  definition: Omit<BuiltIn, "options" | "open"> & {
    readonly options: S;
    readonly open: (options: z.output<S>, settings: BuiltInSettings) => OpenedReward | Promise<OpenedReward>;
  },
): BuiltIn {
  // The options were checked against the schema.
  return { ...definition, open: async (options, settings) => definition.open(options as z.output<S>, settings) };
}

const flag = () => z.enum(["true", "false"]).default("false");
const count = () => z.preprocess(asNumber, z.int().min(1));
/** A number that the command line gives as a text; what is missing stays missing. */
const asNumber = (value: unknown) => (typeof value === "string" && value.trim() !== "" ? Number(value) : value);
const none = z.object({});
const of = (reward: (completion: Parameters<Reward>[1], example: Fields) => number): OpenedReward => ({
  reward: (_, completion, example) => reward(completion, example),
});

export const BUILT_IN: Readonly<Record<string, BuiltIn>> = {
  exact: builtIn({
    summary:
      "1 if the completion, or its <answer>…</answer>, is the answer, but for case, spaces and a final full stop",
    aliases: ["exact_match"],
    options: none,
    open: () => of(exactAnswer),
  }),
  numeric: builtIn({
    summary: "1 if the final number is that of the answer, by GSM8K's convention: after ####, else the last number",
    aliases: ["gsm8k"],
    options: z.object({ strict: flag().describe("count only a number after ####") }),
    open: ({ strict }) => of((completion, example) => numericAnswer(completion, example, strict === "true")),
  }),
  math: builtIn({
    summary: "1 if the last \\boxed{…} equals the answer, by MATH's convention: normalised LaTeX or the same value",
    options: none,
    open: () => of(mathAnswer),
  }),
  choice: builtIn({
    summary: "1 if the completion names the right choice by its letter or its text",
    aliases: ["multiple_choice"],
    options: none,
    open: () => of(choiceAnswer),
  }),
  regex: builtIn({
    summary: "1 if the completion matches a pattern: the option, or the example's field pattern",
    options: z.object({
      pattern: z.string().optional().describe("a JavaScript regular expression; write a comma as \\x2c"),
      flags: z.string().default("").describe("such as i, m, s, u"),
    }),
    open({ pattern, flags }) {
      const own = pattern === undefined ? undefined : matcherOf(pattern, flags);
      return of((completion, example) => ((own ?? patternOf(example, flags))(textOf(completion)) ? 1 : 0));
    },
  }),
  json: builtIn({
    summary: "1 if the completion is JSON that is valid under a JSON Schema (draft 2020-12)",
    aliases: ["json_schema"],
    options: z.object({ schema: z.string().optional().describe("file; default the example's field schema") }),
    async open({ schema }) {
      const own = schema === undefined ? undefined : await validatorOf(await readJsonFile(schema, { exitCode: 2 }));
      const known = new Map<string, Promise<Validator>>();
      return {
        reward: async (_, completion, example) => jsonReward(completion, own ?? (await knownValidator(example, known))),
      };
    },
  }),
  length: builtIn({
    summary: "1 at a target length, falling linearly to 0 at no length and at twice the target",
    options: z.object({
      target: count().describe("target length"),
      unit: z.enum(LENGTH_UNITS).default("tokens").describe("tokens, words or characters"),
    }),
    open: ({ target, unit }) => ({
      reward: (_, completion, __, context) => lengthReward(lengthOf(completion, unit, context), target),
    }),
  }),
  soft_overlong: builtIn({
    summary: "0 up to max − cache, falling to −1 at max and beyond: DAPO's soft overlong punishment",
    options: z.object({
      max: count().describe("longest completion"),
      cache: z.preprocess(asNumber, z.int().min(0)).describe("length over which the punishment grows"),
      unit: z.enum(LENGTH_UNITS).default("tokens").describe("tokens, words or characters"),
    }),
    open: ({ max, cache, unit }) => ({
      reward: (_, completion, __, context) => softOverlong(lengthOf(completion, unit, context), max, cache),
    }),
  }),
  think_format: builtIn({
    summary: "1 if the completion begins with one <think>…</think>",
    aliases: ["format"],
    options: none,
    open: () => of(thinkFormat),
  }),
  code: builtIn({
    summary: "the share of the example's tests that the code of the completion passes in the sandbox",
    options: z.object({
      language: z.enum(SANDBOX_LANGUAGES).optional().describe("default the example's, else that of the code block"),
      seconds: z.coerce.number().positive().default(10).describe("time limit of a run in seconds"),
      memory: count().default(512).describe("memory limit in MiB"),
      all: flag().describe("1 only if all tests pass, else 0"),
    }),
    async open({ all, ...options }, { allowCode }) {
      await requireIsolation(allowCode);
      return {
        concurrency: availableParallelism(),
        hasOwnLimit: true,
        async reward(prompt, completion, example, { signal }) {
          const share = await codeReward(prompt, completion, example, { ...options, allowCode, signal });
          return all === "true" ? Math.floor(share) : share;
        },
      };
    },
  }),
  judge: builtIn({
    summary: "the rating of a model behind an OpenAI-compatible server, between 0 and 1 (key: OPENAI_API_KEY)",
    options: z.object({
      url: z.string().describe("address of the server, up to and including /v1"),
      model: z.string().describe("model of the judge"),
      rubric: z.string().optional().describe("text file that says what makes an answer good"),
      max: count().default(10).describe("best rating; the worst is 0"),
      concurrency: count().default(8).describe("requests at the same time"),
    }),
    async open({ rubric, ...options }) {
      const judge = judgeReward({ ...options, ...(rubric !== undefined && { rubric: await readRubric(rubric) }) });
      return { ...judge, concurrency: options.concurrency, hasOwnLimit: true };
    },
  }),
};

async function readRubric(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw fileError(error, "read", path);
  }
}

function patternOf(example: Fields, flags: string): (text: string) => boolean {
  const { pattern } = example;
  if (typeof pattern === "string") return matcherOf(pattern, flags);
  throw new QuernError("the example has no field pattern with a regular expression; or give regex:pattern=…", {
    exitCode: 2,
  });
}

function knownValidator(example: Fields, known: Map<string, Promise<Validator>>): Promise<Validator> {
  const schema = schemaOf(example);
  const key = JSON.stringify(schema);
  const validator = known.get(key) ?? validatorOf(schema);
  known.set(key, validator);
  return validator;
}

/** A built-in reward with its options, as `openRewards` takes it; undefined for another name. */
export interface BuiltInCall {
  readonly name: string;
  readonly builtIn: BuiltIn;
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * Parses `name:key=value:key=value`. A colon in a value is kept unless a key and an equals sign follow it.
 * @returns undefined if no built-in reward has the name
 * @throws QuernError for wrong options
 */
export function parseBuiltIn(text: string): BuiltInCall | undefined {
  const [given, ...pairs] = text.split(/:(?=\w+=)/);
  const plain = given.toLowerCase().replaceAll("-", "_");
  const found = Object.entries(BUILT_IN).find(([name, { aliases }]) => name === plain || aliases?.includes(plain));
  if (found === undefined) return undefined;
  const [name, builtIn] = found;
  const options = Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
  return { name, builtIn, options: checkOptions(builtIn.options, options, (key) => key, ` of the reward ${name}`) };
}
