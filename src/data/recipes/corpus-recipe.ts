/**
 * @file The recipe of a corpus: a JSON file, or a TypeScript file that exports `defineCorpus(...)`. Stages that the recipe
 * omits are skipped, except cleaning (FineWeb's recipe), deduplication and sharding, which have defaults.
 *
 *     import { defineCorpus } from "quern/data";
 *     export default defineCorpus({
 *       clean: "fineweb",
 *       deduplicate: [{ by: "url" }, { by: "document" }, { by: "near" }],
 *       quality: { model: "quality.bin", keep: 0.6 },
 *       decontaminate: { against: ["gsm8k.jsonl"] },
 *       mix: { weights: { web: 3, books: 1 }, epochs: 4, order: "quality-last" },
 *       shards: { vocabSize: 32000 },
 *     });
 */
import { z } from "zod";
import { QuernError } from "../../errors.js";
import { checkOptions } from "../../options.js";
import { decontaminateOptions } from "../decontaminate/decontaminate-options.js";
import { deduplicateOptions } from "../deduplicate/deduplicate-options.js";
import { mixing } from "./mix-recipe.js";
import type { Recipe } from "./recipe.js";

const { inputs: _, out: __, ...duplicates } = deduplicateOptions.shape;
const { inputs: ___, out: ____, workers: _____, against, ...contamination } = decontaminateOptions.shape;

const decontamination = z
  .strictObject({
    ...contamination,
    /** Evaluation sets, one JSONL file each. */
    against: against.min(0).default([]),
    /** Also removes overlaps with the corpus's own held-out text. */
    heldout: z.boolean().default(false),
  })
  .refine((value) => value.heldout || value.against.length > 0, "needs evaluation sets in against, or heldout: true");

const quality = z
  .strictObject({
    model: z.string().min(1),
    label: z.string().min(1).optional(),
    field: z.string().min(1).default("quality"),
    keep: z.number().gt(0).max(1).optional(),
    least: z.number().min(0).max(1).optional(),
    /** Scores only documents from these sources; the others are kept. */
    sources: z.array(z.string().min(1)).min(1).optional(),
  })
  .refine(
    (value) => value.keep === undefined || value.least === undefined,
    "keep and least both set the threshold; give only one",
  );

const shards = z.strictObject({
  tokenizer: z.string().min(1).optional(),
  vocabSize: z.int().min(257).default(32_000),
  /** Maximum bytes of text to train the tokenizer on. */
  tokenizerBytes: z.number().positive().default(200e6),
  fileTokens: z.int().min(1).optional(),
});

const schema = z.object({
  name: z.string().min(1).optional(),
  clean: z
    .union([
      z.string().min(1),
      z.custom<Recipe>((value) => typeof value === "object" && value !== null && "steps" in value),
    ])
    .default("fineweb"),
  deduplicate: z.array(z.strictObject(duplicates)).prefault([{ by: "url" }, { by: "document" }, { by: "near" }]),
  quality: quality.optional(),
  decontaminate: decontamination.optional(),
  /** Share of the documents to hold out, chosen by a hash of their texts. */
  heldout: z.number().min(0).max(0.5).default(0.01),
  mix: z.strictObject(mixing).prefault({}),
  /** `false`: stop after the mix. */
  shards: z.union([z.literal(false), shards]).prefault({}),
});

export type CorpusRecipe = z.input<typeof schema>;
export type CheckedCorpusRecipe = z.output<typeof schema>;

/** Checks a recipe and fills in its defaults. @throws QuernError for an invalid recipe */
export function checkCorpus(recipe: unknown): CheckedCorpusRecipe {
  const checked = checkOptions(schema, recipe, (key) => key, " in the corpus");
  if (checked.mix.weights !== undefined && checked.mix.temperature !== undefined) {
    throw new QuernError("weights and temperature both set the proportions; give only one in the corpus's mix", {
      exitCode: 2,
    });
  }
  return checked;
}

/** Defines and checks a recipe in a TypeScript file. @throws QuernError for an invalid recipe */
export function defineCorpus(recipe: CorpusRecipe): CorpusRecipe {
  checkCorpus(recipe);
  return recipe;
}
