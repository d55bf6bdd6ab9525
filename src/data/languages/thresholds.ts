/**
 * @file FineWeb-2's thresholds and stop words for 43 languages, which lie beside this file as data with their licence:
 * fineweb-2.json holds the fields of its configuration files under their own names.
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

/** The table's names: `deu_Latn`. */
export function thresholdLanguages(): readonly string[] {
  table ??= load();
  return [...table.keys()];
}

/** Two-letter codes of languages that the table names by three letters and a script. */
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

/** The thresholds of a language, by `de`, `deu` or `deu_Latn`; undefined for one that the table does not have. */
export function languageThresholds(language: string): LanguageThresholds | undefined {
  table ??= load();
  const name = (Object.hasOwn(SHORT, language) ? SHORT[language] : undefined) ?? language;
  const found = table.get(name);
  if (found !== undefined || name.includes("_")) return found;
  for (const [key, value] of table) if (key.startsWith(`${name}_`)) return value;
  return undefined;
}

/** As `languageThresholds`, for a language that a person named: throws a `QuernError` when the table lacks it. */
export function requireThresholds(language: string): LanguageThresholds {
  const found = languageThresholds(language);
  if (found === undefined) {
    throw new QuernError(`FineWeb-2 has no thresholds for ${language}; it has ${thresholdLanguages().join(", ")}`, {
      exitCode: 2,
    });
  }
  return found;
}
