#!/usr/bin/env node
/** @file The list of verbs. */
import { runProcess } from "./commands/process.js";

await runProcess([
  {
    words: "doctor",
    summary: "show the compiler, instruction set, memory and measured peaks of this machine",
    load: () => import("./commands/doctor.js"),
  },
  {
    words: "cache",
    summary: "show or clear compiled programs, fetched data and models",
    load: () => import("./commands/cache.js"),
  },
  {
    words: "pretrain",
    summary: "train a language model on text, from scratch or from another model",
    load: () => import("./commands/pretrain.js"),
  },
  {
    words: "sft",
    summary: "fine-tune a model on conversations, completions or texts",
    load: () => import("./commands/sft.js"),
  },
  {
    words: "reward",
    summary: "train a reward model on preferences",
    load: () => import("./commands/reward.js"),
  },
  {
    words: "dpo",
    summary: "train a model on preferences: DPO and its variants",
    load: () => import("./commands/dpo.js"),
  },
  {
    words: "ppo",
    summary: "train a policy on rewards of its own completions by PPO",
    load: () => import("./commands/ppo.js"),
  },
  {
    words: "grpo",
    summary: "train a policy on rewards of its own completions: GRPO and its variants",
    load: () => import("./commands/grpo.js"),
  },
  {
    words: "merge",
    summary: "merge a LoRA adapter into its base model",
    load: () => import("./commands/merge.js"),
  },
  {
    words: "generate",
    summary: "continue a text with a trained model",
    load: () => import("./commands/generate.js"),
  },
  {
    words: "chat",
    summary: "chat with a model through its chat template",
    load: () => import("./commands/chat.js"),
  },
  {
    words: "serve",
    summary: "serve models with OpenAI's HTTP interface",
    load: () => import("./commands/serve.js"),
  },
  {
    words: "quantise",
    summary: "quantise a model to a GGUF file, and report what that changes",
    load: () => import("./commands/quantise.js"),
  },
  {
    words: "perplexity",
    summary: "measure how well a model predicts text: nats per token, bits per byte",
    load: () => import("./commands/perplexity.js"),
  },
  {
    words: "eval",
    summary: "evaluate a model on lm-eval's tasks: prompts, metrics and standard errors as there",
    load: () => import("./commands/eval.js"),
  },
  {
    words: "eval list",
    summary: "list the tasks of lm-eval task files, and which of them can run",
    load: () => import("./commands/eval-list.js"),
  },
  {
    words: "eval describe",
    summary: "describe a task: its keys, where each was written, what stops it",
    load: () => import("./commands/eval-describe.js"),
  },
  {
    words: "eval check",
    summary: "check lm-eval task files: unknown keys, Python functions, templates, data",
    load: () => import("./commands/eval-check.js"),
  },
  {
    words: "eval report",
    summary: "make the page of a finished evaluation, and test what changed against another",
    load: () => import("./commands/eval-report.js"),
  },
  {
    words: "eval summary",
    summary: "summarise results: tasks beside chance, BLiMP and MMLU by part, ChatCORE",
    load: () => import("./commands/eval-summary.js"),
  },
  {
    words: "eval core",
    summary: "average tasks as DCLM does: CORE and Extended, centred by chance",
    load: () => import("./commands/eval-core.js"),
  },
  {
    words: "judge",
    summary: "let a judge compare two sets of answers, or measure it against human labels",
    load: () => import("./commands/judge.js"),
  },
  {
    words: "judge rates",
    summary: "win rates from stored judgements, also length-controlled",
    load: () => import("./commands/judge-rates.js"),
  },
  {
    words: "arena rank",
    summary: "rank models by votes: Bradley–Terry or Elo, with intervals",
    load: () => import("./commands/arena-rank.js"),
  },
  {
    words: "arena simulate",
    summary: "let a judge vote between the answers of several models",
    load: () => import("./commands/arena-simulate.js"),
  },
  {
    words: "arena serve",
    summary: "serve a page where people vote between two unnamed models",
    load: () => import("./commands/arena-serve.js"),
  },
  {
    words: "export",
    summary: "convert a model to GGUF, for llama.cpp and Ollama",
    load: () => import("./commands/export.js"),
  },
  {
    words: "push",
    summary: "upload a model to the Hugging Face Hub, with a model card",
    load: () => import("./commands/push.js"),
  },
  {
    words: "import",
    summary: "convert a GGUF file to a Hugging Face folder",
    load: () => import("./commands/import.js"),
  },
  {
    words: "data crawl",
    summary: "crawl web sites into WARC archives",
    load: () => import("./commands/data-crawl.js"),
  },
  {
    words: "data clean",
    summary: "clean pages and documents by a recipe, and report what each step removed",
    load: () => import("./commands/data-clean.js"),
  },
  {
    words: "data task",
    summary: "run the tasks of one array element, as cluster jobs do",
    load: () => import("./commands/data-task.js"),
  },
  {
    words: "data check",
    summary: "show what a recipe would do with each document of a file",
    load: () => import("./commands/data-check.js"),
  },
  {
    words: "data extract",
    summary: "extract the text of web pages as documents",
    load: () => import("./commands/data-extract.js"),
  },
  {
    words: "bench",
    summary: "measure training, decoding and kernels on this machine",
    load: () => import("./commands/bench.js"),
  },
  {
    words: "data deduplicate",
    summary: "remove duplicates and near-duplicates, repeated lines and paragraphs",
    load: () => import("./commands/data-deduplicate.js"),
  },
  {
    words: "data decontaminate",
    summary: "remove text that overlaps evaluation sets, by n-grams",
    load: () => import("./commands/data-decontaminate.js"),
  },
  {
    words: "data mix",
    summary: "mix sources by weights, temperature or a search, in training order",
    load: () => import("./commands/data-mix.js"),
  },
  {
    words: "data corpus",
    summary: "turn documents into token shards by a recipe, with a report",
    load: () => import("./commands/data-corpus.js"),
  },
  {
    words: "data where",
    summary: "find the document, archive and byte that a token comes from",
    load: () => import("./commands/data-where.js"),
  },
  {
    words: "data classifier train",
    summary: "train a text classifier in fastText's format",
    load: () => import("./commands/data-classifier-train.js"),
  },
  {
    words: "data classifier fit",
    summary: "train, calibrate and test a classifier for quality, language, topic, spam or adult pages",
    load: () => import("./commands/data-classifier-fit.js"),
  },
  {
    words: "data classifier test",
    summary: "measure precision and recall of a classifier",
    load: () => import("./commands/data-classifier-test.js"),
  },
  {
    words: "data classifier predict",
    summary: "label the lines of a file",
    load: () => import("./commands/data-classifier-predict.js"),
  },
  {
    words: "tokenizer train",
    summary: "train a byte-level BPE tokenizer on text",
    load: () => import("./commands/tokenizer-train.js"),
  },
  {
    words: "tokenizer encode",
    summary: "encode text into token shards, or standard input into ids",
    load: () => import("./commands/tokenizer-encode.js"),
  },
  {
    words: "tokenizer decode",
    summary: "decode token ids into text",
    load: () => import("./commands/tokenizer-decode.js"),
  },
  {
    words: "tokenizer show",
    summary: "show the tokens of a text with their ids and bytes",
    load: () => import("./commands/tokenizer-show.js"),
  },
  {
    words: "tokenizer compare",
    summary: "compare tokenizers: bytes per token, and the cost of typos",
    load: () => import("./commands/tokenizer-compare.js"),
  },
  {
    words: "scale sweep",
    summary: "train a grid of small runs for a scaling law",
    load: () => import("./commands/scale-sweep.js"),
  },
  {
    words: "scale fit",
    summary: "fit a scaling law to runs: best size and tokens for a budget, with intervals",
    load: () => import("./commands/scale-fit.js"),
  },
  {
    words: "scale plan",
    summary: "plan training: FLOPs, time, cost, CO2, memory per device, cost of serving",
    load: () => import("./commands/scale-plan.js"),
  },
  {
    words: "scale predict",
    summary: "predict a run from a scaling law: size, tokens, loss with its interval, plan",
    load: () => import("./commands/scale-predict.js"),
  },
]);
