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
    summary: "show or clear compiled programs and fetched data packages",
    load: () => import("./commands/cache.js"),
  },
  {
    words: "pretrain",
    summary: "train a language model on text, from nothing",
    load: () => import("./commands/pretrain.js"),
  },
  {
    words: "generate",
    summary: "continue a text with a trained model",
    load: () => import("./commands/generate.js"),
  },
  {
    words: "chat",
    summary: "talk with a model through its chat template",
    load: () => import("./commands/chat.js"),
  },
  {
    words: "perplexity",
    summary: "say how well a model predicts texts: nats a token, bits per byte",
    load: () => import("./commands/perplexity.js"),
  },
  {
    words: "import",
    summary: "write a GGUF file as a Hugging Face folder",
    load: () => import("./commands/import.js"),
  },
  {
    words: "data crawl",
    summary: "crawl web sites into WARC archives",
    load: () => import("./commands/data-crawl.js"),
  },
  {
    words: "data clean",
    summary: "turn pages and documents into clean text by a recipe, with a funnel that adds up",
    load: () => import("./commands/data-clean.js"),
  },
  {
    words: "data task",
    summary: "do one array element's tasks: what jobs on a cluster call",
    load: () => import("./commands/data-task.js"),
  },
  {
    words: "data check",
    summary: "ask a recipe about each document of a file",
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
    summary: "take evaluation sets out of training text by n-grams",
    load: () => import("./commands/data-decontaminate.js"),
  },
  {
    words: "data mix",
    summary: "mix sources by weights, temperature or a search, in the order of training",
    load: () => import("./commands/data-mix.js"),
  },
  {
    words: "data corpus",
    summary: "go from documents to token shards by a recipe, with a report",
    load: () => import("./commands/data-corpus.js"),
  },
  {
    words: "data where",
    summary: "say which document, archive and byte a token of the shards comes from",
    load: () => import("./commands/data-where.js"),
  },
  {
    words: "data classifier train",
    summary: "train a text classifier in fastText's format",
    load: () => import("./commands/data-classifier-train.js"),
  },
  {
    words: "data classifier fit",
    summary: "fit, calibrate and test a classifier of quality, language, topic, spam or adult pages",
    load: () => import("./commands/data-classifier-fit.js"),
  },
  {
    words: "data classifier test",
    summary: "say how often a classifier is right",
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
    summary: "turn text into token shards, or standard input into ids",
    load: () => import("./commands/tokenizer-encode.js"),
  },
  {
    words: "tokenizer decode",
    summary: "turn ids into text",
    load: () => import("./commands/tokenizer-decode.js"),
  },
  {
    words: "tokenizer show",
    summary: "show a text's tokens with their ids and bytes",
    load: () => import("./commands/tokenizer-show.js"),
  },
  {
    words: "tokenizer compare",
    summary: "compare tokenizers: bytes per token, and what mistyped letters cost",
    load: () => import("./commands/tokenizer-compare.js"),
  },
]);
