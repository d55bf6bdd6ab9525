/**
 * @file E-mail addresses. Every `@` is looked at from both sides, so that the time grows with the text and not with the
 * length of what stands before it. The end of the domain must be one that exists: `icon@2x.png` and `pkg@1.2.3` are no mail.
 */
import { parse } from "tldts";
import type { Finder, PersonalMatch } from "./match.js";

/** RFC 5321's limits, in characters. */
const LONGEST_NAME = 64;
const LONGEST_DOMAIN = 253;

export const findEmails: Finder = (text) => {
  const matches: PersonalMatch[] = [];
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    let start = at;
    while (start > 0 && at - start <= LONGEST_NAME && isNameUnit(text.charCodeAt(start - 1))) start -= 1;
    while (start < at && !isWordUnit(text.charCodeAt(start))) start += 1;
    if (start === at || at - start > LONGEST_NAME || !isWordUnit(text.charCodeAt(at - 1), "+_-")) continue;
    // The user of every git server.
    if (text.slice(start, at) === "git") continue;
    let end = at + 1;
    while (end < text.length && end - at <= LONGEST_DOMAIN + 1 && isDomainUnit(text.charCodeAt(end))) end += 1;
    while (end > at && !isWordUnit(text.charCodeAt(end - 1))) end -= 1;
    const domain = text.slice(at + 1, end);
    if (end - at > LONGEST_DOMAIN || !/^[^.]+(?:\.[^.]+)+$/.test(domain)) continue;
    const { isIcann, domain: registered } = parse(domain.toLowerCase());
    if (isIcann && registered !== null) matches.push({ type: "email", start, end });
  }
  return matches;
};

function isWordUnit(unit: number, others = ""): boolean {
  return (
    (unit >= 0x30 && unit <= 0x39) ||
    (unit >= 0x41 && unit <= 0x5a) ||
    (unit >= 0x61 && unit <= 0x7a) ||
    (unit >= 0xc0 && unit < 0x2000 && unit !== 0xd7 && unit !== 0xf7) ||
    others.includes(String.fromCharCode(unit))
  );
}

const isNameUnit = (unit: number) => isWordUnit(unit, ".!#$%&'*+/=?^_`{|}~-");
const isDomainUnit = (unit: number) => isWordUnit(unit, ".-");
