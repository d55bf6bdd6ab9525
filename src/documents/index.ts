/** @file What a document is, and reading and writing it. */
export { QuernError } from "../errors.js";
export type { OnProgress, Progress } from "../progress.js";
export { type AtomicFile, createAtomicFile, type FileData, writeFileAtomic, writeFolderAtomic } from "./atomic.js";
