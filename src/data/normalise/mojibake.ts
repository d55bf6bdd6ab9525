/**
 * @file Text that was decoded by the wrong table: UTF-8 read as Windows-1252 (`cafÃ©`, `donâ€™t`), once or several times over.
 * A run is repaired when, written back to bytes by that table, it is whole UTF-8; ordinary text almost never is, since in
 * UTF-8 no letter stands alone.
 */

/** Windows-1252's characters for the bytes 80 to 9F; the five that it leaves free are the controls themselves. */
const HIGH = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ";
const BYTES = new Map<number, number>(Array.from(HIGH, (character, index) => [character.charCodeAt(0), 0x80 + index]));
for (let byte = 0x80; byte <= 0xff; byte++) if (byte >= 0xa0 || !BYTES.has(byte)) BYTES.set(byte, byte);

/** The first byte of a UTF-8 sequence, as Windows-1252 shows it, and what may follow. */
const FOLLOWERS = `[\u0080-\u00bf${HIGH.replace(/[\u0080-\u009f]/g, "")}]`;
const RUN = new RegExp(
  `(?:[\u00c2-\u00df]${FOLLOWERS}|[\u00e0-\u00ef]${FOLLOWERS}{2}|[\u00f0-\u00f4]${FOLLOWERS}{3})+`,
  "g",
);
const SUSPECT = new RegExp(`[\u00c2-\u00f4]${FOLLOWERS}`);
/** More layers than this nobody has seen. */
const MOST_LAYERS = 4;

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The text with such runs repaired; the same string where there are none. */
export function repairMojibake(text: string): string {
  let repaired = text;
  for (let layer = 0; layer < MOST_LAYERS && SUSPECT.test(repaired); layer++) {
    const next = repaired.replace(RUN, repairRun);
    if (next === repaired) break;
    repaired = next;
  }
  return repaired;
}

function repairRun(run: string): string {
  const bytes = Uint8Array.from(run, (character) => BYTES.get(character.charCodeAt(0)) ?? 0);
  let decoded: string;
  try {
    decoded = decoder.decode(bytes);
  } catch {
    return run;
  }
  // `Ã…` or `â€¦` alone are mojibake, but a capital letter before a real quote mark or dash may be a foreign word's end: `VOILÀ»`.
  if (run.length === 2 && /^\p{Lu}[»«”“’‘—–…·°]$/u.test(run) && !/^[ÂÃ]/.test(run)) return run;
  // Controls are never what was meant.
  for (let at = 0; at < decoded.length; at++) {
    const unit = decoded.charCodeAt(at);
    if (unit < 0x20 || (unit >= 0x80 && unit < 0xa0 && decoded.length === 1)) return run;
  }
  return decoded;
}
