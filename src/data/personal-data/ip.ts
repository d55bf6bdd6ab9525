/**
 * @file Public addresses of the internet protocol. Private, reserved and example ranges tell nothing about a person; four
 * numbers with stops are as often a version or a heading's number, which what stands around them gives away.
 */
import { type Finder, findAll } from "./match.js";
import { before } from "./numbers.js";

const V4 =
  /(?<![\w.])(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}(?![\w]|\.\d|-\d)/g;
/** Two groups at least before and after, so that times of day and ratios are none. */
const V6 = /(?<![\w:.])(?:[0-9a-f]{1,4}:){2,7}(?::|[0-9a-f]{1,4})(?::?[0-9a-f]{1,4}){0,7}(?![\w:])/gi;

export const findIps: Finder = (text) => [
  ...findAll("ip", text, V4, ({ 0: found, index }) => isPublicV4(found) && !isNumbering(text, index, found)),
  ...findAll("ip", text, V6, ([found]) => isPublicV6(found)),
];

function isNumbering(text: string, index: number, found: string): boolean {
  const front = before(text, index);
  if (
    /(?:\b(?:v|ver|version|versions|release|build|update|firmware|driver|section|sections|chapter|clause|article|figure|table|§)\.? ?|[A-Za-z]\/|[-_=~^<>]=? ?)$/i.test(
      front,
    )
  ) {
    return !/:\/\/$/.test(front) && !/\bip ?=? ?$/i.test(front);
  }
  // 4.2.1.3 Scope: the number of a heading.
  const rest = text.slice(index + found.length, index + found.length + 2);
  return (
    /(?:^|\n)[ \t]*$/.test(front) && /^[ \t.)]\s?/.test(rest) && found.split(".").every((part) => Number(part) < 30)
  );
}

/** IANA's special-purpose registry, as ranges of the first bytes. */
function isPublicV4(address: string): boolean {
  const [a, b, c] = address.split(".").map(Number);
  if (a === 0 || a === 10 || a === 127 || a >= 224) return false;
  if (a === 100 && b >= 64 && b < 128) return false;
  if (a === 169 && b === 254) return false;
  if (a === 172 && b >= 16 && b < 32) return false;
  if (a === 192 && (b === 168 || (b === 0 && (c === 0 || c === 2)) || (b === 88 && c === 99))) return false;
  if (a === 198 && (b === 18 || b === 19 || (b === 51 && c === 100))) return false;
  return !(a === 203 && b === 0 && c === 113);
}

function isPublicV6(address: string): boolean {
  const halves = address.toLowerCase().split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => half.split(":").filter((group) => group !== ""));
  if (halves.length === 1 ? groups.length !== 8 : groups.length > 7) return false;
  if (!/\d/.test(address) || address.startsWith("::") || address.endsWith(":")) return false;
  const first = Number.parseInt(groups[0], 16);
  // 2000::/3 is what is given out; 2001:db8::/32 and 3fff::/20 are for examples.
  if (first >> 13 !== 1 || groups[0].length !== 4) return false;
  return !(first === 0x2001 && groups[1] === "db8") && !(first === 0x3fff);
}
