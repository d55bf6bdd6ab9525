/** @file The pre-tokenizer `Digits`, as a lexer over bytes because StarCoder and SmolLM apply it to every text. */
import type { Splitter } from "./patterns.js";
import { classOf, NUMBER } from "./unicode-classes.js";

/** Splits number characters from other text: each on its own if `isIndividual`, else in runs. */
export function digitSplitter(isIndividual: boolean): Splitter {
  return {
    divisible: false,
    isLocal: true,
    lex(bytes, start, end, bounds, count) {
      let inNumber = false;
      for (let i = start; i < end; ) {
        const lead = bytes[i];
        let width = 1;
        let isNumber = lead >= 48 && lead <= 57;
        if (lead >= 0x80) {
          width = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
          let point = lead & (0xff >> (width + 1));
          for (let k = 1; k < width; k++) point = (point << 6) | (bytes[i + k] & 0x3f);
          isNumber = classOf(point) === NUMBER;
        }
        if (i > start && (isNumber !== inNumber || (isNumber && isIndividual))) bounds[count++] = i;
        inNumber = isNumber;
        i += width;
      }
      if (end > start) bounds[count++] = end;
      return count;
    },
  };
}
