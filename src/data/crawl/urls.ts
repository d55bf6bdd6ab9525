/**
 * @file Addresses as the frontier keeps them, each page's in one form, and the traps that would keep a crawler busy for
 * ever: calendars, session ids, endless queries, paths that repeat. Nothing here decodes an address: a query may be in
 * any charset, and only its own bytes fetch its page.
 */
import { AddressCounts } from "./address-set.js";
import { encodeQuery } from "./query-encoding.js";

/** Query parameters that name a visit's origin, not a page. */
const TRACKING = /^(utm_\w+|fbclid|gclid|msclkid|mc_[ce]id|_ga)$/i;
/** Parameters that hold a session id, unless their value cannot be one. */
const SESSION = /^(phpsessid|jsessionid|aspsessionid\w*)$/i;
/** Parameters that hold a session id or something that belongs to the page, as the value shows. */
const PERHAPS_SESSION = /^(s|sid|sess|sessid|session|sessionid|session_id|oscsid|zenid)$/i;
/** ColdFusion's session id has two halves. */
const COLDFUSION = /^cf(id|token)$/i;
const TOKEN = /^[\w.!~:,+-]*$/;
/** Letters and digits by chance, so in many short runs: 32 hexadecimal digits, or the 24 and 26 of ASP.NET and PHP. */
const RANDOM = /^(?=(?:[a-z]*\d+(?=[a-z])){3})[0-9a-z]{20,}$/i;

/** Characters of an address. */
export const LONGEST_ADDRESS = 2000;
/** Characters of a link before it is parsed; a fragment may make it longer than its address. */
const LONGEST_LINK = 16_384;

/**
 * A link as the frontier keeps it: absolute, http or https, without fragment, credentials, session ids and tracking.
 * Null for what is not a page's address.
 * @param charset of the page that holds the link, in which its query is encoded (WHATWG URL, "encoding override")
 */
export function normaliseUrl(link: string, base?: string, charset = "utf-8"): string | null {
  if (link.length > LONGEST_LINK) return null;
  let url: URL;
  try {
    url = new URL(encodeQuery(link.trim(), charset), base);
  } catch {
    return null;
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return null;
  url.hash = "";
  url.username = "";
  url.password = "";
  url.pathname = url.pathname.replace(/;jsessionid=[^/?#]*/gi, "").replace(/\/\([a-z]\([0-9a-z]{20,}\)\)/gi, "");
  const parameters = url.search.slice(1).split("&");
  const isColdFusion = parameters.filter((parameter) => COLDFUSION.test(parameter.split("=", 1)[0])).length === 2;
  const kept = parameters.filter((parameter) => !isOfVisit(parameter, isColdFusion));
  if (kept.length !== parameters.length) url.search = kept.join("&");
  // An empty query is none.
  if (url.search === "") url.search = "";
  return url.href.length > LONGEST_ADDRESS ? null : url.href;
}

function isOfVisit(parameter: string, isColdFusion: boolean): boolean {
  const equals = parameter.indexOf("=");
  const name = (equals < 0 ? parameter : parameter.slice(0, equals)).replace(/%5f/gi, "_");
  const value = equals < 0 ? "" : parameter.slice(equals + 1);
  if (TRACKING.test(name)) return true;
  if (SESSION.test(name)) return TOKEN.test(value);
  if (PERHAPS_SESSION.test(name)) return RANDOM.test(value);
  return isColdFusion && COLDFUSION.test(name);
}

/** The fragment of an address whose script shows another page for it (`#!topic`, `#/topic`); else empty. */
export function routeOf(address: string): string {
  const hash = address.indexOf("#");
  const fragment = hash < 0 ? "" : address.slice(hash).trimEnd();
  return fragment.length > 2 && /^#[!/]/.test(fragment) ? fragment : "";
}

/**
 * The address that a Location header holds. Its bytes, which undici gives as latin1, are kept: those above ASCII are
 * escaped one by one, which is what a browser makes of UTF-8 and loses nothing of another charset.
 */
export function locationOf(header: string): string {
  return header.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
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
  readonly #queries = new AddressCounts();
  readonly #patterns = new AddressCounts();

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
      if (this.#queries.add(path) > this.#limits.queriesPerPath) return "a path with endless queries";
    }
    const pattern = address.replace(/\d+/g, "0");
    if (pattern === address) return null;
    // A calendar has no end in either direction; a hundred pages of one are years of it.
    const limit = DATED.test(address) ? this.#limits.queriesPerPath : this.#limits.perPattern;
    return this.#patterns.add(pattern) > limit ? "one of endless numbered pages" : null;
  }
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
