/** @file Finds numbers with check digits or a fixed form: credit cards, IBANs, US social security numbers. */
import { type Finder, findAll, type PersonalMatch } from "./match.js";

/** Separators between the groups of a card number: spaces of several widths, hyphens, full stops. */
const SPACES = " \\u00a0\\u2007\\u2009\\u202f";
const HYPHENS = "\\-\\u2010-\\u2013";
const DIGIT_RUN = new RegExp(`\\d+(?:(?:[${SPACES}]{1,2}|[${HYPHENS}.]|[${SPACES}][${HYPHENS}][${SPACES}])\\d+)*`, "g");
/** A quick first test: most numbers are too short to be a card number. */
const LONG_RUN = new RegExp(`\\d[\\d${SPACES}${HYPHENS}.]{10,}\\d`, "g");
const MOST_DIGITS = 19;
const LEAST_DIGITS = 12;

/** Group lengths in which card numbers are printed; other groupings are other kinds of number. */
const GROUPINGS =
  /^(?:4-4-4(?:-[1-4](?:-[1-3])?|-5)?|4-6-[45]|4-4-5|4-5-6|4-4-8|4-8-4|5-5-5|5-5-6|6-6(?:-[1-7])?|6-1[0-3]|8-[4-8]|4-3-3-3|5-4-[3-6]|4-4-4-[67])$/;

/** Words that announce a card number, and words that announce another kind of number. */
const CARD_WORD =
  /cards?|credit|debit|visa|master ?card|maestro|amex|american express|discover|jcb|diners|union ?pay|\bmir\b|\bccn?\b|\bpan\b|\bcc(?:_|nu)|karten?|kort|karta|karty|carte|cart[aã]o|carta|tarjeta|карт|卡|銀聯|银联|カード|카드|cvv|cvc|charged?|paid|pay(?:ing|s)? (?:with|by)|payment/giu;
const OTHER_WORD =
  /isbn|issn|\bean\b|gtin|\bupc\b|imei|iccid|meid|\border|invoice|tracking|parcel|shipment|serial|ticket|\bref\b|reference|\bid\b|[a-z]id\b|_id\b|uuid|timestamp|\bts\b|phone|\btel\b|\bfax\b|\bsku\b|\bdoi\b|pmid|barcode|transaction|\bbuild\b|hash|version|siret|\bvat\b|commit|tweet|status|asin|item|product|customer|nonce|epoch|seed|sensor|rechnung|bestell|commande|pedido/giu;

export const findCreditCards: Finder = (text) => {
  const matches: PersonalMatch[] = [];
  for (const { 0: run, index } of digitRuns(text)) {
    if (run.length < LEAST_DIGITS) continue;
    const groups = Array.from(run.matchAll(/\d+/g), (group) => ({ at: group.index, digits: group[0] }));
    for (let first = 0; first < groups.length; first++) {
      // Every grouping begins with at least four digits.
      if (groups[first].digits.length < 4) continue;
      const last = lastOfCard(text, index, groups, first);
      if (last < 0) continue;
      const end = index + groups[last].at + groups[last].digits.length;
      matches.push({ type: "credit_card", start: index + groups[first].at, end });
      first = last;
    }
  }
  return matches;
};

function* digitRuns(text: string): Generator<{ readonly 0: string; readonly index: number }> {
  for (const { 0: long, index } of text.matchAll(LONG_RUN)) {
    for (const run of long.matchAll(DIGIT_RUN)) yield { 0: run[0], index: index + run.index };
  }
}

type Group = { readonly at: number; readonly digits: string };

/** Returns the last group of the card number that begins with the group `first`, or −1 if none does. */
function lastOfCard(text: string, index: number, groups: readonly Group[], first: number): number {
  let digits = "";
  let mark: string | undefined;
  let found = -1;
  for (let last = first; last < groups.length; last++) {
    if (last > first) {
      const { at, digits: previous } = groups[last - 1];
      const between = text.slice(index + at + previous.length, index + groups[last].at);
      const kind = between.trim() === "" ? " " : between.trim();
      mark ??= kind;
      // Card numbers do not mix separators: 4111 1111-1111 1111.
      if (kind !== mark) break;
    }
    digits += groups[last].digits;
    if (digits.length > MOST_DIGITS || last - first > 4) break;
    if (digits.length < LEAST_DIGITS) continue;
    const shape = groups.slice(first, last + 1).map((group) => group.digits.length);
    if (!isCard(text, index, groups, first, last, digits, shape)) continue;
    // 4111 1111 1111 1111 12/27: the date is not part of the number.
    if (
      found >= 0 &&
      /^\/\d/.test(
        text.slice(
          index + groups[last].at + groups[last].digits.length,
          index + groups[last].at + groups[last].digits.length + 2,
        ),
      )
    )
      break;
    found = last;
  }
  return found;
}

