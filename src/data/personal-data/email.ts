/**
 * @file Finds e-mail addresses. The search starts at each `@` and extends to both sides by a bounded length, so that it takes
 * linear time. The top-level domain must exist: `icon@2x.png` and `pkg@1.2.3` are not addresses.
 */
import { parse } from "tldts";
import type { Finder, PersonalMatch } from "./match.js";

/** RFC 5321 allows 64, but mailing lists and ticket systems use longer names. Of a longer name, the end is found. */
const LONGEST_NAME = 128;
const LONGEST_DOMAIN = 253;

/** The at sign: plain, full-width as in East Asian text, as an HTML entity, or percent-encoded once or twice. */
const AT = /[@＠]|[&%](?:#(?:64|x40);|(?:25)?40)/gi;
/** RFC 5322 allows these in a name, but in practice they separate it from a key, address or name before it. */
const PARTS = /[/?&|=#$*^{}~`!]|%(?:25)*(?:[01][0-9a-f]|2[0-24-9acf]|3[a-f]|5[b-e]|60|7[b-f])/gi;

export const findEmails: Finder = (text) => {
  const matches: PersonalMatch[] = [];
  let free = 0;
  for (const { 0: sign, index: at } of text.matchAll(AT)) {
    const after = at + sign.length;
    const start = startOfName(text, at, free);
    if (start === at || !isWordUnit(text.charCodeAt(at - 1), "+_-")) continue;
    // `git@` is the user name of git servers.
    if (text.slice(start, at) === "git") continue;
    const end = endOfDomain(text, after);
    if (end === after) continue;
    matches.push({ type: "email", start, end });
    free = end;
  }
  return matches;
};

/** Returns the start of the name before `at`, or `at` if there is none. */
function startOfName(text: string, at: number, free: number): number {
  let start = at;
  const least = Math.max(free, at - LONGEST_NAME);
  while (start > least && isNameUnit(text.charCodeAt(start - 1))) start -= 1;
  const name = text.slice(start, at);
  for (const { 0: part, index } of name.matchAll(PARTS)) {
    const next = index + part.length;
    // `bounce+jane=example.com@lists.example.org` is a single address that encodes another one.
    if (part === "=" && /\+[\w.-]+$|^prvs$/.test(name.slice(0, index)) && !/[&?]/.test(name)) continue;
    if (next < name.length) start = at - name.length + next;
  }
  while (start < at && !isWordUnit(text.charCodeAt(start))) start += 1;
  return start;
}

/** Returns the end of the domain that begins at `from`, or `from` if there is none. */
function endOfDomain(text: string, from: number): number {
  let end = from;
  while (end < text.length && end - from <= LONGEST_DOMAIN && isDomainUnit(text.charCodeAt(end))) end += 1;
  while (end > from && !isWordUnit(text.charCodeAt(end - 1))) end -= 1;
  const domain = text.slice(from, end);
  if (domain.length > LONGEST_DOMAIN) return from;
  if (isDomain(domain)) return end;
  // The next sentence follows without a space: jane@example.com.Please
  const shorter = domain.replace(/\.\p{Lu}\p{Ll}+$/u, "");
  return shorter !== domain && isDomain(shorter) ? from + shorter.length : from;
}

function isDomain(domain: string): boolean {
  // 1.2.zip is a versioned file; 163.com is a large mail service.
  if (!/^[^.]+(?:\.[^.]+)+$/.test(domain) || /^\d+(?:\.\d+)+\.[^.]+$/.test(domain)) return false;
  const { isIcann, domain: registered } = parse(domain.toLowerCase());
  return isIcann === true && registered !== null;
}

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
