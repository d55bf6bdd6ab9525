/** @file What a recipe says of each document of a file, one answer a line, in the file's order. */
import { basename } from "node:path";
import type { Candidate } from "../filters/filter.js";
import { Passage } from "../text/passage.js";
import { Chain } from "./chain.js";
import { loadRecipe } from "./load-recipe.js";
import { defineRecipe, type Recipe, splitterOf } from "./recipe.js";
import { readRecords } from "./records.js";

export interface CheckedDocument {
  readonly id: string;
  readonly verdict: "keep" | "drop";
  /** `read` for a line that is no document. */
  readonly step?: string;
  readonly reason?: string;
}

/** Judges the documents of a JSONL file. Throws a `QuernError` when the file or the recipe cannot be read. */
export async function* checkDocuments(
  file: string,
  {
    recipe: given,
    signal,
    largest = 16 << 20,
  }: { recipe?: string | Recipe; signal?: AbortSignal; largest?: number } = {},
): AsyncGenerator<CheckedDocument> {
  const recipe = typeof given === "object" ? defineRecipe(given) : await loadRecipe(given);
  const chain = new Chain(recipe.steps);
  await chain.prepare();
  const part = { location: file, kind: "documents", id: basename(file), source: basename(file) } as const;
  const skipped: CheckedDocument[] = [];
  const skip = (reason: string, where: string) => {
    skipped.push({ id: where.replace(`${file}, `, ""), verdict: "drop", step: "read", reason });
  };
  for await (const record of readRecords(part, { largest, signal, skip })) {
    yield* skipped.splice(0);
    if (record.content.kind !== "text") continue;
    const document: Candidate = {
      id: record.id,
      ...(record.url === undefined ? {} : { url: record.url }),
      source: record.source ?? part.source,
      language: record.language ?? recipe.language,
      passage: new Passage(record.content.text, splitterOf(recipe)),
    };
    const outcome = chain.judge(document);
    yield outcome.keep
      ? { id: record.id, verdict: "keep" }
      : { id: record.id, verdict: "drop", step: outcome.step, reason: outcome.reason };
  }
  yield* skipped;
}
