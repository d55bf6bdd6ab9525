/**
 * @file Recipes as JSON data, for recipes that programs write, or that other threads and machines read:
 *
 *     { "name": "web", "steps": ["normalize", { "length": { "minWords": 20 } }] }
 */
import { QuernError } from "../../errors.js";
import { nearest, show } from "../../options.js";
import { quoted } from "../../printable.js";
import * as parts from "./recipe-steps.js";

/** Steps by name. `custom` is missing because it needs a function. */
const STEPS: Readonly<Record<string, (options: never) => parts.Step>> = {
  adult: parts.adult,
  "at-least": parts.atLeast,
  "bad-words": parts.badWords,
  "c4-paragraphs": parts.c4Paragraphs,
  "c4-quality": parts.c4Quality,
  decontaminate: parts.decontamination,
  "fineweb-quality": parts.finewebQuality,
  "gopher-quality": parts.gopherQuality,
  "gopher-repetition": parts.gopherRepetition,
  language: parts.language,
  length: parts.length,
  normalize: parts.normalize,
  normalise: parts.normalize, // the spelling of earlier recipes and of the step in reports
  "personal-data": parts.personalData,
  quality: parts.quality,
  "refinedweb-lines": parts.refinedWebLines,
  toxicity: parts.toxicity,
  url: parts.url,
};

/** Builds the recipe in a file's data. @throws QuernError for an invalid recipe */
export function parseRecipe(value: unknown, path: string): parts.Recipe {
  const wrong = (what: string) => new QuernError(`the recipe ${path} is invalid: ${what}`, { exitCode: 2 });
  if (typeof value !== "object" || value === null || !("steps" in value) || !Array.isArray(value.steps)) {
    throw wrong("it must be an object with a list of steps");
  }
  const steps = value.steps.map((step: unknown) => stepOf(step, wrong));
  try {
    return parts.defineRecipe({ ...value, steps });
  } catch (error) {
    if (error instanceof QuernError) throw wrong(error.message.replace(/^the recipe is invalid: /, ""));
    throw error;
  }
}

function stepOf(value: unknown, wrong: (what: string) => QuernError): parts.Step {
  const isName = typeof value === "string";
  const [name, options] = isName ? [value, undefined] : (Object.entries(value ?? {})[0] ?? []);
  if (typeof name !== "string" || (!isName && Object.keys(value as object).length !== 1)) {
    throw wrong(`a step must be a name or { name: options }, not ${show(value)}`);
  }
  const make = Object.hasOwn(STEPS, name) ? STEPS[name] : undefined;
  if (make === undefined) {
    const near = nearest(name, Object.keys(STEPS));
    throw wrong(`there is no step ${quoted(name)}${near === undefined ? "" : `; did you mean ${near}?`}`);
  }
  try {
    return make(options as never);
  } catch (error) {
    if (error instanceof QuernError) throw wrong(error.message);
    throw error;
  }
}
