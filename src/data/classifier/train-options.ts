/** @file The options of training a classifier, shared by the library and the command line; named as fastText names them. */
import { z } from "zod";

export const trainClassifierOptions = z.object({
  dim: z.int().min(1).max(4096).default(100).describe("width of the vectors").meta({ value: "N" }),
  epoch: z.int().min(1).default(5).describe("passes over the text").meta({ value: "N" }),
  lr: z.number().positive().default(0.1).describe("learning rate at the start; it falls to 0").meta({ value: "R" }),
  wordNgrams: z
    .int()
    .min(1)
    .max(20)
    .default(1)
    .describe("words in the longest n-gram of words")
    .meta({ value: "N", flag: "wordNgrams" }),
  minCount: z
    .int()
    .min(1)
    .default(1)
    .describe("times that a word must be seen to have a vector")
    .meta({ value: "N", flag: "minCount" }),
  minn: z
    .int()
    .min(0)
    .max(50)
    .default(0)
    .describe("characters in the shortest n-gram of characters; 0: none")
    .meta({ value: "N" }),
  maxn: z
    .int()
    .min(0)
    .max(50)
    .default(0)
    .describe("characters in the longest n-gram of characters; 0: none")
    .meta({ value: "N" }),
  bucket: z
    .int()
    .min(0)
    .max(2 ** 30)
    .default(2_000_000)
    .describe("vectors for hashed n-grams")
    .meta({ value: "N" }),
  loss: z.enum(["softmax", "hs"]).default("softmax").describe("softmax, or its hierarchical form for many labels"),
  threads: z
    .int()
    .min(1)
    .max(256)
    .default(1)
    .describe("threads; with more than one they learn into one memory without locks, and no two runs are equal")
    .meta({ value: "N" }),
  seed: z.int().min(0).default(0).describe("seed of the first vectors").meta({ value: "N" }),
});
