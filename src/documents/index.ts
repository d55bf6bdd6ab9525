/** @file What a document is, and reading and writing it. */
export { QuernError } from "../errors.js";
export type { OnProgress, Progress } from "../progress.js";
export {
  type AtomicFile,
  createAtomicFile,
  type FileData,
  makeFolder,
  removeLeftovers,
  replaceFolder,
  temporaryName,
  writeFileAtomic,
  writeFolderAtomic,
} from "./atomic.js";
export { type Block, documentsOf, fieldAt, type LinesBlock } from "./blocks.js";
export { type Compression, damageOf, packingOf, readBytes, unpack } from "./compression.js";
export type { Document, Origin } from "./document.js";
export { type Format, kindOfFile, mayHoldDocuments } from "./file-kind.js";
export { filesUnder, isFolder } from "./files.js";
export { type HeldOutOptions, type HeldOutSplit, SHARED_LINE, separateHeldOut, splitHeldOut } from "./held-out.js";
export { asJsonLines, parseJsonLine, parseJsonText, wrongBytes } from "./json-lines.js";
export { LONGEST_LINE } from "./limits.js";
export { fetchNpmPackage, type NpmPackage } from "./npm-package.js";
export {
  claimOutput,
  type OutputClaim,
  type OutputLayout,
  type OutputRequest,
  refuseOverlap,
  withOutput,
} from "./output-claim.js";
export { type ParquetDamage, readParquetRows } from "./parquet.js";
export {
  type DocumentReader,
  listFiles,
  type ReadBytes,
  type ReadDocumentsOptions,
  readDocuments,
  skipDamage,
  skipFile,
  untilDamage,
} from "./read.js";
export {
  nothingRead,
  ReadLog,
  type ReadReport,
  RefusedDamage,
  readLines,
  SKIP_REASONS,
  type Skip,
  type SkipDetails,
} from "./read-report.js";
export { readingOptions } from "./reading-options.js";
export { readStarterCorpus, STARTER_SOURCES, type StarterSource } from "./starter-corpus.js";
export { checkText, textOf } from "./utf8.js";
