/** @file The bodies of `/tokenize` and `/detokenize`. */
import { z } from "zod";

export const tokenizeRequest = z.strictObject({
  model: z.string().nullish(),
  content: z.string(),
  /** Adds the ids that begin and end a text. */
  add_special: z.boolean().nullish(),
  /** Reads special tokens in the text as such. */
  parse_special: z.boolean().nullish(),
  /** Returns each token's text, or its bytes if they are no whole characters. */
  with_pieces: z.boolean().nullish(),
});

export const detokenizeRequest = z.strictObject({
  model: z.string().nullish(),
  tokens: z.array(z.int().min(0)),
});