function isCard(
  text: string,
  index: number,
  groups: readonly Group[],
  first: number,
  last: number,
  digits: string,
  shape: readonly number[],
): boolean {
  const grouped = shape.length > 1;
  const usual = GROUPINGS.test(shape.join("-"));
  if (grouped && !usual && shape.some((size) => size < 3)) return false;
  const issued = issuedAs(digits);
  if (issued === "none" || !passesLuhn(digits)) return false;
  const start = index + groups[first].at;
  const end = index + groups[last].at + groups[last].digits.length;
  const [left, right] = [text[start - 1] ?? "", text[end] ?? ""];
  const context = contextOf(text, start, end);
  if (
    /[+A-Za-z]/.test(left) &&
    !(left !== "+" && context === "card" && !/[a-f\d]{8}$/i.test(textBefore(text, start, 8)))
  )
    return false;
  if (/[A-Za-z_]/.test(right) || (/[.]/.test(right) && /\d/.test(text[end + 1] ?? "") && !grouped)) return false;
  // 0.4111… is a fraction.
  if (/(?:^|\D)\d*[.]$|(?:^|\D)0,$/.test(textBefore(text, start, 24)) && !grouped) return false;
  if (context === "other") return issued === "usual" && grouped && usual;
  // Probably part of a table of numbers.
  const beside = [groups[first - 1], groups[last + 1]].some((group) => group?.digits.length === 4);
  if (grouped && (beside || !usual) && context !== "card") return false;
  if (/[/#_:\-.]/.test(left) && !grouped) return context === "card" || (left === ":" && issued === "usual");
  return context === "card" || issued === "usual" || (issued === "seldom" && grouped);
}

/** Returns the kind of number announced by the nearest preceding word, or by a word right after it. */
function contextOf(text: string, start: number, end: number): "card" | "other" | "none" {
  const front = textBefore(text, start, 60).replace(/.*\n\s*\n/s, "");
  const place = (words: RegExp) => {
    let at = -1;
    for (const { index, 0: word } of front.matchAll(words)) at = index + word.length;
    return at;
  };
  const [card, other] = [place(CARD_WORD), place(OTHER_WORD)];
  // A word for another number must be close to it; a word for a card may be at the start of the sentence.
  if (other > card && front.length - other < 16) return "other";
  if (card > other) return "card";
  const rest = text.slice(end, end + 32).replace(/\n.*/s, "");
  return rest.search(CARD_WORD) >= 0 || /^[^\d]{0,24}(?:\bexp|valid|\d\d\/\d\d)/i.test(rest) ? "card" : "none";
}

/**
 * How likely a number is a card number, by network prefix and length: `usual` for nearly all cards of a network, `seldom` if
 * it must be grouped or announced, `announced` if a word must announce it.
 */
function issuedAs(digits: string): "usual" | "seldom" | "announced" | "none" {
  const length = digits.length;
  const usual = (...lengths: readonly number[]) => (lengths.includes(length) ? "usual" : undefined);
  let kind: "usual" | "seldom" | undefined;
  if (/^4/.test(digits)) kind = usual(16, 19) ?? (length === 13 ? "seldom" : undefined);
  else if (/^(?:5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|220[0-4])/.test(digits)) kind = usual(16);
  else if (/^3[47]/.test(digits)) kind = usual(15);
  else if (/^3(?:0[0-5]|095|[689])/.test(digits)) kind = usual(14) ?? (length > 14 ? "seldom" : undefined);
  else if (/^35(?:2[89]|[3-8])/.test(digits)) kind = usual(16, 19) ?? (length > 15 ? "seldom" : undefined);
  else if (/^6(?:011|4[4-9]|5|2)|^8[12]/.test(digits)) kind = usual(16, 19) ?? (length > 16 ? "seldom" : undefined);
  else if (/^(?:5018|5020|5038|5893|6304|6759|676[1-3]|9792)/.test(digits)) kind = usual(16);
  if (kind !== undefined) return kind;
  // Maestro has 12 to 19 digits, JCB once had 15.
  if (/^(?:5[06-9]|6)/.test(digits) || (length === 15 && /^(?:1800|2131|35|1)/.test(digits))) return "announced";
  return "none";
}

/** Whether the Luhn check digit is right (ISO/IEC 7812-1, annex B). */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 0x30;
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0 && !/^0+$/.test(digits);
}

/**
 * Format after the check digits by country (SWIFT's registry): the number of digits (n), capital letters (a) or either (c).
 */
const IBAN_FORMS =
  "AD8n12c AE19n AL8n16c AT16n AZ4a20c BA16n BE12n BG4a6n8c BH4a14c BI23n BR23n1a1c BY4c4n16c CH5n12c CR18n CY8n16c CZ20n DE18n " +
  "DJ23n DK14n DO4c20n EE16n EG25n ES20n FI14n FK2a12n FO14n FR10n11c2n GB4a14n GE2a16n GI4a15c GL14n GR7n16c GT24c HN4a20n " +
  "HR17n HU24n IE4a14n IL19n IQ4a15n IS22n IT1a10n12c JO4a4n18c KW4a22c KZ3n13c LB4n20c LC4a24c LI5n12c LT16n LU3n13c LV4a13c " +
  "LY21n MC10n11c2n MD20c ME18n MK3n10c2n MN16n MR23n MT4a5n18c MU4a19n3a NI4a20n NL4a10n NO11n OM3n16c PK4a16c PL24n PS4a21c " +
  "PT21n QA4a21c RO4a16c RS18n RU14n15c SA2n18c SC4a20n3a SD14n SE20n SI15n SK20n SM1a10n12c SO19n ST21n SV4a20n TL19n TN20n " +
  "TR6n16c UA6n19c VA18n VG4a16n XK16n YE4a4n18c";
const IBANS = new Map(
  IBAN_FORMS.split(" ").map((entry) => {
    const parts = Array.from(entry.slice(2).matchAll(/(\d+)([nac])/g), ([, count, kind]) => ({ count, kind }));
    const classes = { n: "\\d", a: "[A-Z]", c: "[A-Z0-9]" };
    const form = parts.map(({ count, kind }) => `${classes[kind as "n"]}{${count}}`).join("");
    const length = 4 + parts.reduce((sum, { count }) => sum + Number(count), 0);
    return [entry.slice(0, 2), { length, form: new RegExp(`^.{4}${form}$`) }] as const;
  }),
);
const IBAN_BEGIN = /(?<![A-Za-z0-9])(?:IBAN)?([A-Z]{2})[ \u00a0\u202f]?\d\d(?=[\s\u2010-\u2013A-Z0-9.-])/gi;
const IBAN_MARK = new RegExp(`[${SPACES}\\t${HYPHENS}.]`);

/** Finds IBANs as in ISO 13616: of the country's length, in one piece or in groups, with remainder 1 modulo 97. */
export const findIbans: Finder = (text) => {
  const matches: PersonalMatch[] = [];
  for (const { 0: begin, 1: country, index } of text.matchAll(IBAN_BEGIN)) {
    const known = IBANS.get(country.toUpperCase());
    if (known === undefined) continue;
    const start = index + (/^IBAN[A-Z]{2}/i.test(begin) ? 4 : 0);
    let end = start;
    let characters = "";
    let marks = 0;
    while (characters.length < known.length && end < text.length) {
      const character = text[end];
      if (/[A-Za-z0-9]/.test(character)) {
        characters += character;
        marks = 0;
      } else if (!IBAN_MARK.test(character) || ++marks > 2) break;
      end += 1;
    }
    if (characters.length < known.length || /[A-Za-z0-9]/.test(text[end] ?? "")) continue;
    if (remainder97(characters) !== 1) continue;
    // In capitals and without hyphens or stops it is accepted; otherwise it must have its country's form or be announced.
    const usual = characters === characters.toUpperCase() && !/[-\u2010-\u2013.]/.test(text.slice(start, end));
    if (!usual && !known.form.test(characters.toUpperCase()) && !/iban\W*$/i.test(textBefore(text, start, 24)))
      continue;
    matches.push({ type: "iban", start, end });
  }
  return matches;
};

function remainder97(iban: string): number {
  let remainder = 0;
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder;
}

const SSN = /(?<![\w.+-])(?!000|666|9)\d{3}([- ])(?!00)\d\d\1(?!0000)\d{4}(?![\w-]|\.\d)/g;
const SSN_BARE = /(?<!\w)(?!000|666|9)\d{3}(?!00)\d\d(?!0000)\d{4}(?!\w)/g;
const SSN_WORD = /(?:\bssn\b|social[ -]security)[^\d\n]{0,40}$/i;

/** Finds US social security numbers. With spaces or in one piece, a number counts only after words that announce it. */
export const findSocialSecurity: Finder = (text) => [
  ...findAll("ssn", text, SSN, (match) => match[1] === "-" || SSN_WORD.test(textBefore(text, match.index))),
  ...findAll("ssn", text, SSN_BARE, (match) => SSN_WORD.test(textBefore(text, match.index))),
];

export const textBefore = (text: string, index: number, length = 64) => text.slice(Math.max(0, index - length), index);
