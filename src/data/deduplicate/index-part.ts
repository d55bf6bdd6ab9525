/** @file The first stage: reads a part of the input and writes the keys by which its documents are compared. */
import { join } from "node:path";
import { isPage, makeFolder, ReadLog, readPart, type TakenDocument } from "../../documents/index.js";
import type { TaskContext } from "../../executors/index.js";
import { normalizeUrl, routeOf } from "../crawl/urls.js";
import type { Task } from "../tasks.js";
import { DocumentTableWriter, PieceWriter } from "./document-table.js";
import { EntryWriter } from "./entries.js";
import { type HeldText, TextHasher } from "./hasher.js";
import { comparedSentences, splitPieces } from "./pieces.js";
import { type DeduplicateConfig, type IndexResult, LARGEST_DOCUMENT, shelvesOf, writeResult } from "./plan.js";
import { openUnits } from "./substring/units.js";

export const keysPath = (work: string, part: string) => join(work, "index", `${part}.keys`);
export const skippedPath = (work: string, part: string) => join(work, "index", `${part}.skipped`);

export async function indexPart(
  task: Task,
  config: DeduplicateConfig,
  context: TaskContext = {},
): Promise<IndexResult> {
  const { work, keep } = config;
  await makeFolder(join(work, "index"));
  const hasher = new TextHasher(config);
  const table = new DocumentTableWriter(work, task.name);
  const skips = new PieceWriter(skippedPath(work, task.name));
  const keys = new EntryWriter(keysPath(work, task.name), shelvesOf(config));
  let documents = 0;
  let bytes = 0;
  let units = 0;
  const addKeys = await keysOf(task, config, hasher, keys);
  try {
    const log = new ReadLog({
      strict: config.strict,
      onSkip: (reason, where, { id } = {}) => skips.write(`${JSON.stringify({ id, where, reason })}\n`),
    });
    for await (const { record, text } of heldTexts(task, config, hasher, context, log)) {
      const size = text.length;
      const copies = record.fields?.copies;
      table.add(record.id, {
        worth: keep === "quality" ? qualityOf(record) : size,
        copies: typeof copies === "number" && copies >= 1 && Number.isFinite(copies) ? copies : 1,
        rest: hasher.hash(
          JSON.stringify([record.id, record.url, record.language, record.fields, firstOrigin(task.part, record)]),
        ),
        content: hasher.hash(text),
        textStart: units,
      });
      units += addKeys.add(record, text, documents);
      documents += 1;
      bytes += size;
      if (documents % 256 === 0) context.onProgress?.(documents);
    }
    table.finish();
    skips.finish();
    addKeys.finish();
    return await writeResult(work, "index", task.name, {
      ...{ documents, bytes, units, report: log.report, runs: keys.finish() },
    });
  } finally {
    table.close();
    skips.close();
    addKeys.close();
    keys.close();
  }
}

/** The origin that an earlier stage recorded; undefined for a document first read here, so ties ignore its place. */
const firstOrigin = (part: Task["part"], { origin }: TakenDocument) =>
  (part.files ?? [part]).some(({ location }) => location === origin.archive) ? undefined : origin;

interface HeldRecord {
  readonly record: TakenDocument;
  readonly text: HeldText;
}

/** Whether texts are cut as strings, because the kernel cannot split them into these pieces. */
export const asStrings = ({ by }: DeduplicateConfig) => by === "sentence" || by === "substring";

/** Yields the documents of a part in order; `hasher` keeps each text until the next. Logs unextracted pages as skipped. */
export async function* heldTexts(
  task: Task,
  config: DeduplicateConfig,
  hasher: TextHasher,
  { signal }: TaskContext,
  log: ReadLog,
): AsyncGenerator<HeldRecord> {
  let held: HeldText | undefined;
  const take = (line: Uint8Array) => {
    const taken = hasher.take(line);
    held = taken?.text;
    return taken;
  };
  const options = { range: task.range, largest: LARGEST_DOCUMENT, textField: config.textField, signal, log };
  for await (const record of readPart(task.part, asStrings(config) ? options : { ...options, take })) {
    if (isPage(record)) log.skip("not_extracted", task.part.location, { id: record.id });
    else {
      const text = record.taken && held !== undefined ? held : hasher.hold(record.text);
      yield { record, text };
    }
  }
}

interface KeyAdder {
  /** Adds the document's keys. Returns the units its text occupies in the part's texts; 0 unless texts are kept. */
  add(record: TakenDocument, text: HeldText, document: number): number;
  finish(): void;
  close(): void;
}

async function keysOf(task: Task, config: DeduplicateConfig, hasher: TextHasher, keys: EntryWriter): Promise<KeyAdder> {
  const { by, sentences } = config;
  const nothing = () => {};
  const addHash = (text: string | HeldText, document: number, place: number) => {
    const hash = hasher.hashWords(text);
    keys.add(0, hash[0], hash[1], document, place);
  };
  const simple = (add: (record: TakenDocument, text: HeldText, document: number) => void): KeyAdder => ({
    add: (record, text, document) => {
      add(record, text, document);
      return 0;
    },
    finish: nothing,
    close: nothing,
  });
  switch (by) {
    case "document":
      return simple((_, text, document) => addHash(text, document, 0));
    case "url":
      return simple(({ url }, _, document) => {
        const canonical = url === undefined ? null : canonicalUrl(url);
        if (canonical !== null) addHash(canonical, document, 0);
      });
    case "near":
      return simple((_, text, document) => {
        const hashes = hasher.bandHashes(text);
        if (hashes === null) return;
        const words = new Uint32Array(hashes.buffer, hashes.byteOffset, 2 * hashes.length);
        for (let band = 0; band < hashes.length; band++)
          keys.add(band, words[2 * band], words[2 * band + 1], document, 0);
      });
    case "line":
    case "paragraph":
      return simple((_, text, document) =>
        hasher.hashPieces(text, by, (low, high, place) => keys.add(0, low, high, document, place)),
      );
    case "sentence":
      return simple(({ text: own }, _, document) =>
        comparedSentences(splitPieces(own, by), sentences, (text, place) => addHash(text, document, place)),
      );
    case "substring": {
      const units = await openUnits(config);
      const texts = new PieceWriter(join(config.work, "index", `${task.name}.texts`));
      return {
        add({ text: own }, _, document) {
          const text = units.read(own);
          texts.write(new Uint8Array(text.buffer, text.byteOffset, text.byteLength));
          units.anchors((low, high, place) => keys.add(0, low, high, document, place));
          return text.length;
        },
        finish: () => texts.finish(),
        close: () => texts.close(),
      };
    }
    default:
      return by satisfies never;
  }
}

/**
 * Returns a URL without the parts that do not change the page: scheme, www, session ids, tracking parameters and a
 * final slash. It drops the fragment too, unless a script uses it to show another page. Returns null for anything that
 * is not a web address.
 */
export function canonicalUrl(address: string): string | null {
  const url = normalizeUrl(address);
  if (url === null) return null;
  return url.replace(/^https?:\/\/(www\.)?/, "").replace(/\/(?=$|\?)/, "") + routeOf(address);
}

function qualityOf(record: TakenDocument): number {
  const quality = record.fields?.quality;
  return typeof quality === "number" && Number.isFinite(quality) ? quality : Number.NEGATIVE_INFINITY;
}
