/** @file Documents between two stages of this room: read with all that their lines say, and where they first came from. */
import { ReadLog } from "../documents/index.js";
import { type InputRecord, readRecords, type TextRecord } from "./clean/records.js";
import type { Origin } from "./page.js";
import type { Part } from "./pages.js";

/** A document as a stage hands it to the next. */
export interface StoredDocument {
  readonly id: string;
  readonly url?: string;
  readonly source: string;
  readonly language?: string;
  /** Where it was first read: what an earlier stage wrote down, else where it lies now. */
  readonly origin: Origin;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** No document of a stage is longer. */
const LARGEST = 2 ** 28;

export interface TextOptions {
  readonly textField?: string;
  readonly signal?: AbortSignal;
  /** Counts what is read and left out. */
  readonly log?: ReadLog;
}

/** The documents of some parts, in order. */
export async function* readTexts(
  parts: readonly Part[],
  { textField, signal, log = new ReadLog() }: TextOptions = {},
): AsyncGenerator<StoredDocument> {
  for (const part of parts) {
    for await (const record of readRecords(part, { largest: LARGEST, textField, signal, log })) {
      if (isText(record)) yield stored(record, part);
      else log.skip("not_extracted", part.location);
    }
  }
}

const isText = (record: InputRecord): record is TextRecord => record.content.kind === "text";

function stored({ id, url, source, language, origin, fields = {}, content }: TextRecord, part: Part): StoredDocument {
  const { origin: first, ...others } = fields;
  const known = typeof first === "object" && first !== null && "archive" in first ? (first as Origin) : origin;
  return {
    id,
    ...(url === undefined ? {} : { url }),
    source: source ?? part.source,
    ...(language === undefined ? {} : { language }),
    origin: known,
    fields: others,
    text: content.text,
  };
}

/** The line of a document, without its end. */
export function storedLine({ id, url, source, language, origin, fields, text }: StoredDocument): string {
  return JSON.stringify({ id, url, source, language, origin, ...fields, text });
}
