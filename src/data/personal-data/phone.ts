/**
 * @file Telephone numbers. Digits alone say nothing: a number counts when it is written internationally, in the North
 * American form, or behind a word that announces it.
 */
import { type Finder, findAll, type PersonalMatch } from "./match.js";
import { before } from "./numbers.js";

/** +49 (0)30 123456, +1-415-555-2671, 0044 20 7946 0958. */
const INTERNATIONAL = /(?<![\w+.])(?:\+|00)[1-9]\d{0,2}(?:[ \u00a0.\-/]{0,2}\(?\d{1,5}\)?){1,7}(?![\w]|[.,]\d|-\d)/g;
/** (415) 555-2671, 415-555-2671, 1.415.555.2671. */
const NORTH_AMERICAN =
  /(?<![\w.+/-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}([-. ]))[2-9]\d{2}[-. ]\d{4}(?:(?: ?x| ?ext\.? ?)\d{1,5})?(?![\w]|-\d|\.\d)/gi;
/** Behind a word that announces it, 7 to 15 digits with the usual marks between. */
const ANNOUNCED =
  /(?<![\p{L}])(?:tel|telephone|tél|téléphone|telefon|teléfono|telefone|telefono|phone|ph|mobile|mob|cell|fax|hotline|call(?: us)?(?: (?:on|at))?|ring|whatsapp|sms|text|☎|📞)(?: ?(?:no|nr|number|numbers|#))?\.?[ \t]*[:.#)-]?[ \t]*(?<number>\(?\d(?:[ \u00a0.\-/()]{0,3}\d){6,14})(?![\w]|[.,/-]\d)/giu;

export const findPhones: Finder = (text) => [
  ...findAll("phone", text, INTERNATIONAL, ({ 0: found, index }) => {
    const digits = found.replace(/\D/g, "").replace(/^00/, "");
    // 00 alone is as well the beginning of a serial number: there must be a space or mark after the country.
    if (found.startsWith("00") && !/^00[1-9]\d{0,2}[ .\-/(]/.test(found)) return false;
    return digits.length >= 8 && digits.length <= 15 && !/[\d)=] ?$/.test(before(text, index, 3));
  }),
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
