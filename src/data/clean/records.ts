/** @file Reading one part of the input as documents and pages, with turns for whatever else the thread has to do. */
import { setImmediate as turn } from "node:timers/promises";
import type { ReadOptions } from "../document-records.js";
import { type InputRecord, type Part, recordsOf } from "../pages.js";

export type { ByteRange, TextRecord } from "../document-records.js";
export type { InputRecord } from "../pages.js";

/** Milliseconds after which whatever else the thread has to do gets its turn. */
const PAUSE = 25;

/** The records of a part, in order. Never throws for what is wrong with the input. */
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
