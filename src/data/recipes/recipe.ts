/**
 * @file A cleaning recipe: an ordered list of steps that documents pass through, usually in a user's TypeScript file.
 *
 *     import { defineRecipe, language, gopherQuality, custom, personalData } from "quern/data";
 *     export default defineRecipe({
 *       steps: [
 *         language({ keep: ["de"], minScore: 0.6 }),
 *         gopherQuality({ thresholds: "fineweb-2" }),
 *         custom("no-recipes", ({ text }) => !text.includes("Zutaten") || "a recipe for a cake"),
 *         personalData(),
 *       ],
 *     });
 */
import { z } from "zod";
import { QuernError } from "../../errors.js";
import { nearest, show } from "../../options.js";
import { quoted } from "../../printable.js";
import { userPlace } from "../../user-place.js";
import type { Step } from "../filters/filter.js";
import type { Splitter } from "../text/passage.js";

export interface Recipe {
  readonly name?: string;
  /** How pages are turned into text before the first step. */
  readonly extract?: { readonly format?: "text" | "markdown" };
  /** Language of documents whose input does not specify one, until a step detects it. */
  readonly language?: string;
  readonly steps: readonly Step[];
  /** Replaces Quern's splitters. These functions must depend only on the text. */
  readonly words?: Splitter["words"];
  readonly sentences?: Splitter["sentences"];
}

const isFunction = (value: unknown) => typeof value === "function";
const stepSchema = z.custom<Step>(
  (value) =>
    typeof value === "object" &&
    value !== null &&
    typeof (value as Step).name === "string" &&
    typeof (value as Step).judge === "function" &&
    typeof (value as Step).settings === "object" &&
    ["undefined", "function"].includes(typeof (value as Step).prepare),
  "is not a step; use a step of quern/data such as gopherQuality(), language() or custom(name, function)",
);
const schema = z.strictObject({
  name: z.string().min(1).optional(),
  extract: z.strictObject({ format: z.enum(["text", "markdown"]).optional() }).optional(),
  language: z.string().min(2).optional(),
  steps: z.array(stepSchema),
  words: z.custom<Splitter["words"]>(isFunction, "must be a function").optional(),
  sentences: z.custom<Splitter["sentences"]>(isFunction, "must be a function").optional(),
});

/** Names that the funnel uses for the work before the first step. */
const RESERVED = ["read", "sample", "extract"];

/** Checks a recipe and returns it. @throws QuernError that names each invalid part */
export function defineRecipe(recipe: Recipe): Recipe {
  const result = schema.safeParse(recipe);
  if (!result.success) {
    const issues = result.error.issues.map((issue) => {
      if (issue.code !== "unrecognized_keys") return `${place(issue.path)}: ${issue.message}`;
      const known = Object.keys(issue.path.length === 0 ? schema.shape : schema.shape.extract.unwrap().shape);
      const near = nearest(issue.keys[0], known);
      return `unknown option ${quoted(issue.keys[0])}${near === undefined ? "" : `; did you mean ${near}?`}`;
    });
    throw new QuernError(`the recipe is invalid: ${issues.join("; ")}`, { exitCode: 2 });
  }
  const names = new Set<string>();
  for (const { name } of recipe.steps) {
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) {
      throw new QuernError(
        `the recipe's step "${quoted(name)}" must have a name of lower-case letters, digits and hyphens`,
        {
          exitCode: 2,
        },
      );
    }
    if (RESERVED.includes(name) || names.has(name)) {
      const why = names.has(name) ? "occurs twice" : "has a name that Quern reserves";
      throw new QuernError(`the recipe's step "${name}" ${why}; give it another name with named()`, { exitCode: 2 });
    }
    names.add(name);
  }
  return recipe;
}

const place = (path: readonly PropertyKey[]) => (path.length === 0 ? "it" : path.map(String).join("."));

/** Returns the recipe's splitters, wrapped so that their errors are reported as errors of the recipe. */
export function splitterOf({ words, sentences }: Recipe): Partial<Splitter> {
  return { words: guarded("words", words), sentences: guarded("sentences", sentences) };
}

function guarded<A extends readonly unknown[], R>(name: string, split: ((...given: A) => R) | undefined) {
  if (split === undefined) return undefined;
  return (...given: A): R => {
    let result: R;
    try {
      result = split(...given);
    } catch (error) {
      const place = userPlace(error);
      const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
      throw new QuernError(
        `${name}() of the recipe failed: ${quoted(reason)}${place === undefined ? "" : ` (${place})`}`,
        {
          cause: error,
        },
      );
    }
    if (Array.isArray(result)) return result;
    throw new QuernError(`${name}() of the recipe returned ${show(result)}; it must return an array`);
  };
}

/** Returns a step under another name, for a recipe that uses it twice. */
export function named(name: string, step: Step): Step {
  return {
    name,
    settings: step.settings,
    expectsChange: step.expectsChange,
    prepare: step.prepare === undefined ? undefined : () => step.prepare?.() ?? Promise.resolve(),
    judge: (document) => step.judge(document),
  };
}
