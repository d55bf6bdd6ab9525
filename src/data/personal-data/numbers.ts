/** @file Numbers with check digits or a fixed form: credit cards, IBANs, American social security numbers. */
import { type Finder, findAll } from "./match.js";

/** 13 to 19 digits, alone or in groups with one kind of separator. */
const CARD = /(?<![\d.,:/_+-])(?<![A-Za-z])\d(?:[ -]?\d){12,18}(?![\d_]|[.,-]\d)/g;

export const findCreditCards: Finder = (text) =>
  findAll("credit_card", text, CARD, ([found]) => {
    if (found.includes(" ") && found.includes("-")) return false;
    const digits = found.replace(/[ -]/g, "");
    return isIssued(digits) && groupsLikeACard(found) && passesLuhn(digits);
  });

/** The first digits and lengths of the card networks. */
function isIssued(digits: string): boolean {
  const length = digits.length;
  if (/^4/.test(digits)) return length === 13 || length === 16 || length === 19;
  if (/^(5[1-5]|2(22[1-9]|2[3-9]|[3-6]|7[01]|720))/.test(digits)) return length === 16;
  if (/^3[47]/.test(digits)) return length === 15;
  if (/^3(0[0-5]|[689])/.test(digits)) return length >= 14;
  if (/^35(2[89]|[3-8])/.test(digits)) return length >= 16;
  if (/^6(011|4[4-9]|5|22)/.test(digits)) return length >= 16;
  if (/^(5018|5020|5038|5893|6304|6759|676[1-3]|62)/.test(digits)) return length >= 16;
  return false;
}

/** Cards are printed in groups of four, or 4-6-5 and 4-6-4; other groupings are other numbers. */
function groupsLikeACard(found: string): boolean {
  const groups = found.split(/[ -]/).map((group) => group.length);
  if (groups.length === 1) return true;
  const shape = groups.join("-");
  return /^4-4-4-[1-4](-[1-3])?$/.test(shape) || shape === "4-6-5" || shape === "4-6-4";
}

/** ISO/IEC 7812-1, annex B. */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 0x30;
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0 && !/^0+$/.test(digits);
}

/** Characters of an IBAN by country (SWIFT's registry). */
const IBAN_LENGTHS: Readonly<Record<string, number>> = Object.fromEntries(
  (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 " +
    "FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 " +
    "LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 " +
    "RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
  )
    .split(" ")
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);
const IBAN_BEGIN = /(?<![A-Za-z0-9])[A-Z]{2}\d\d(?=[ A-Z0-9])/g;

/** ISO 13616: the country's length, in one piece or in groups, and the remainder 1 modulo 97. */
export const findIbans: Finder = (text) => {
  const matches = [];
  IBAN_BEGIN.lastIndex = 0;
  for (let match = IBAN_BEGIN.exec(text); match !== null; match = IBAN_BEGIN.exec(text)) {
    const wanted = IBAN_LENGTHS[match[0].slice(0, 2)];
    if (wanted === undefined) continue;
    let end = match.index;
    let characters = "";
    while (characters.length < wanted && end < text.length) {
      const character = text[end];
      if (/[A-Z0-9]/.test(character)) characters += character;
      else if (character !== " " && character !== "\u00a0") break;
      else if (text[end + 1] === " ") break;
      end += 1;
    }
    if (characters.length < wanted || /[A-Za-z0-9]/.test(text[end] ?? "")) continue;
    if (remainder97(characters) === 1) matches.push({ type: "iban" as const, start: match.index, end });
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

/** With hyphens by its form alone; with spaces or in one piece only behind the words that name it. */
export const findSocialSecurity: Finder = (text) => [
  ...findAll("ssn", text, SSN, (match) => match[1] === "-" || SSN_WORD.test(before(text, match.index))),
  ...findAll("ssn", text, SSN_BARE, (match) => SSN_WORD.test(before(text, match.index))),
];

export const before = (text: string, index: number, length = 64) => text.slice(Math.max(0, index - length), index);
