/**
 * @file What a mix is made by: a JSON file, or a TypeScript file that exports `defineMix(...)`.
 *
 *     { "sources": [{ "name": "web", "inputs": ["web/"], "weight": 3 }, { "name": "books", "inputs": ["books/"], "weight": 1 }],
 *       "epochs": 4, "order": "quality-last" }
 */
import { z } from "zod";
import { QuernError } from "../../errors.js";
import { checkOptions } from "../../options.js";

const weight = z.number().min(0).max(1e12);

/** How documents are mixed, wherever they come from. */
export const mixing = {
  by: z
    .string()
    .min(1)
    .default("source")
    .describe("what parts documents into groups: source, domain (of the address), language, or a field of their lines"),
  weights: z
    .record(z.string(), weight)
    .optional()
    .describe("weight of each group, in bytes of the mix; they need not add up to 1"),
  temperature: z
    .number()
    .min(0.1)
    .max(1000)
    .optional()
    .describe("weights by size to the power of 1/T: 1 leaves the proportions, more evens them out"),
  bytes: z.number().positive().optional().describe("bytes of the mix; by default as many as the groups have"),
  epochs: z.number().positive().max(100).default(4).describe("times that a document is seen at most"),
  quality: z.string().min(1).default("quality").describe("the field that says how good a document is"),
  power: z
    .number()
    .min(0)
    .max(20)
    .default(0)
    .describe("better documents are seen more often: in proportion to their place in the group to this power"),
  order: z
    .enum(["shuffled", "quality-last"])
    .default("shuffled")
    .describe("all shuffled, or in phases of rising quality, shuffled each"),
  phases: z.int().min(2).max(1000).default(10).describe("phases of quality-last"),
  seed: z.int().min(0).default(0).describe("seed of the order"),
};

/** Proxy runs over sampled mixtures and a regression choose the weights (`quern/scale`). */
export const optimisation = z.strictObject({
  runs: z.int().min(4).max(4096).default(24).describe("sampled mixtures that a small model is trained on"),
  steps: z.int().min(1).default(120).describe("steps of each proxy run"),
  tokens: z.int().min(4096).default(2_000_000).describe("tokens of each group that the runs draw from, at most"),
  layers: z.int().min(1).default(2),
  width: z.int().min(8).default(64),
  sequence: z.int().min(8).default(128),
  batch: z.int().min(1).default(8),
  vocabSize: z.int().min(257).default(2048),
  learningRate: z.number().positive().default(3e-3),
  target: z
    .record(z.string(), weight)
    .optional()
    .describe("weight of each group's held-out loss in what is made small; by default all alike"),
  concentration: z
    .number()
    .positive()
    .default(1)
    .describe(
      "how near the sampled mixtures lie to the natural one: Dirichlet of that many times its shares and the groups",
    ),
});

const schema = z.object({
  name: z.string().min(1).optional(),
  sources: z
    .array(z.strictObject({ name: z.string().min(1), inputs: z.array(z.string()).min(1), weight: weight.optional() }))
    .min(1)
    .optional(),
  inputs: z.array(z.string()).min(1).optional(),
  ...mixing,
  optimise: optimisation.optional(),
});

export type MixRecipe = z.input<typeof schema>;
export type CheckedMixRecipe = z.output<typeof schema>;
export type MixtureSearchOptions = z.output<typeof optimisation>;

/** Checks a recipe and fills in its defaults. Throws a `QuernError` that says what is wrong. */
export function checkMix(recipe: unknown): CheckedMixRecipe {
  const checked = checkOptions(schema, recipe, (key) => key, " in the mix");
  const wrong = (what: string) => new QuernError(`${what} in the mix`, { exitCode: 2 });
  if ((checked.sources === undefined) === (checked.inputs === undefined)) {
    throw wrong("give either sources, with names, or inputs, whose documents name their own,");
  }
  const given = [
    checked.weights !== undefined || checked.sources?.some((each) => each.weight !== undefined) === true,
    checked.temperature !== undefined,
    checked.optimise !== undefined,
  ];
  if (given.filter(Boolean).length > 1)
    throw wrong("weights, temperature and optimise are three ways to choose one thing; give one");
  const { sources } = checked;
  if (sources === undefined) return checked;
  if (checked.by !== "source") throw wrong(`sources are groups already; leave out by (${checked.by})`);
  const names = sources.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw wrong(`the source ${twice} comes twice`);
  const weighted = sources.filter((each) => each.weight !== undefined);
  if (weighted.length > 0 && checked.weights !== undefined)
    throw wrong("weights stand in weights or in the sources, not in both,");
  if (weighted.length === 0) return checked;
  if (weighted.length < sources.length) {
    const { name } = sources.find((each) => each.weight === undefined) ?? {};
    throw wrong(`the source ${name} has no weight and others have one`);
  }
  return { ...checked, weights: Object.fromEntries(sources.map((each) => [each.name, each.weight ?? 0])) };
}

/** For recipes in TypeScript. Throws a `QuernError` that says what is wrong. */
export function defineMix(recipe: MixRecipe): MixRecipe {
  checkMix(recipe);
  return recipe;
}
