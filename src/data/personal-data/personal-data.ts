/**
 * @file Finds personal data in a text and masks, removes or reports it. Every type is searched in the original text. If two
 * matches overlap, a fixed order of types decides, so that the result does not depend on the order of the option `types`.
 */
import { z } from "zod";
import type { Step, StepResult } from "../filters/filter.js";
import { KEEP } from "../filters/filter.js";
import { stepOptions } from "../filters/step-options.js";
import { findEmails } from "./email.js";
import { findIps } from "./ip.js";
import { type Finder, PERSONAL_TYPES, type PersonalMatch, type PersonalType } from "./match.js";
import { findCreditCards, findIbans, findSocialSecurity } from "./numbers.js";
import { findPhones } from "./phone.js";
import { findSecrets } from "./secrets.js";

const FINDERS: Readonly<Record<PersonalType, Finder>> = {
  api_key: findSecrets,
  iban: findIbans,
  credit_card: findCreditCards,
  email: findEmails,
  ssn: findSocialSecurity,
  ip: findIps,
  phone: findPhones,
};

/** Replacement for each type. No placeholder matches as personal data, so that masking twice changes nothing. */
export const PLACEHOLDERS: Readonly<Record<PersonalType, string>> = {
  api_key: "<API_KEY>",
  iban: "<IBAN>",
  credit_card: "<CREDIT_CARD>",
  email: "<EMAIL>",
  ssn: "<SSN>",
  ip: "<IP_ADDRESS>",
  phone: "<PHONE>",
};

/** A quick first test: every match contains a digit, an at sign or one of these words. */
const MAY_CONTAIN = /[\d@＠]|PRIVATE KEY-----|[_-]key|secret|token|passw/i;

/** Returns the personal data in a text, in order, without overlaps. */
export function findPersonalData(text: string, types: readonly PersonalType[] = PERSONAL_TYPES): PersonalMatch[] {
  if (!MAY_CONTAIN.test(text)) return [];
  const accepted: PersonalMatch[] = [];
  for (const type of PERSONAL_TYPES) {
    if (!types.includes(type)) continue;
    const found = FINDERS[type](text);
    if (found.length === 0) continue;
    found.sort((a, b) => a.start - b.start || b.end - a.end);
    const earlier = accepted.slice();
    let end = -1;
    for (const match of found) {
      if (match.start < end || overlapsAny(earlier, match)) continue;
      accepted.push(match);
      end = match.end;
    }
    accepted.sort((a, b) => a.start - b.start);
  }
  return accepted;
}

/** Whether a match overlaps one of `sorted`, which must be in order and without overlaps. */
function overlapsAny(sorted: readonly PersonalMatch[], match: PersonalMatch): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle].end <= match.start) low = middle + 1;
    else high = middle;
  }
  return low < sorted.length && sorted[low].start < match.end;
}

export interface PersonalDataOptions {
  readonly types?: readonly PersonalType[];
  /** Replace it by a placeholder, remove it, or only count it. */
  readonly action?: "mask" | "remove" | "report";
}

export const PERSONAL_DATA = { types: PERSONAL_TYPES, action: "mask" } as const;

/** The step that masks, removes or reports personal data. */
export function personalData(options: PersonalDataOptions = {}): Step {
  const { types, action } = {
    ...PERSONAL_DATA,
    ...stepOptions(
      "personal-data",
      options,
      {},
      {
        types: z.array(z.enum(PERSONAL_TYPES)).optional(),
        action: z.enum(["mask", "remove", "report"]).optional(),
      },
    ),
  };
  return {
    name: "personal-data",
    settings: { types: PERSONAL_TYPES.filter((type) => types.includes(type)), action },
    expectsChange: false,
    judge({ passage }): StepResult {
      const matches = findPersonalData(passage.text, types);
      if (matches.length === 0) return KEEP;
      const edits: Record<string, number> = {};
      for (const { type } of matches) edits[type] = (edits[type] ?? 0) + 1;
      if (action === "report") return { keep: true, found: edits };
      return { keep: true, edits, ...replaced(passage.text, matches, action) };
    },
  };
}

function replaced(text: string, matches: readonly PersonalMatch[], action: "mask" | "remove") {
  const pieces: string[] = [];
  let from = 0;
  let cut = 0;
  let added = 0;
  for (const { type, start, end } of matches) {
    pieces.push(text.slice(from, start));
    cut += Buffer.byteLength(text.slice(start, end));
    if (action === "mask") {
      pieces.push(PLACEHOLDERS[type]);
      added += PLACEHOLDERS[type].length;
    }
    from = end;
  }
  pieces.push(text.slice(from));
  return { text: pieces.join(""), cut, added };
}
