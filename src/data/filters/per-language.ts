/**
 * @file Thresholds by language, as FineWeb-2 has them (Penedo et al. 2025, arXiv:2506.20920): a filter that was tuned on
 * English asks for the document's own language instead.
 */
import { type LanguageThresholds, languageThresholds } from "../languages/thresholds.js";

/** Options of a filter, and whether each language's own thresholds go before the defaults. */
export type PerLanguage<Options> = Options & {
  /** `fineweb-2`: that table's thresholds for a document's language, where the table has that language. */
  readonly thresholds?: "fineweb-2";
  /** The language of documents that say none. */
  readonly language?: string;
};

/** The thresholds for a language: given options over the table's over the defaults. */
export function thresholdsFor<Options extends object>(
  defaults: Required<Options>,
  options: PerLanguage<Options>,
  fromTable: (table: LanguageThresholds) => Partial<Options>,
): (language: string | undefined) => Required<Options> {
  const { thresholds, language: fallback, ...given } = options;
  const own = { ...defaults, ...given } as Required<Options>;
  if (thresholds === undefined) return () => own;
  const known = new Map<string, Required<Options>>();
  return (documentLanguage) => {
    const language = documentLanguage ?? fallback;
    if (language === undefined) return own;
    let limits = known.get(language);
    if (limits === undefined) {
      const table = languageThresholds(language);
      limits = table === undefined ? own : ({ ...defaults, ...fromTable(table), ...given } as Required<Options>);
      known.set(language, limits);
    }
    return limits;
  };
}
