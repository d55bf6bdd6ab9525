/**
 * @file Finds telephone numbers. Digits alone are not enough: a number counts if it is in international form, in North
 * American form, or after a word that announces it.
 */
import { createRequire } from "node:module";
import type { PhoneNumber, parsePhoneNumberFromString } from "libphonenumber-js/min";
import { type Finder, findAll, type PersonalMatch } from "./match.js";
import { textBefore } from "./numbers.js";

/** +49 (0)30 123456, +1-415-555-2671, 0044 20 7946 0958. */
const INTERNATIONAL = /(?<![\w+.])(?:\+|00)[1-9]\d{0,2}(?:[ \u00a0.\-/]{0,2}\(?\d{1,5}\)?){1,7}(?![\w]|[.,]\d|-\d)/g;
/** (415) 555-2671, 415-555-2671, 1.415.555.2671. */
const NORTH_AMERICAN =
  /(?<![\w.+/-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}([-. ]))[2-9]\d{2}[-. ]\d{4}(?:(?: ?x| ?ext\.? ?)\d{1,5})?(?![\w]|-\d|\.\d)/gi;
/** Words that announce a number. */
const WORDS =
  "tel|telephone|tél|téléphone|telefon|teléfono|telefone|telefono|phone|ph|mobile|mob|cell|fax|hotline|call(?: us)?(?: (?:on|at))?|ring|whatsapp|sms|text|☎|📞";
/** A word that announces a number, then 7 to 15 digits with the usual separators. */
const ANNOUNCED = new RegExp(
  `(?<![\\p{L}])(?:${WORDS})(?: ?(?:no|nr|number|numbers|#))?\\.?[ \\t]*[:.#)-]?[ \\t]*(?<number>\\(?\\d(?:[ \\u00a0.\\-/()]{0,3}\\d){6,14})(?![\\w]|[.,/-]\\d)`,
  "giu",
);

/** A word that announces a number, shortly before it. */
const ANNOUNCEMENT = new RegExp(
  `(?<![\\p{L}])(?:${WORDS}|number)[^\\p{L}\\d]{0,6}(?:no|nr|number|is)?[^\\p{L}\\d]{0,12}$`,
  "iu",
);

export const findPhones: Finder = (text) => [
  ...international(text),
  ...findAll("phone", text, NORTH_AMERICAN, ({ 0: found }) => {
    const marks = new Set(
      found
        .replace(/^1[ .-]/, "")
        .replace(/\(\d{3}\) ?/, "")
        .match(/[-. ](?=\d)/g),
    );
    // 415-555.2671 mixes separators, and three groups separated by spaces may be anything.
    return found.includes("(") || (marks.size === 1 && !marks.has(" "));
  }),
  ...announced(text),
];

/** Finds numbers with a country code. If the context is inconclusive, libphonenumber's numbering plans decide. */
function international(text: string): PersonalMatch[] {
  const matches: PersonalMatch[] = [];
  for (const { 0: whole, index } of text.matchAll(INTERNATIONAL)) {
    // +1 412-268-7090 (24-hour hotline)
    const found = whole.replace(/[ \u00a0.\-/]*\([^)]*$/, "");
    const digits = found.replace(/\D/g, "").replace(/^00/, "");
    // 00 may also begin a serial number, so a separator must follow the country code.
    if (found.startsWith("00") && !/^00[1-9]\d{0,2}[ .\-/(]/.test(found)) continue;
    if (digits.length < 8 || digits.length > 15) continue;
    const front = textBefore(text, index, 24);
    if (/[\d=] ?$/.test(front)) continue;
    // (Europe) +353 1 473 53 72, but not f(x) + 12345678.
    if (
      /\) ?$/.test(front)
        ? !numbering(digits)?.isValid()
        : !ANNOUNCEMENT.test(front) && !numbering(digits)?.isPossible()
    )
      continue;
    matches.push({ type: "phone", start: index, end: index + found.length });
  }
  return matches;
}

const require = createRequire(import.meta.url);
let parse: typeof parsePhoneNumberFromString | undefined;

/** Parses a number by the world's numbering plans, which are loaded on first use. */
function numbering(digits: string): PhoneNumber | undefined {
  parse ??= (require("libphonenumber-js/min") as { parsePhoneNumberFromString: typeof parsePhoneNumberFromString })
    .parsePhoneNumberFromString;
  return parse(`+${digits}`);
}

function announced(text: string): PersonalMatch[] {
  const matches: PersonalMatch[] = [];
  for (const match of text.matchAll(ANNOUNCED)) {
    const number = match.groups?.number ?? "";
    const start = match.index + match[0].length - number.length;
    if (isDate(number)) continue;
    matches.push({ type: "phone", start, end: start + number.length });
  }
  return matches;
}

const isDate = (text: string) =>
  /^(?:\d{4}[-./](?:0?[1-9]|1[0-2])[-./](?:0?[1-9]|[12]\d|3[01])|(?:0?[1-9]|[12]\d|3[01])[-./](?:0?[1-9]|[12]\d|3[01])[-./](?:19|20)\d{2})\b/.test(
    text,
  ) || /^(?:19|20)\d{2}\s?[-–/]\s?(?:19|20)\d{2}$/.test(text);
