/**
 * @file Reading one part of the input as documents and pages. What cannot be read is counted by its reason and the rest
 * goes on.
 */
import { setImmediate as turn } from "node:timers/promises";
import { QuernError } from "../../errors.js";
import { documentRecords, type ReadOptions, type TextRecord } from "../document-records.js";
import { fetchedFile } from "../fetched.js";
import { isRemote } from "../location.js";
import type { Page } from "../page.js";
import { type Part, readPart } from "../pages.js";

export type { ByteRange, TextRecord } from "../document-records.js";

export type InputRecord = (Page & { readonly language?: undefined; readonly fields?: undefined }) | TextRecord;

/** Milliseconds after which whatever else the thread has to do gets its turn. */
const PAUSE = 25;

/** The records of a part, in order. Never throws for what is wrong with the input once it is open. */
export async function* readRecords(part: Part, options: ReadOptions): AsyncGenerator<InputRecord> {
  let last = performance.now();
  for (const file of part.files ?? [part]) {
    for await (const record of recordsOf(file, options)) {
      yield record;
      if (performance.now() - last < PAUSE) continue;
      await turn(undefined, { signal: options.signal });
      last = performance.now();
    }
  }
}

async function* recordsOf(part: Part, options: ReadOptions): AsyncGenerator<InputRecord> {
  try {
    const { location, kind } = part;
    const path = kind === "documents" && isRemote(location) ? await fetchedFile(location, options) : location;
    if (kind === "documents") yield* documentRecords(part, path, options);
    else {
      const reader = readPart(part, { signal: options.signal, largestPage: options.largest });
      yield* reader;
      for (const [reason, times] of reader.skipped) for (let i = 0; i < times; i++) options.skip(reason, part.location);
    }
  } catch (error) {
    if (!(error instanceof QuernError) || options.signal?.aborted) throw error;
    options.skip(`damaged: ${withoutPlaces(error.message, part.location)}`, part.location);
  }
}

/** The reason without paths and offsets, so that equal damage counts as one. */
const withoutPlaces = (message: string, location: string) =>
  message
    .replaceAll(location, "file")
    .replace(/(?:, )?at byte \d+.*$/, "")
    .replace(/, line \d+/, "");
