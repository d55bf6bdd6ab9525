/** @file Steps that judge by a classifier: one writes the score beside the document, the other asks for a least one. */
import { z } from "zod";
import { drop, KEEP, type Step } from "../filters/filter.js";
import { stepOptions, word } from "../filters/step-options.js";
import { Scorer } from "./score.js";

export interface QualityOptions {
  /** A model in fastText's format; `quality.json` beside `quality.bin` says how to use it. */
  readonly model: string;
  /** The label that is good, where the model's card does not say. */
  readonly label?: string;
  /** The field that the score is written to. Default `quality`. */
  readonly field?: string;
  /** Documents with a lower score are dropped. */
  readonly least?: number;
  /** Only documents of these sources are judged. */
  readonly sources?: readonly string[];
}

const number = z.number();
/** Scores are kept to so many digits. */
const DIGITS = 1e6;

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
      if (scorer === undefined) throw new Error("the step is not prepared");
      const score = Math.round(scorer.score(document.passage.text) * DIGITS) / DIGITS;
      document.fields = { ...document.fields, [field]: score };
      return least !== undefined && score < least ? drop("low_quality") : KEEP;
    },
  };
}

export interface AtLeastOptions {
  readonly field: string;
  readonly least: number;
  /** What becomes of documents whose line has no such number. Default `drop`. */
  readonly missing?: "keep" | "drop";
}

/** Drops documents in whose line a field is lower. */
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
