/** @file What tells two tokenizers apart. */
import { createHash } from "node:crypto";
import { listMerges } from "./formats/vocabulary.js";
import type { Tokenizer, TokenizerParts } from "./tokenizer.js";

/**
 * SHA-256 of all that tokenizer.json says, in hexadecimal: the same for equal tokenizers, whatever file they came from. It is
 * taken of the tables; to write a large vocabulary as JSON first takes half a second.
 */
export function tokenizerHash({ parts }: Tokenizer): string {
  return parts.hash ?? computedHash(parts);
}

/** The same, whatever the parts say that it is: where merges follow from ranks, a third of a second. */
export function computedHash({ model, json, plainKeys }: TokenizerParts): string {
  const { tokens } = model;
  const lengths = tokens.lengths.subarray(0, tokens.size);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  for (let id = 0, at = 0; id < tokens.size; at += lengths[id++]) bytes.set(tokens.get(id), at);
  const { left, right } = listMerges(model);
  const hash = createHash("sha256").update(JSON.stringify([json, ...(plainKeys ?? [])]));
  for (const numbers of [lengths, left, right]) hash.update(`;${numbers.length};`).update(numbers);
  return hash.update(bytes).digest("hex");
}
