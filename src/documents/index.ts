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
export { type Block, documentsOf, type LinesBlock } from "./blocks.js";
export { type Compression, damageOf, packingOf, readBytes, unpack } from "./compression.js";
export type { Document, Origin } from "./document.js";
export { type HeldOutOptions, type HeldOutSplit, SHARED_LINE, separateHeldOut, splitHeldOut } from "./held-out.js";
export { fetchNpmPackage, type NpmPackage } from "./npm-package.js";
export {
  claimOutput,
  type OutputClaim,
  type OutputLayout,
  type OutputRequest,
  refuseOverlap,
  withOutput,
} from "./output-claim.js";
export { readParquetRows } from "./parquet.js";
export { type DocumentReader, listFiles, type ReadBytes, readDocuments, type SkippedFile } from "./read.js";
export { readStarterCorpus, STARTER_SOURCES, type StarterSource } from "./starter-corpus.js";
export { textOf } from "./utf8.js";
