/** @file Reports what a recipe does with each document of a file: one result per line, in the file's order. */
import { findInputs, isPage, ReadLog, readPart } from "../../documents/index.js";
import type { Candidate } from "../filters/filter.js";
import { loadRecipe } from "../recipes/load-recipe.js";
import { defineRecipe, type Recipe, splitterOf } from "../recipes/recipe.js";
import { Passage } from "../text/passage.js";
import { Chain } from "./chain.js";

export interface CheckedDocument {
  readonly id: string;
  readonly verdict: "keep" | "drop";
  /** `read` for a line that is not a document. */
  readonly step?: string;
  readonly reason?: string;
}

/** Runs a recipe over the documents of a JSONL file. @throws QuernError when the file or the recipe cannot be read */
export async function* checkDocuments(
  file: string,
  {
    recipe: given,
    signal,
    largest = 16 << 20,
    textField,
    log = new ReadLog(),
  }: {
    recipe?: string | Recipe;
    signal?: AbortSignal;
    largest?: number;
    textField?: string;
    /** Counts documents read and skipped. */
    log?: ReadLog;
  } = {},
): AsyncGenerator<CheckedDocument> {
  const recipe = typeof given === "object" ? defineRecipe(given) : await loadRecipe(given);
  const chain = new Chain(recipe.steps);
  await chain.prepare();
  const [part] = await findInputs([file], { pages: true, signal });
  const skipped: CheckedDocument[] = [];
  const own = new ReadLog({
    onSkip(reason, where, more = {}) {
      log.skip(reason, where, more);
      skipped.push({ id: more.id ?? where.replace(`${file}, `, ""), verdict: "drop", step: "read", reason });
    },
  });
  const count = () => log.merge({ ...own.report, skipped: {}, skippedAt: {} });
  for await (const record of readPart(part, { largest, textField, signal, log: own })) {
    yield* skipped.splice(0);
    if (isPage(record)) continue;
    const document: Candidate = {
      id: record.id,
      ...(record.url === undefined ? {} : { url: record.url }),
      source: record.source,
      language: record.language ?? recipe.language,
      passage: new Passage(record.text, splitterOf(recipe)),
    };
    const outcome = chain.run(document);
    yield outcome.keep
      ? { id: record.id, verdict: "keep" }
      : { id: record.id, verdict: "drop", step: outcome.step, reason: outcome.reason };
  }
  yield* skipped;
  count();
}
