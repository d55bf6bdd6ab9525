/**
 * @file Everything a recipe can use. When Quern runs a recipe, its `import … from "quern/data"` resolves to this module.
 */

export { type DecontaminationOptions, decontamination } from "../decontaminate/step.js";
export { type BadWordsOptions, badWords } from "../filters/bad-words.js";
export { C4_PARAGRAPHS, c4Paragraphs } from "../filters/c4-paragraphs.js";
export { C4_QUALITY, type C4QualityOptions, c4Quality } from "../filters/c4-quality.js";
export { type CustomDocument, type CustomFunction, custom } from "../filters/custom.js";
export { type Candidate, drop, KEEP, type Step, type StepResult } from "../filters/filter.js";
export { FINEWEB_QUALITY, type FineWebQualityOptions, finewebQuality } from "../filters/fineweb-quality.js";
export { GOPHER_QUALITY, type GopherQualityOptions, gopherQuality } from "../filters/gopher-quality.js";
export { GOPHER_REPETITION, type GopherRepetitionOptions, gopherRepetition } from "../filters/gopher-repetition.js";
export { detectLanguage, LANGUAGE, type LanguageOptions, language, loadLanguages } from "../filters/language.js";
export { type LengthOptions, length } from "../filters/length.js";
export { REFINEDWEB_LINES, type RefinedWebLinesOptions, refinedWebLines } from "../filters/refinedweb-lines.js";
export { type UrlOptions, url } from "../filters/url.js";
export type { WordList } from "../filters/word-list.js";
export { adult, toxicity, WORD_SHARE, type WordShareOptions } from "../filters/word-share.js";
export { type LanguageThresholds, languageThresholds, thresholdLanguages } from "../languages/thresholds.js";
export { repairMojibake } from "../normalize/mojibake.js";
export {
  NORMALIZE,
  type NormalizeOptions,
  normalize,
  /** The spelling of earlier recipes. */
  normalize as normalise,
  normalizeText,
} from "../normalize/normalize.js";
export { PERSONAL_TYPES, type PersonalMatch, type PersonalType } from "../personal-data/match.js";
export {
  findPersonalData,
  PERSONAL_DATA,
  type PersonalDataOptions,
  PLACEHOLDERS,
  personalData,
} from "../personal-data/personal-data.js";
export { type AtLeastOptions, atLeast, type QualityOptions, quality } from "../quality/step.js";
export { Passage, type Splitter, splitWords } from "../text/passage.js";
export { type CorpusRecipe, defineCorpus } from "./corpus-recipe.js";
export { defineMix, type MixRecipe } from "./mix-recipe.js";
export { defineRecipe, named, type Recipe } from "./recipe.js";
