/** @file Types of personal data, and a match in a text. */

/** In order of precedence if two matches overlap: types with a check digit or a fixed form come before less certain ones. */
export const PERSONAL_TYPES = ["api_key", "iban", "credit_card", "email", "ssn", "ip", "phone"] as const;

export type PersonalType = (typeof PERSONAL_TYPES)[number];

export interface PersonalMatch {
  readonly type: PersonalType;
  /** UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

/** Finds the matches of one type in a text. */
export type Finder = (text: string) => PersonalMatch[];

/** Returns the matches of a pattern that pass a check. */
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
