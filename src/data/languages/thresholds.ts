/**
 * @file FineWeb-2's thresholds and stop words for 43 languages. The data is in fineweb-2.json, with the field names of
 * FineWeb-2's configuration files; its licence is beside it.
 */
import { readFileSync } from "node:fs";
import { QuernError } from "../../errors.js";

type Shares = readonly (readonly [n: number, share: number])[];

export interface LanguageThresholds {
  readonly language_score: number;
  readonly dup_line_frac: number;
  readonly dup_n_grams: Shares;
  readonly top_n_grams: Shares;
  readonly line_punct_thr: number;
  readonly new_line_ratio: number;
  readonly min_avg_word_length: number;
  readonly max_avg_word_length: number;
  readonly max_non_alpha_words_ratio: number;
  readonly stopwords: readonly string[];
}

let table: ReadonlyMap<string, LanguageThresholds> | undefined;

function load(): ReadonlyMap<string, LanguageThresholds> {
  const file = new URL("./fineweb-2.json", import.meta.url);
  return new Map(Object.entries(JSON.parse(readFileSync(file, "utf8")) as Record<string, LanguageThresholds>));
}

/** Returns the languages in the table by name, such as `deu_Latn`. */
export function thresholdLanguages(): readonly string[] {
  table ??= load();
  return [...table.keys()];
}

/** Maps two-letter language codes to names in the table: three letters and a script. */
const SHORT: Readonly<Record<string, string>> = {
  ar: "arb_Arab",
  bn: "ben_Beng",
  bg: "bul_Cyrl",
  ca: "cat_Latn",
  cs: "ces_Latn",
  zh: "cmn_Hani",
  da: "dan_Latn",
  de: "deu_Latn",
  el: "ell_Grek",
  eu: "eus_Latn",
  fa: "fas_Arab",
  fi: "fin_Latn",
  fr: "fra_Latn",
  he: "heb_Hebr",
  hi: "hin_Deva",
  hr: "hrv_Latn",
  hu: "hun_Latn",
  id: "ind_Latn",
  is: "isl_Latn",
  it: "ita_Latn",
  ja: "jpn_Jpan",
  ka: "kat_Geor",
  ko: "kor_Hang",
  lt: "lit_Latn",
  lv: "lvs_Latn",
  nl: "nld_Latn",
  no: "nob_Latn",
  nb: "nob_Latn",
  pl: "pol_Latn",
  pt: "por_Latn",
  ro: "ron_Latn",
  ru: "rus_Cyrl",
  sk: "slk_Latn",
  sl: "slv_Latn",
  es: "spa_Latn",
  sr: "srp_Cyrl",
  sv: "swe_Latn",
  sw: "swh_Latn",
  ta: "tam_Taml",
  th: "tha_Thai",
  tr: "tur_Latn",
  uk: "ukr_Cyrl",
  ur: "urd_Arab",
  vi: "vie_Latn",
};

/** Returns the thresholds of a language given as `de`, `deu` or `deu_Latn`, or undefined if the table lacks it. */
export function languageThresholds(language: string): LanguageThresholds | undefined {
  table ??= load();
  const name = (Object.hasOwn(SHORT, language) ? SHORT[language] : undefined) ?? language;
  const found = table.get(name);
  if (found !== undefined || name.includes("_")) return found;
  for (const [key, value] of table) if (key.startsWith(`${name}_`)) return value;
  return undefined;
}

/**
 * Returns the thresholds of a language that the user chose.
 * @throws QuernError if the table lacks it
 */
export function requireThresholds(language: string): LanguageThresholds {
  const found = languageThresholds(language);
  if (found === undefined) {
    throw new QuernError(`FineWeb-2 has no thresholds for ${language}; available: ${thresholdLanguages().join(", ")}`, {
      exitCode: 2,
    });
  }
  return found;
}
