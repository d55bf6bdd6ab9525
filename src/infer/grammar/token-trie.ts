/** @file The byte strings of a vocabulary as a trie, laid out in depth-first order so that a walk is one loop over arrays. */

/** N nodes without the root; a node's subtree follows it and ends before `skip`. */
export interface TokenTrie {
  readonly length: number;
  /** (N): the byte that leads to the node. */
  readonly bytes: Uint8Array;
  /** (N): number of bytes before the node's own. */
  readonly depths: Uint16Array;
  /** (N): the first node after the subtree. */
  readonly skips: Int32Array;
  /** (N): first id of the token that ends here, −1 if none does. */
  readonly tokens: Int32Array;
  /** Ids with the same bytes as another, by the first of them. */
  readonly twins: ReadonlyMap<number, readonly number[]>;
  readonly deepest: number;
  /** (256): the node of each first byte, −1 if no token starts with it. */
  readonly starts: Int32Array;
}

export interface TokenEntry {
  readonly id: number;
  readonly bytes: Uint8Array;
}

export function buildTrie(entries: readonly TokenEntry[]): TokenTrie {
  const sorted = [...entries].sort((a, b) => compareBytes(a.bytes, b.bytes) || a.id - b.id);
  const bytes: number[] = [];
  const depths: number[] = [];
  const tokens: number[] = [];
  const skips: number[] = [];
  const twins = new Map<number, number[]>();
  const path: number[] = [];
  let previous: Uint8Array = new Uint8Array(0);
  let deepest = 0;
  for (const { id, bytes: word } of sorted) {
    let shared = 0;
    while (shared < previous.length && shared < word.length && previous[shared] === word[shared]) shared++;
    while (path.length > shared) skips[path.pop()!] = bytes.length;
    for (let depth = shared; depth < word.length; depth++) {
      path.push(bytes.length);
      bytes.push(word[depth]);
      depths.push(depth);
      tokens.push(-1);
      skips.push(0);
    }
    deepest = Math.max(deepest, word.length);
    const node = path[path.length - 1];
    if (tokens[node] < 0) tokens[node] = id;
    else twins.set(tokens[node], [...(twins.get(tokens[node]) ?? []), id]);
    previous = word;
  }
  while (path.length > 0) skips[path.pop()!] = bytes.length;
  const starts = new Int32Array(256).fill(-1);
  for (let node = 0; node < bytes.length; node = skips[node]) starts[bytes[node]] = node;
  return {
    starts,
    length: bytes.length,
    bytes: Uint8Array.from(bytes),
    depths: Uint16Array.from(depths),
    skips: Int32Array.from(skips),
    tokens: Int32Array.from(tokens),
    twins,
    deepest,
  };
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
