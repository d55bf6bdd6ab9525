/**
 * @file GPT-2's byte-level alphabet, which maps each byte to a printable character so that JSON can contain any token. Printable
 * Latin-1 bytes map to themselves, the others to U+0100 and up, in order.
 */

/** (256): code unit of each byte's character. */
export const byteToUnit: Uint16Array = new Uint16Array(256);
/** (0x144): byte of each code unit, −1 if it is not in the alphabet. */
export const unitToByte: Int16Array = new Int16Array(0x144).fill(-1);

let beyond = 0x100;
for (let byte = 0; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const unit = printable ? byte : beyond++;
  byteToUnit[byte] = unit;
  unitToByte[unit] = byte;
}

/** Converts bytes to the alphabet's characters: ` the` → `Ġthe`. */
export function toByteLevel(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byteToUnit[byte]);
  return text;
}

/** Writes the bytes of the characters to `out` from `at` on; returns the new end, or −1 if a character is not in the alphabet. */
export function fromByteLevel(text: string, out: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    const byte = unit < 0x144 ? unitToByte[unit] : -1;
    if (byte < 0) return -1;
    out[at++] = byte;
  }
  return at;
}
