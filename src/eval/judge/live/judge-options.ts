/** @file The option schemas of live judging: what every judge takes, and those of `judgeAnswers()` and `judgeLabelled()`. */
import { z } from "zod";
import { forceOption } from "../../../options.js";
import { ORDERS } from "./judging.js";
import { QUESTIONS, type Question } from "./prompt-template.js";

const JUDGE =
  "who judges: URL of an OpenAI-compatible server (up to /v1, or URL#NAME; the key is OPENAI_API_KEY), a run, folder, .gguf " +
  "file or hf://OWNER/NAME with a chat or reward model, an AlpacaEval configs.yaml (or configs.yaml#NAME), a .ts or .js file " +
  "that exports judge(instruction, first, second)";

/** The judge's name, on the command line. */
export const judgeOption = z.string().describe(JUDGE).meta({ value: "JUDGE" });
export const judgeOrResultsOption = z
  .string()
  .describe(`${JUDGE}, or with --meta stored judgements (LLMBar's result.json)`)
  .meta({ value: "JUDGE" });

/** How a judge is opened and asked. */
export const openingOptions = {
  judgeModel: z
    .string()
    .min(1)
    .optional()
    .describe(
      "name of the judging model at the server (default the only one that it lists); with a configuration, a model " +
        "to use instead of its own, local or at the server",
    )
    .meta({ value: "NAME" }),
  judgeUrl: z
    .string()
    .optional()
    .describe("server of a configuration, up to /v1 (default OPENAI_BASE_URL, else OpenAI's)")
    .meta({ value: "URL" }),
  by: z
    .enum(Object.keys(QUESTIONS) as [Question, ...Question[]])
    .optional()
    .describe(
      "how a model without configuration answers: verdict, a text that ends with [[A]], [[B]] or [[C]] (default for " +
        "servers); logprobs, the probabilities of A and B (default for local models)",
    ),
  judgePrompt: z
    .string()
    .optional()
    .describe("prompt template instead of Quern's or the configuration's, with {instruction}, {output_1}, {output_2}")
    .meta({ value: "FILE" }),
  judgeTokens: z
    .int()
    .min(1)
    .optional()
    .describe("maximum tokens of a judgement (default 1024 for verdict)")
    .meta({ value: "N" }),
  concurrency: z
    .int()
    .min(1)
    .max(1000)
    .optional()
    .describe("requests at the same time (default 8)")
    .meta({ value: "N" }),
  requestsPerMinute: z
    .number()
    .positive()
    .optional()
    .describe("requests started per minute (default no limit)")
    .meta({ value: "N" }),
  retries: z
    .int()
    .min(0)
    .optional()
    .describe("retries of a request after 429, 5xx or a timeout, with growing delays (default 6)")
    .meta({ value: "N" }),
  timeout: z.number().positive().optional().describe("seconds for one response (default 600)").meta({ value: "S" }),
  cache: z
    .string()
    .optional()
    .describe("folder of completions, so that a request is never paid twice (default in Quern's cache)")
    .meta({ value: "DIR" }),
  fresh: z.boolean().default(false).describe("ask again although the cache has the completion"),
  price: z
    .array(z.number().min(0))
    .length(2)
    .optional()
    .describe("dollars per million tokens of prompts and of completions, to report the cost")
    .meta({ value: "IN,OUT", separator: "," }),
  threads: z
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe("threads of local models (default all cores)")
    .meta({ value: "N" }),
  force: forceOption,
};

export const judgeOptions = z.object({
  prompts: z
    .string()
    .describe("prompts: JSON or JSON lines with instruction, prompt or messages")
    .meta({ value: "FILE" }),
  a: z
    .string()
    .describe(
      "answers of the baseline: a file with output (AlpacaEval's model_outputs.json), or a model that answers now: a run, " +
        "folder, .gguf file, hf://OWNER/NAME or URL#NAME",
    )
    .meta({ value: "FILE|MODEL" }),
  b: z
    .string()
    .describe("answers of the model whose win rate is reported, in the same way")
    .meta({ value: "FILE|MODEL" }),
  out: z.string().describe("folder for judgements, annotations, answers and the summary").meta({ value: "DIR" }),
  ...openingOptions,
  orders: z
    .enum(ORDERS)
    .default("both")
    .describe("orders of the two answers; random is AlpacaEval's coin for each instruction, given shows A first"),
  votes: z
    .string()
    .optional()
    .describe("also append the judge's votes to this file of an arena")
    .meta({ value: "FILE" }),
  reference: z
    .string()
    .optional()
    .describe("other judgements of the same answers (annotations), such as people's: agreement and self-preference")
    .meta({ value: "FILE" }),
  weights: z
    .string()
    .optional()
    .describe("CSV of length-control coefficients by model (default: fit them)")
    .meta({ value: "FILE.csv" }),
  difficulty: z
    .string()
    .optional()
    .describe("difficulty of each instruction, for length control: JSON lines {instruction, difficulty}")
    .meta({ value: "FILE.jsonl" }),
  within: z
    .number()
    .positive()
    .max(50)
    .default(2)
    .describe("report how many prompts a 95 % interval of ± this many points takes")
    .meta({ value: "POINTS" }),
  bootstrap: z
    .int()
    .min(2)
    .max(1_000_000)
    .default(1000)
    .describe("samples of the bootstrap interval")
    .meta({ value: "N" }),
  system: z.string().optional().describe("system message for models that answer").meta({ value: "TEXT" }),
  maxTokens: z.int().min(1).default(512).describe("maximum tokens of an answer").meta({ value: "N" }),
  temperature: z
    .number()
    .min(0)
    .default(0)
    .describe("sampling temperature of answers; 0 is greedy")
    .meta({ value: "T" }),
  seed: z
    .int()
    .min(0)
    .default(0)
    .describe("seed of sampled answers, of the random order and of the bootstrap")
    .meta({ value: "S" }),
});

export const labelledOptions = z.object({
  meta: z
    .string()
    .describe("labelled pairs: JSON objects {input, output_1, output_2, label}, label 1 or 2")
    .meta({ value: "DATASET.json" }),
  out: z
    .string()
    .optional()
    .describe("folder for judgements and result.json, which can be replayed")
    .meta({ value: "DIR" }),
  ...openingOptions,
});
