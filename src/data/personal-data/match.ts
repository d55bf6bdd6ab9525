/** @file A piece of personal data found in a text. */

/** In the order in which they win where two overlap: what has a check digit or a fixed form before what is only likely. */
export const PERSONAL_TYPES = ["api_key", "iban", "credit_card", "email", "ssn", "ip", "phone"] as const;

export type PersonalType = (typeof PERSONAL_TYPES)[number];

export interface PersonalMatch {
  readonly type: PersonalType;
  /** UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

/** Finds the matches of one type in a text, each on its own. */
export type Finder = (text: string) => PersonalMatch[];

/** The matches of a pattern that a check lets pass. */
export function findAll(
  type: PersonalType,
  text: string,
  pattern: RegExp,
  check: (match: RegExpExecArray) => boolean = () => true,
): PersonalMatch[] {
  const matches: PersonalMatch[] = [];
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    if (check(match)) matches.push({ type, start: match.index, end: match.index + match[0].length });
  }
  return matches;
}
