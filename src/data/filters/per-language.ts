/**
 * @file Thresholds by language, as in FineWeb-2 (Penedo et al. 2025, arXiv:2506.20920). They replace a filter's defaults, which were
 * tuned on English.
 */
import { type LanguageThresholds, languageThresholds } from "../languages/thresholds.js";

/** A filter's options, and whether thresholds by language replace the defaults. */
export type PerLanguage<Options> = Options & {
  /** `fineweb-2`: use that table's thresholds for the languages it has. */
  readonly thresholds?: "fineweb-2";
  /** Language of documents that declare none. */
  readonly language?: string;
};

/** Thresholds for a language. Given options override the table, which overrides the defaults. */
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
