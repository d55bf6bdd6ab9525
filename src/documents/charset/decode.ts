/** @file Bytes in a named encoding as text. https://encoding.spec.whatwg.org */

/** The name that the Encoding Standard gives to a label; undefined for labels that it does not know or gives no decoder. */
export function encodingOf(label: string | undefined): string | undefined {
  if (label === undefined) return undefined;
  try {
    return new TextDecoder(label.trim()).encoding;
  } catch {
    return undefined;
  }
}

/** The text of bytes in an encoding that `encodingOf` knows; what means nothing in it becomes U+FFFD. */
export function decodeBytes(bytes: Uint8Array, charset: string): string {
  const decoder = new TextDecoder(charset);
  // Node 20 and 22 read windows-1252 as Latin-1 in one go, its quotation marks as controls, but not piece by piece.
  return decoder.decode(bytes, { stream: true }) + decoder.decode();
}
