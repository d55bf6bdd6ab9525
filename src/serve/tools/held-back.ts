/** @file Text that arrives in pieces and may end inside a mark. */

/** Returns how many characters at the end of a text may begin a mark. */
export function heldBack(text: string, mark: string): number {
  let length = Math.min(text.length, mark.length - 1);
  while (length > 0 && !text.endsWith(mark.slice(0, length))) length -= 1;
  return length;
}
