/** @file `--vary`: settings that a sweep tries in every run. */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";

/** Settings whose values are numbers. */
const NUMBERS = ["lr", "batch", "seed", "tokens"] as const;
type Numbers = (typeof NUMBERS)[number];
export const VARIED = [...NUMBERS, "mix"] as const;

/** Shares of the training text by source; null for the text as it is. */
export interface Mixture {
  /** `natural`, or as given: `wordnet:3+moby-dick:1`. */
  readonly text: string;
  /** Sum to 1; sources that are not named have none. */
  readonly shares: Readonly<Record<string, number>> | null;
}

export type Varied = Partial<Readonly<Record<Numbers, readonly number[]>>> & { readonly mix?: readonly Mixture[] };

const wrong = (message: string) => new QuernError(message, { exitCode: 2 });

/**
 * Parses `lr=1e-3,2e-3` and `mix=natural,wordnet:3+moby-dick:1`.
 * @throws QuernError (exit code 2) for another form, an unknown name, or a value out of range
 */
export function parseVaried(given: readonly string[]): Varied {
  const varied: Partial<Record<Numbers, readonly number[]>> & { mix?: readonly Mixture[] } = {};
  for (const part of given) {
    const at = part.indexOf("=");
    const [name, list] = at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
    const key = VARIED.find((each) => each === name.trim());
    if (key === undefined || list.trim() === "") {
      throw wrong(
        `--vary: ${quoted(part)} is not NAME=VALUE,VALUE with a name among ${VARIED.join(", ")}; give for example lr=1e-3,2e-3`,
      );
    }
    if (varied[key] !== undefined) throw wrong(`--vary: ${key} is given twice; give all its values at once`);
    const texts = list.split(",").map((each) => each.trim());
    if (key === "mix") varied.mix = texts.map(parseMixture);
    else varied[key] = [...new Set(texts.map((text) => parseNumber(key, text)))];
  }
  return varied;
}

function parseNumber(key: Numbers, text: string): number {
  const value = text === "" ? Number.NaN : Number(text);
  const isRight =
    key === "lr" ? value > 0 && value <= 10 : Number.isSafeInteger(value) && value >= (key === "seed" ? 0 : 1);
  if (isRight) return value;
  const what = key === "lr" ? "a rate above 0" : `an integer${key === "seed" ? "" : " above 0"}`;
  throw wrong(`--vary ${key}: ${quoted(text)} is not ${what}`);
}

const NATURAL = "natural";

function parseMixture(text: string): Mixture {
  if (text === NATURAL) return { text, shares: null };
  const weights = text.split("+").map((part): readonly [string, number] => {
    const at = part.lastIndexOf(":");
    const [source, weight] = [part.slice(0, at), part.slice(at + 1)];
    const value = weight.trim() === "" ? Number.NaN : Number(weight);
    if (at < 1 || !(value > 0) || !Number.isFinite(value)) {
      throw wrong(
        `--vary mix: ${quoted(text)} is neither "${NATURAL}" nor SOURCE:WEIGHT+SOURCE:WEIGHT with weights above 0, such as books:2+web:1`,
      );
    }
    return [source.trim(), value];
  });
  const twice = weights.find(([source], i) => weights.findIndex(([each]) => each === source) !== i);
  if (twice !== undefined) throw wrong(`--vary mix: ${quoted(text)} names ${quoted(twice[0])} twice`);
  const sum = weights.reduce((total, [, weight]) => total + weight, 0);
  return { text, shares: Object.fromEntries(weights.map(([source, weight]) => [source, weight / sum])) };
}
