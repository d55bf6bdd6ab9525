/**
 * @file GPT-2's alphabet: each byte as one printable character, so that tokens can stand in JSON. Printable bytes of
 * Latin-1 stand for themselves, the others for U+0100 onwards in order.
 */

/** Code unit of each byte's character. */
export const byteToUnit: Uint16Array = new Uint16Array(256);
/** Byte of each character of the alphabet, −1 for other code units below 0x144. */
export const unitToByte: Int16Array = new Int16Array(0x144).fill(-1);

let beyond = 0x100;
for (let byte = 0; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const unit = printable ? byte : beyond++;
  byteToUnit[byte] = unit;
  unitToByte[unit] = byte;
}

/** Bytes in the alphabet's characters: ` the` → `Ġthe`. */
export function toByteLevel(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byteToUnit[byte]);
  return text;
}

/** Writes the bytes that the characters stand for to `out` at `at`; returns the new end, or −1 if one is not of the alphabet. */
export function fromByteLevel(text: string, out: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    const byte = unit < 0x144 ? unitToByte[unit] : -1;
    if (byte < 0) return -1;
    out[at++] = byte;
  }
  return at;
}
