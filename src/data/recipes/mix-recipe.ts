/**
 * @file The recipe of a mix: a JSON file, or a TypeScript file that exports `defineMix(...)`.
 *
 *     { "sources": [{ "name": "web", "inputs": ["web/"], "weight": 3 }, { "name": "books", "inputs": ["books/"], "weight": 1 }],
 *       "epochs": 4, "order": "quality-last" }
 */
import { z } from "zod";
import { QuernError } from "../../errors.js";
import { checkOptions } from "../../options.js";

const weight = z.number().min(0).max(1e12);

/** Options of mixing, shared by mix and corpus recipes. */
export const mixing = {
  by: z
    .string()
    .min(1)
    .default("source")
    .describe("how to group documents: by source, domain (of the URL), language, or any other field"),
  weights: z
    .record(z.string(), weight)
    .optional()
    .describe("relative weight of each group, measured in bytes of the mix"),
  temperature: z
    .number()
    .min(0.1)
    .max(1000)
    .optional()
    .describe("weight groups by size to the power of 1/T: 1 keeps the proportions, larger values even them out"),
  bytes: z.number().positive().optional().describe("bytes of the mix; default: the bytes of all groups"),
  epochs: z.number().positive().max(100).default(4).describe("maximum repetitions of a document"),
  quality: z.string().min(1).default("quality").describe("field with the quality of a document"),
  power: z
    .number()
    .min(0)
    .max(20)
    .default(0)
    .describe("repeat better documents more often: in proportion to their quality rank in the group to this power"),
  order: z
    .enum(["shuffled", "quality-last"])
    .default("shuffled")
    .describe("shuffled, or in phases of increasing quality, each shuffled"),
  phases: z.int().min(2).max(1000).default(10).describe("number of phases for quality-last"),
  seed: z.int().min(0).default(0).describe("seed of the shuffle"),
};

/** Options for choosing the weights by a regression over proxy runs on sampled mixtures (`quern/scale`). */
export const optimisation = z.strictObject({
  runs: z.int().min(4).max(4096).default(24).describe("number of proxy runs, each on a sampled mixture"),
  steps: z.int().min(1).default(120).describe("training steps per proxy run"),
  tokens: z.int().min(4096).default(2_000_000).describe("maximum tokens of each group available to the proxy runs"),
  layers: z.int().min(1).default(2),
  width: z.int().min(8).default(64),
  sequence: z.int().min(8).default(128),
  batch: z.int().min(1).default(8),
  vocabSize: z.int().min(257).default(2048),
  learningRate: z.number().positive().default(3e-3),
  target: z
    .record(z.string(), weight)
    .optional()
    .describe("weight of each group's held-out loss in the objective; default: equal"),
  concentration: z
    .number()
    .positive()
    .default(1)
    .describe(
      "how close sampled mixtures are to the natural one: they follow a Dirichlet distribution with this value times the number of groups times the natural shares",
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

/** Checks a recipe and fills in its defaults. @throws QuernError for an invalid recipe */
export function checkMix(recipe: unknown): CheckedMixRecipe {
  const checked = checkOptions(schema, recipe, (key) => key, " in the mix");
  const wrong = (what: string) => new QuernError(`${what} in the mix`, { exitCode: 2 });
  if ((checked.sources === undefined) === (checked.inputs === undefined)) {
    throw wrong("give either sources (with names) or inputs (whose documents name their sources)");
  }
  const given = [
    checked.weights !== undefined || checked.sources?.some((each) => each.weight !== undefined) === true,
    checked.temperature !== undefined,
    checked.optimise !== undefined,
  ];
  if (given.filter(Boolean).length > 1)
    throw wrong("weights, temperature and optimise all set the proportions; give only one");
  const { sources } = checked;
  if (sources === undefined) return checked;
  if (checked.by !== "source") throw wrong(`sources already define the groups; remove by (${checked.by})`);
  const names = sources.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw wrong(`the source ${twice} is listed twice`);
  const weighted = sources.filter((each) => each.weight !== undefined);
  if (weighted.length > 0 && checked.weights !== undefined)
    throw wrong("give weights either in weights or in the sources, not both");
  if (weighted.length === 0) return checked;
  if (weighted.length < sources.length) {
    const { name } = sources.find((each) => each.weight === undefined) ?? {};
    throw wrong(`the source ${name} has no weight, but others do; give each source one`);
  }
  return { ...checked, weights: Object.fromEntries(sources.map((each) => [each.name, each.weight ?? 0])) };
}

/** Defines and checks a recipe in a TypeScript file. @throws QuernError for an invalid recipe */
export function defineMix(recipe: MixRecipe): MixRecipe {
  checkMix(recipe);
  return recipe;
}
