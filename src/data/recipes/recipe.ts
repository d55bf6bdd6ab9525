/**
 * @file What a recipe is: an ordered list of steps that documents go through, in a TypeScript file of the user's.
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
import type { Step } from "../filters/filter.js";
import type { Splitter } from "../text/passage.js";
import { userPlace } from "./user-place.js";

export interface Recipe {
  readonly name?: string;
  /** How pages become text, before the first step. */
  readonly extract?: { readonly format?: "text" | "markdown" };
  /** The language of documents whose input says none, until a step finds it. */
  readonly language?: string;
  readonly steps: readonly Step[];
  /** Other ways to split a text than Quern's own. Must depend on nothing but the text. */
  readonly words?: Splitter["words"];
  readonly sentences?: Splitter["sentences"];
}

const isFunction = (value: unknown) => typeof value === "function";
const stepSchema = z.custom<Step>(
  (value) =>
    typeof value === "object" &&
    value !== null &&
    typeof (value as Step).name === "string" &&
    typeof (value as Step).apply === "function" &&
    typeof (value as Step).settings === "object" &&
    ["undefined", "function"].includes(typeof (value as Step).prepare),
  "is no step; call one of quern/data: gopherQuality(), language(), custom(name, function) …",
);
const schema = z.strictObject({
  name: z.string().min(1).optional(),
  extract: z.strictObject({ format: z.enum(["text", "markdown"]).optional() }).optional(),
  language: z.string().min(2).optional(),
  steps: z.array(stepSchema),
  words: z.custom<Splitter["words"]>(isFunction, "must be a function").optional(),
  sentences: z.custom<Splitter["sentences"]>(isFunction, "must be a function").optional(),
});

/** Names that the funnel needs for what comes before the steps. */
const RESERVED = ["read", "sample", "extract"];

/** Checks a recipe and gives it back. Throws a `QuernError` that says what is wrong with which part. */
export function defineRecipe(recipe: Recipe): Recipe {
  const result = schema.safeParse(recipe);
  if (!result.success) {
    const issues = result.error.issues.map((issue) => {
      if (issue.code !== "unrecognized_keys") return `${place(issue.path)}: ${issue.message}`;
      const known = Object.keys(issue.path.length === 0 ? schema.shape : schema.shape.extract.unwrap().shape);
      const near = nearest(issue.keys[0], known);
      return `unknown option ${quoted(issue.keys[0])}${near === undefined ? "" : `; did you mean ${near}?`}`;
    });
    throw new QuernError(`the recipe is wrong: ${issues.join("; ")}`, { exitCode: 2 });
  }
  const names = new Set<string>();
  for (const { name } of recipe.steps) {
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) {
      throw new QuernError(`the recipe's step "${quoted(name)}" must be named by small letters, digits and hyphens`, {
        exitCode: 2,
      });
    }
    if (RESERVED.includes(name) || names.has(name)) {
      const why = names.has(name) ? "comes twice" : "is what Quern calls a step of its own";
      throw new QuernError(`the recipe's step "${name}" ${why}; give it another name with named()`, { exitCode: 2 });
    }
    names.add(name);
  }
  return recipe;
}

const place = (path: readonly PropertyKey[]) => (path.length === 0 ? "it" : path.map(String).join("."));

/** The recipe's own splitters. An error that one throws is reported as the recipe's fault. */
export function splitterOf({ words, sentences }: Recipe): Partial<Splitter> {
  return { words: guarded("words", words), sentences: guarded("sentences", sentences) };
}

function guarded<A extends readonly unknown[], R>(name: string, split: ((...given: A) => R) | undefined) {
  if (split === undefined) return undefined;
  return (...given: A): R => {
    let answer: R;
    try {
      answer = split(...given);
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
    if (Array.isArray(answer)) return answer;
    throw new QuernError(`${name}() of the recipe answered ${show(answer)}; it must answer a list`);
  };
}

/** The same step under another name, for a recipe that has it twice. */
export function named(name: string, step: Step): Step {
  return {
    name,
    settings: step.settings,
    expectsChange: step.expectsChange,
    prepare: step.prepare === undefined ? undefined : () => step.prepare?.() ?? Promise.resolve(),
    apply: (document) => step.apply(document),
  };
}
