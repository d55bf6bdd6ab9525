/**
 * @file Repairs UTF-8 that was decoded as Windows-1252 (`cafÃ©`, `donâ€™t`), once or several times over. A run is repaired if
 * encoding it as Windows-1252 produces valid UTF-8. Ordinary text almost never does, since in UTF-8 a non-ASCII byte never
 * occurs alone.
 */

/** Windows-1252's characters for the bytes 80 to 9F; the five unassigned bytes map to the control characters. */
const HIGH = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ";
const BYTES = new Map<number, number>(Array.from(HIGH, (character, index) => [character.charCodeAt(0), 0x80 + index]));
for (let byte = 0x80; byte <= 0xff; byte++) if (byte >= 0xa0 || !BYTES.has(byte)) BYTES.set(byte, byte);

/** A UTF-8 sequence as Windows-1252 displays it: a lead byte and its continuation bytes. */
const FOLLOWERS = `[\u0080-\u00bf${HIGH.replace(/[\u0080-\u009f]/g, "")}]`;
const RUN = new RegExp(
  `(?:[\u00c2-\u00df]${FOLLOWERS}|[\u00e0-\u00ef]${FOLLOWERS}{2}|[\u00f0-\u00f4]${FOLLOWERS}{3})+`,
  "g",
);
const SUSPECT = new RegExp(`[\u00c2-\u00f4]${FOLLOWERS}`);
/** Maximum number of repeated wrong decodings to undo. */
const MOST_LAYERS = 4;

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Returns the text with wrongly decoded runs repaired, or the same string if there are none. */
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
  // `Ã…` and `â€¦` are mojibake, but a capital before a quotation mark or dash may end a foreign word: `VOILÀ»`.
  if (run.length === 2 && /^\p{Lu}[»«”“’‘—–…·°]$/u.test(run) && !/^[ÂÃ]/.test(run)) return run;
  // A result with control characters is not the original text.
  for (let at = 0; at < decoded.length; at++) {
    const unit = decoded.charCodeAt(at);
    if (unit < 0x20 || (unit >= 0x80 && unit < 0xa0 && decoded.length === 1)) return run;
  }
  return decoded;
}
