/** @file The options for training a classifier, shared by the library and the command line. Names are fastText's. */
import { z } from "zod";

export const trainClassifierOptions = z.object({
  dim: z.int().min(1).max(4096).default(100).describe("vector size").meta({ value: "N" }),
  epoch: z.int().min(1).default(5).describe("training passes over the text").meta({ value: "N" }),
  lr: z
    .number()
    .positive()
    .default(0.1)
    .describe("initial learning rate; it decays linearly to 0")
    .meta({ value: "R" }),
  wordNgrams: z
    .int()
    .min(1)
    .max(20)
    .default(1)
    .describe("maximum length of word n-grams")
    .meta({ value: "N", flag: "wordNgrams" }),
  minCount: z
    .int()
    .min(1)
    .default(1)
    .describe("minimum number of occurrences for a word to get a vector")
    .meta({ value: "N", flag: "minCount" }),
  minn: z.int().min(0).max(50).default(0).describe("minimum length of character n-grams; 0: none").meta({ value: "N" }),
  maxn: z.int().min(0).max(50).default(0).describe("maximum length of character n-grams; 0: none").meta({ value: "N" }),
  bucket: z
    .int()
    .min(0)
    .max(2 ** 30)
    .default(2_000_000)
    .describe("number of hash buckets (vectors) for n-grams")
    .meta({ value: "N" }),
  loss: z.enum(["softmax", "hs"]).default("softmax").describe("softmax, or hierarchical softmax (hs) for many labels"),
  threads: z
    .int()
    .min(1)
    .max(256)
    .default(1)
    .describe("threads; more than one share the weights without locks, so runs are not reproducible")
    .meta({ value: "N" }),
  seed: z.int().min(0).default(0).describe("seed of the initial vectors").meta({ value: "N" }),
});
