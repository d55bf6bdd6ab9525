/** @file Decodes bytes in a named encoding (https://encoding.spec.whatwg.org). */

/** Returns the Encoding Standard's name for a label; undefined if the label is unknown or has no decoder. */
export function encodingOf(label: string | undefined): string | undefined {
  if (label === undefined) return undefined;
  try {
    return new TextDecoder(label.trim()).encoding;
  } catch {
    return undefined;
  }
}

/** Decodes bytes in an encoding named by `encodingOf`; invalid bytes become U+FFFD. */
export function decodeBytes(bytes: Uint8Array, charset: string): string {
  const decoder = new TextDecoder(charset);
  // In one call, Node 20 and 22 decode windows-1252 as Latin-1, quotation marks as control characters. Streaming avoids that.
  return decoder.decode(bytes, { stream: true }) + decoder.decode();
}
