/** @file Cleaning steps on quality: one adds a classifier's score to a document, the other requires a minimum in a field. */
import { z } from "zod";
import { drop, KEEP, type Step } from "../filters/filter.js";
import { stepOptions, word } from "../filters/step-options.js";
import { Scorer } from "./score.js";

export interface QualityOptions {
  /** A model in fastText's format; its card, such as `quality.json` for `quality.bin`, defines the score. */
  readonly model: string;
  /** The label whose probability is the score. Default: the one in the model's card. */
  readonly label?: string;
  /** The field that the score is written to. Default `quality`. */
  readonly field?: string;
  /** Documents with a lower score are dropped. */
  readonly least?: number;
  /** Scores only documents from these sources; the others are kept. */
  readonly sources?: readonly string[];
}

const number = z.number();
/** Scores are rounded to 6 decimal places. */
const DIGITS = 1e6;

/** Creates the step that scores documents. */
export function quality(options: QualityOptions): Step {
  const given = stepOptions(
    "quality",
    options,
    { label: "", field: "", sources: [] },
    { model: word, least: number.optional() },
  );
  const { model, label, field = "quality", least, sources } = given;
  let scorer: Scorer | undefined;
  return {
    name: "quality",
    settings: { model: { file: model }, label, field, least, sources },
    expectsChange: false,
    async prepare() {
      scorer ??= await Scorer.open(model, label);
    },
    judge(document) {
      if (sources?.includes(document.source) === false) return KEEP;
      if (scorer === undefined) throw new Error("the step `quality` was used before prepare()");
      const score = Math.round(scorer.score(document.passage.text) * DIGITS) / DIGITS;
      document.fields = { ...document.fields, [field]: score };
      return least !== undefined && score < least ? drop("low_quality") : KEEP;
    },
  };
}

export interface AtLeastOptions {
  readonly field: string;
  readonly least: number;
  /** What to do with documents that have no number in this field. Default `drop`. */
  readonly missing?: "keep" | "drop";
}

/** Creates the step that drops documents in which a field is below `least`. */
export function atLeast(options: AtLeastOptions): Step {
  const missingIs = z.enum(["keep", "drop"]).optional();
  const given = stepOptions("at-least", options, {}, { field: word, least: number, missing: missingIs });
  const { field, least, missing = "drop" } = given;
  return {
    name: "at-least",
    settings: { field, least, missing },
    expectsChange: false,
    judge({ fields }) {
      const value = fields?.[field];
      if (typeof value !== "number") return missing === "keep" ? KEEP : drop(`no_${field}`);
      return value < least ? drop(`low_${field}`) : KEEP;
    },
  };
}
