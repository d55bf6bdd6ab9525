/** @file The options of `quern eval` and `evaluate()`. */
import { z } from "zod";
import { forceOption } from "../options.js";

export const evaluateOptions = z.object({
  model: z
    .string()
    .describe(
      "a run, a Hugging Face folder, a .gguf file, hf://OWNER/NAME, or URL#NAME for the model NAME of an OpenAI-compatible " +
        "server at URL (up to /v1; the API key is read from OPENAI_API_KEY)",
    )
    .meta({ value: "MODEL" }),
  tasks: z
    .array(z.string().min(1))
    .min(1)
    .describe("tasks, groups or tags, patterns such as blimp_*, YAML or TypeScript files, or folders of YAML files")
    .meta({ value: "NAME", separator: "," }),
  include: z.array(z.string()).default([]).describe("folders of task files").meta({ value: "DIR" }),
  data: z
    .string()
    .optional()
    .describe(
      "folder of data sets: DIR/<dataset_path>/<dataset_name>/<split>.jsonl, or .json, .csv, .parquet (default " +
        "hf://datasets: downloaded from the hub once, and cached)",
    )
    .meta({ value: "DIR" }),
  numFewshot: z
    .int()
    .min(0)
    .optional()
    .describe("few-shot examples before each question (default the task's; a task that fixes 0 keeps it)")
    .meta({ value: "N" }),
  limit: z
    .number()
    .gt(0)
    .optional()
    .describe("only the first N documents of each task, or this share of them if below 1")
    .meta({ value: "N" }),
  samples: z
    .string()
    .optional()
    .describe('positions of the documents to evaluate, {"TASK": [0, 3]}: JSON, or a file of it')
    .meta({ value: "JSON" }),
  batch: z
    .int()
    .min(1)
    .default(1024)
    .describe("requests between two writes to the cache; results do not depend on it")
    .meta({ value: "B" }),
  seed: z
    .string()
    .regex(/^\d+(,\d+){0,3}$/, "must be a whole number, or four as lm-eval's: 0,1234,1234,1234")
    .default("0,1234,1234,1234")
    .describe(
      "lm-eval's seeds: the third is for sampled answers, the fourth for few-shot examples; one number is all four",
    )
    .meta({ value: "S" }),
  applyChatTemplate: z.boolean().default(false).describe("put prompts into the model's chat template"),
  system: z.string().optional().describe("system text before each prompt").meta({ value: "TEXT" }),
  fewshotAsMultiturn: z
    .boolean()
    .default(false)
    .describe("with a chat template, few-shot examples are turns of their own; this is the default"),
  fewshotInOneTurn: z.boolean().default(false).describe("with a chat template, few-shot examples are text in one turn"),
  genKwargs: z
    .string()
    .optional()
    .describe("generation options that override the tasks': KEY=VALUE,… or JSON")
    .meta({ value: "OPTIONS" }),
  bootstrap: z
    .int()
    .min(0)
    .default(100_000)
    .describe("rounds of standard errors that have no formula; 0 leaves out all standard errors")
    .meta({ value: "N" }),
  decontaminate: z
    .array(z.string())
    .optional()
    .describe(
      "training data (text, JSONL, Parquet or folders of them): documents that it contains are marked, and scores without " +
        "them are given too",
    )
    .meta({ value: "DATA" }),
  decontaminateNgram: z
    .int()
    .min(1)
    .max(100)
    .default(13)
    .describe("with --decontaminate, words that a document and the training data must share in a row")
    .meta({ value: "N" }),
  decontaminateThreshold: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("with --decontaminate, share of a document's n-grams in one training document; 0: one n-gram is enough")
    .meta({ value: "R" }),
  textField: z
    .string()
    .min(1)
    .default("text")
    .describe("with --decontaminate, key or column of the training data that contains the text; a.b is b in a")
    .meta({ value: "NAME" }),
  logSamples: z.boolean().default(false).describe("write every document with its requests and answers as JSON lines"),
  cache: z
    .string()
    .optional()
    .describe("folder in which the model's answers are kept; after an interruption, the same command resumes from them")
    .meta({ value: "DIR" }),
  threads: z.int().min(1).max(256).optional().describe("threads (default all cores)").meta({ value: "N" }),
  against: z
    .string()
    .optional()
    .describe("folder of another run, Quern's or lm-eval's with samples: paired tests of what changed")
    .meta({ value: "DIR" }),
  out: z
    .string()
    .optional()
    .describe("folder for results.json, report.html and, with --log-samples, samples_TASK.jsonl")
    .meta({ value: "DIR" }),
  force: forceOption,
});
