/** @file The public face of `quern/data`: archives and other inputs, pages, extraction, filters, the funnel, corpora. */
export {
  type ArchiveOptions,
  type ArchiveReader,
  type ArchiveRecord,
  type Decoded,
  decodePage,
  expandLocation,
  findInputs,
  type HttpResponse,
  type InputFile,
  isRemote,
  type LocationOptions,
  newRecordId,
  type Origin,
  type Page,
  type PageReader,
  parseHttpResponse,
  type ReadPagesOptions,
  readArchive,
  readLocation,
  readPages,
  sha1,
  type WarcFields,
  warcRecord,
} from "../documents/index.js";
export { QuernError } from "../errors.js";
export type { LineageEntry } from "../tokenizer/index.js";
export { labelName, readClassifier, type TrainingRecord, writeClassifier } from "./classifier/file.js";
export type { Classifier, ClassifierLoss, ClassifierShape } from "./classifier/model.js";
export {
  type ClassifierTest,
  type LinePrediction,
  labelled,
  type Prediction,
  Predictor,
  predictFile,
  testClassifier,
} from "./classifier/predict.js";
export {
  type TrainClassifierOptions,
  type TrainedClassifier,
  trainClassifier,
} from "./classifier/train.js";
export { trainClassifierOptions } from "./classifier/train-options.js";
export { type CheckedDocument, checkDocuments } from "./clean/check.js";
export {
  type CleanOptions,
  type CleanPlan,
  type CleanResult,
  clean,
  planClean,
  planCleanOnSlurm,
} from "./clean/clean.js";
export { runTask } from "./clean/run-task.js";
export { readFunnel } from "./clean/write-funnel.js";
export { COMPARED_BY, type CompareFilesOptions, compareOnFiles } from "./compare/compare-files.js";
export { type CorpusOptions, type CorpusResult, makeCorpus } from "./corpus/corpus.js";
export { type CrawlOptions, type CrawlResult, crawl } from "./crawl/crawl.js";
export { crawlOptions } from "./crawl/crawl-options.js";
export { BenchmarkGrams, type Overlap } from "./decontaminate/benchmarks.js";
export {
  type DecontaminateOptions,
  type DecontaminateResult,
  decontaminate,
  type FoundBenchmark,
} from "./decontaminate/decontaminate.js";
export { decontaminateOptions } from "./decontaminate/decontaminate-options.js";
export {
  bandProbability,
  type DeduplicateOptions,
  type DeduplicateResult,
  deduplicate,
} from "./deduplicate/deduplicate.js";
export { deduplicateOptions } from "./deduplicate/deduplicate-options.js";
export { planDeduplicate } from "./deduplicate/deduplicate-tasks.js";
export { simplifyText, TextHasher } from "./deduplicate/hasher.js";
export { canonicalUrl } from "./deduplicate/index-part.js";
export {
  type ExtractedDocument,
  type ExtractionCounts,
  type ExtractPagesOptions,
  extractPage,
  extractPages,
} from "./extract/documents.js";
export { type Extraction, type ExtractOptions, extract, LONGEST_PAGE, type TextSource } from "./extract/extract.js";
export { extractOptions } from "./extract/extract-options.js";
export { PAGE_TYPES, type PageType } from "./extract/page-type.js";
export type { Focus } from "./extract/select.js";
export type { Format } from "./extract/write.js";
export { type Amounts, type Funnel, type FunnelStep, makeFunnel } from "./funnel/funnel.js";
export type { TaskManifest } from "./funnel/manifest.js";
export { renderReport } from "./funnel/report.js";
export { funnelLines } from "./funnel/table.js";
export { type MixedGroup, type MixOptions, type MixResult, mix, mixClaim, mixInto, readGroups } from "./mix/mix.js";
export { epochsOf, type GroupSize, sharesOf } from "./mix/weights.js";
export { type FitOptions, type FitResult, fitClassifier, type Labelled } from "./quality/fit.js";
export { type FitRecipeOptions, fitByRecipe } from "./quality/fit-recipe.js";
export { calibrate, calibrationError, type ThresholdRow, thresholdTable } from "./quality/measure.js";
export { calibrated, type ScoreCard, Scorer } from "./quality/score.js";
export { loadCorpus } from "./recipes/load-corpus.js";
export { loadMix } from "./recipes/load-mix.js";
export { loadRecipe } from "./recipes/load-recipe.js";
export { type CheckedMixRecipe, checkMix, type MixtureSearchOptions } from "./recipes/mix-recipe.js";
export * from "./recipes/recipe-steps.js";
export { type ShardDocumentsOptions, shardDocuments } from "./shards/shard-documents.js";
export { type TokenOrigin, where } from "./shards/where.js";
export { planTasks, type Task, type TaskConfig } from "./tasks.js";
