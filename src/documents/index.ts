/** @file Documents: their type, readers and writers. */
export { QuernError } from "../errors.js";
export { readingOptions } from "../options.js";
export type { OnProgress, Progress } from "../progress.js";
export { type AppendFile, openAppendFile } from "./append-file.js";
export { type HttpResponse, parseHttpResponse } from "./archive/http-message.js";
export { gunzipMember } from "./archive/members.js";
export { type ArchiveOptions, type ArchiveReader, type ArchiveRecord, readArchive } from "./archive/records.js";
export { newRecordId, sha1, type WarcFields, warcRecord } from "./archive/write.js";
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
export {
  type Block,
  documentsOf,
  fieldAt,
  type LinesBlock,
  type RecordsBlock,
  type TakenDocument,
  type TakeText,
  type TextBlock,
} from "./blocks.js";
export { type Decoded, decodePage } from "./charset/charset.js";
export { decodeBytes } from "./charset/decode.js";
export { type Compression, compressionByName, damageOf, decompress, readBytes } from "./compression.js";
export { type CsvOptions, isCsv, readCsv } from "./csv.js";
export { cutDocument } from "./cut.js";
export { type Document, documentLine, type GivenDocument, isPage, type Origin, type Page } from "./document.js";
export { type Format, kindOfFile, mayHoldDocuments } from "./file-kind.js";
export { filesUnder, isFolder } from "./files.js";
export {
  type HeldOutOptions,
  type HeldOutPlan,
  type HeldOutSplit,
  isHeldOut,
  type OpenText,
  planHeldOut,
  planSeparate,
  SHARED_LINE,
  separateHeldOut,
  splitHeldOut,
  textHash,
} from "./held-out.js";
export {
  COMMIT,
  downloadHubFile,
  type HubFile,
  type HubListing,
  HubMissing,
  type HubOptions,
  type HubRepository,
  HubUnreachable,
  listHubFiles,
} from "./hub.js";
export { type HubDataset, openHubDataset } from "./hub-dataset.js";
export { type FindOptions, findInputs, type InputFile, type InputPart, listFiles } from "./inputs.js";
export { asJsonLines, parseJsonLine, parseJsonText, wrongBytes } from "./json-lines.js";
export { LONGEST_LINE } from "./limits.js";
export { LineFile } from "./line-file.js";
export type { ByteRange } from "./lines.js";
export { expandLocation, isRemote, type LocationOptions, readLocation } from "./location.js";
export { isForPrograms, kindOfBody, mediaTypeOf } from "./media-type.js";
export { fetchNpmPackage, type NpmPackage } from "./npm-package.js";
export {
  claimOutput,
  type OutputClaim,
  type OutputLayout,
  type OutputRequest,
  refuseOverlap,
  withOutput,
} from "./output-claim.js";
export type { SchemaNode } from "./parquet/metadata.js";
export { type ParquetDamage, readParquetRows } from "./parquet.js";
export {
  type DocumentReader,
  type PageReader,
  type ReadBytes,
  type ReadDocumentsOptions,
  type ReadPagesOptions,
  type ReadRowsOptions,
  type ReadTextsOptions,
  type Row,
  type RowReader,
  readDocuments,
  readPages,
  readPart,
  readRows,
  readTexts,
} from "./read.js";
export type { ReadOptions } from "./read-file.js";
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
export { fetchStarterPackage, readStarterCorpus, STARTER_SOURCES, type StarterSource } from "./starter-corpus.js";
export { checkText, textOf } from "./utf8.js";
