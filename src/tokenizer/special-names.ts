/** The special token that ends a document in token shards. */
export const END_OF_TEXT = "<|endoftext|>";
