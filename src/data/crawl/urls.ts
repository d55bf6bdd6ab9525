/**
 * @file Addresses as the frontier keeps them, each page's in one form, and the traps that would keep a crawler busy for
 * ever: calendars, session ids, endless queries, paths that repeat.
 */

/** Query parameters that tell visits apart, not pages. */
const VISIT_PARAMETERS =
  /^(utm_\w+|fbclid|gclid|msclkid|mc_[ce]id|phpsessid|jsessionid|aspsessionid\w*|cfid|cftoken|sid|sessionid|session_id|_ga)$/i;

const LONGEST = 2000;

/**
 * A link as the frontier keeps it: absolute, http or https, without fragment, credentials, session ids and tracking.
 * Null where it is no page's address.
 */
export function normaliseUrl(link: string, base?: string): string | null {
  let url: URL;
  try {
    url = new URL(link.trim(), base);
  } catch {
    return null;
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return null;
  url.hash = "";
  url.username = "";
  url.password = "";
  url.pathname = url.pathname.replace(/;jsessionid=[^/?#]*/gi, "").replace(/\/\([a-z]\([0-9a-z]{20,}\)\)/gi, "");
  const kept = [...url.searchParams].filter(([name]) => !VISIT_PARAMETERS.test(name));
  if (kept.length !== url.searchParams.size) url.search = new URLSearchParams(kept).toString();
  if (url.search === "?" || url.search === "") url.search = "";
  return url.href.length > LONGEST ? null : url.href;
}

export interface TrapLimits {
  /** Addresses of one path that differ in their queries alone. */
  readonly queriesPerPath: number;
  /** Addresses that are equal but for the numbers in them. */
  readonly perPattern: number;
  readonly parameters: number;
  readonly segments: number;
}

export const TRAP_LIMITS: TrapLimits = { queriesPerPath: 100, perPattern: 2000, parameters: 8, segments: 16 };

/** Dates in an address, as calendars make them: /2031/07/, ?month=7&year=2031, 2031-07-04. */
const DATED = /(\b|_)(19|20|21)\d\d([-/_.](0?[1-9]|1[0-2])\b|.{0,12}\bmonth\b)|\b(month|day|year|date)=/i;

/** Counts addresses by their shape, and says which are a trap. One for a whole crawl. */
export class TrapDetector {
  readonly #limits: TrapLimits;
  readonly #queries = new Map<string, number>();
  readonly #patterns = new Map<string, number>();

  constructor(limits: TrapLimits = TRAP_LIMITS) {
    this.#limits = limits;
  }

  /** Why an address that was not seen before should not be fetched; null where it should. Counts it. */
  trap(address: string): string | null {
    const url = new URL(address);
    const segments = url.pathname.split("/").filter((segment) => segment !== "");
    if (segments.length > this.#limits.segments) return "a very deep path";
    if (repeats(segments)) return "a path that repeats itself";
    if (url.searchParams.size > this.#limits.parameters) return "a query of many parameters";
    if (url.search !== "") {
      const path = url.origin + url.pathname;
      if (bump(this.#queries, path) > this.#limits.queriesPerPath) return "a path with endless queries";
    }
    const pattern = address.replace(/\d+/g, "0");
    if (pattern === address) return null;
    // A calendar has no end in either direction; a hundred pages of one are years of it.
    const limit = DATED.test(address) ? this.#limits.queriesPerPath : this.#limits.perPattern;
    return bump(this.#patterns, pattern) > limit ? "one of endless numbered pages" : null;
  }
}

function bump(counts: Map<string, number>, key: string): number {
  const count = (counts.get(key) ?? 0) + 1;
  counts.set(key, count);
  return count;
}

/** True where one to three segments come three times in a row: /a/b/a/b/a/b. */
function repeats(segments: readonly string[]): boolean {
  for (let length = 1; length <= 3; length++) {
    for (let at = 0; at + 3 * length <= segments.length; at++) {
      let same = true;
      for (let i = at; same && i < at + 2 * length; i++) same = segments[i] === segments[i + length];
      if (same) return true;
    }
  }
  return false;
}
