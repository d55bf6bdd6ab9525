/**
 * @file Makes perplexity comparable: the same text under several models, and one model's nats divided by the tokens of several
 * tokenizers.
 */
import type { z } from "zod";
import { readDocuments, withOutput, writeFileAtomic } from "../documents/index.js";
import { checkOptions } from "../options.js";
import { openTokenizer, type Tokenizer } from "../tokenizer/index.js";
import { countWords } from "./harness/metrics.js";
import { type PerplexityOptions, type PerplexityResult, perplexity } from "./perplexity.js";
import type { DividedScore, PerplexityComparison } from "./perplexity-divided.js";
import { perplexityComparisonOptions } from "./perplexity-options.js";
import { perplexityPage } from "./perplexity-page.js";

export type { DividedScore, PerplexityComparison } from "./perplexity-divided.js";

export type PerplexityComparisonOptions = z.input<typeof perplexityComparisonOptions> &
  Pick<PerplexityOptions, "target" | "signal" | "onProgress">;

/**
 * Scores files under one or more models; see `perplexity`. With `html` it writes a page.
 * @throws QuernError as `perplexity`, and for a tokenizer that cannot be opened
 */
export async function comparePerplexity({
  target,
  signal,
  onProgress,
  ...given
}: PerplexityComparisonOptions): Promise<PerplexityComparison> {
  const { against, tokenizers: names, html, force, ...options } = checkOptions(perplexityComparisonOptions, given);
  const work = async (): Promise<PerplexityComparison> => {
    const others = new Map<string, Tokenizer>();
    for (const name of names) others.set(name, await openTokenizer(name, { signal }));
    const results: PerplexityResult[] = [];
    for (const model of [options.model, ...against]) {
      results.push(await perplexity({ ...options, model, target, signal, onProgress }));
    }
    const [first] = results;
    const counts = await countsOf(options, others, signal);
    const warnings = results.flatMap((result) => result.warnings);
    const models = results.map(({ model, total, domains, sequence, stride }) => ({
      model,
      total,
      domains,
      sequence,
      stride,
    }));
    const comparison = { ...first, warnings, models, tokenizers: dividedScores(first.total, counts) };
    if (html === undefined) return comparison;
    await writeFileAtomic(html, perplexityPage(comparison));
    return { ...comparison, html };
  };
  if (html === undefined) return work();
  return withOutput({ verb: "perplexity", out: html, inputs: options.files, force }, work);
}

/** The tokens of a text by what counts them. */
export type TokenCounts = readonly Pick<DividedScore, "tokenizer" | "kind" | "tokens">[];

/**
 * Divides the nats of a text by the tokens of several tokenizers.
 * @param total of the model under its own tokenizer
 */
export function dividedScores(
  { tokens, bytes, nats_per_token }: PerplexityResult["total"],
  counts: TokenCounts,
): readonly DividedScore[] {
  const nats = nats_per_token * tokens;
  const own = { tokenizer: "the model's own", kind: "model" as const, tokens };
  return [own, ...counts].map((count) => ({
    ...count,
    bytes_per_token: bytes / count.tokens,
    perplexity: Math.exp(nats / count.tokens),
    bits_per_byte: nats / Math.LN2 / bytes,
  }));
}

/** Counts the tokens of all documents. */
export async function countsOf(
  options: Pick<z.output<typeof perplexityComparisonOptions>, "files" | "textField" | "strict">,
  tokenizers: ReadonlyMap<string, Tokenizer>,
  signal?: AbortSignal,
): Promise<TokenCounts> {
  const { files, textField, strict } = options;
  const tokens = new Map([...tokenizers.keys()].map((name) => [name, 0]));
  let [words, bytes] = [0, 0];
  for await (const { text } of readDocuments(files, { textField, strict, signal })) {
    for (const [name, tokenizer] of tokenizers) tokens.set(name, tokens.get(name)! + tokenizer.count(text));
    words += countWords(text.trim());
    bytes += Buffer.byteLength(text);
  }
  return [
    ...[...tokens].map(([tokenizer, count]) => ({ tokenizer, kind: "tokenizer" as const, tokens: count })),
    { tokenizer: "words", kind: "unit", tokens: words },
    { tokenizer: "bytes", kind: "unit", tokens: bytes },
  ];
}
