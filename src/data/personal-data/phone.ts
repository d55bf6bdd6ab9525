/**
 * @file Telephone numbers. Digits alone say nothing: a number counts when it is written internationally, in the North
 * American form, or behind a word that announces it.
 */
import { createRequire } from "node:module";
import type { PhoneNumber, parsePhoneNumberFromString } from "libphonenumber-js/min";
import { type Finder, findAll, type PersonalMatch } from "./match.js";
import { before } from "./numbers.js";

/** +49 (0)30 123456, +1-415-555-2671, 0044 20 7946 0958. */
const INTERNATIONAL = /(?<![\w+.])(?:\+|00)[1-9]\d{0,2}(?:[ \u00a0.\-/]{0,2}\(?\d{1,5}\)?){1,7}(?![\w]|[.,]\d|-\d)/g;
/** (415) 555-2671, 415-555-2671, 1.415.555.2671. */
const NORTH_AMERICAN =
  /(?<![\w.+/-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}([-. ]))[2-9]\d{2}[-. ]\d{4}(?:(?: ?x| ?ext\.? ?)\d{1,5})?(?![\w]|-\d|\.\d)/gi;
/** Words that announce a number. */
const WORDS =
  "tel|telephone|tél|téléphone|telefon|teléfono|telefone|telefono|phone|ph|mobile|mob|cell|fax|hotline|call(?: us)?(?: (?:on|at))?|ring|whatsapp|sms|text|☎|📞";
/** Behind a word that announces it, 7 to 15 digits with the usual marks between. */
const ANNOUNCED = new RegExp(
  `(?<![\\p{L}])(?:${WORDS})(?: ?(?:no|nr|number|numbers|#))?\\.?[ \\t]*[:.#)-]?[ \\t]*(?<number>\\(?\\d(?:[ \\u00a0.\\-/()]{0,3}\\d){6,14})(?![\\w]|[.,/-]\\d)`,
  "giu",
);

/** Such a word a little before. */
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
    // 415-555.2671 is no way to write a number, and with spaces alone three groups may be anything.
    return found.includes("(") || (marks.size === 1 && !marks.has(" "));
  }),
  ...announced(text),
];

/** Written with the country's code; the numbering plans of libphonenumber decide where neither word nor place says enough. */
function international(text: string): PersonalMatch[] {
  const matches: PersonalMatch[] = [];
  for (const { 0: whole, index } of text.matchAll(INTERNATIONAL)) {
    // +1 412-268-7090 (24-hour hotline)
    const found = whole.replace(/[ \u00a0.\-/]*\([^)]*$/, "");
    const digits = found.replace(/\D/g, "").replace(/^00/, "");
    // 00 alone may as well begin a serial number: a space or mark must follow the country.
    if (found.startsWith("00") && !/^00[1-9]\d{0,2}[ .\-/(]/.test(found)) continue;
    if (digits.length < 8 || digits.length > 15) continue;
    const front = before(text, index, 24);
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

/** What the world's numbering plans say; they are loaded with the first number that needs them. */
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
