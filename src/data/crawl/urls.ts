/**
 * @file Normalizes addresses for the frontier, so that each page has one form. Detects the traps that would keep a
 * crawler busy forever: calendars, session ids, endless queries, repeating paths.
 * Nothing here decodes an address: a query may be in any charset, and only its original bytes fetch its page.
 */
import { AddressCounts } from "./address-set.js";
import { encodeQuery } from "./query-encoding.js";

/** Query parameters that identify the source of a visit, not a page. */
const TRACKING = /^(utm_\w+|fbclid|gclid|msclkid|mc_[ce]id|_ga)$/i;
/** Parameters that contain a session id, unless their value cannot be one. */
const SESSION = /^(phpsessid|jsessionid|aspsessionid\w*)$/i;
/** Parameters that contain either a session id or a property of the page; the value decides. */
const PERHAPS_SESSION = /^(s|sid|sess|sessid|session|sessionid|session_id|oscsid|zenid)$/i;
/** ColdFusion's session id has two halves. */
const COLDFUSION = /^cf(id|token)$/i;
const TOKEN = /^[\w.!~:,+-]*$/;
/** Random letters and digits in short runs: 32 hexadecimal digits, or the 24 characters of ASP.NET and 26 of PHP. */
const RANDOM = /^(?=(?:[a-z]*\d+(?=[a-z])){3})[0-9a-z]{20,}$/i;

/** Maximum characters of an address. */
export const LONGEST_ADDRESS = 2000;
/** Maximum characters of a link before parsing. A fragment may make it longer than its address. */
const LONGEST_LINK = 16_384;

/**
 * Normalizes a link: absolute, http or https, without fragment, credentials, session ids and tracking parameters.
 * Returns null if it is not the address of a page.
 * @param charset charset of the page with the link, used to encode its query (WHATWG URL, "encoding override")
 */
export function normalizeUrl(link: string, base?: string, charset = "utf-8"): string | null {
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
  // Removes the `?` of an empty query.
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

/** Returns the fragment if it selects another page by script (`#!topic`, `#/topic`), otherwise "". */
export function routeOf(address: string): string {
  const hash = address.indexOf("#");
  const fragment = hash < 0 ? "" : address.slice(hash).trimEnd();
  return fragment.length > 2 && /^#[!/]/.test(fragment) ? fragment : "";
}

/**
 * Returns the address in a Location header, which undici decodes as Latin-1. Bytes above ASCII are escaped one by one,
 * as browsers do for UTF-8; other charsets lose nothing.
 */
export function locationOf(header: string): string {
  return header.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}

export interface TrapLimits {
  /** Maximum addresses that share a path and differ only in their queries. */
  readonly queriesPerPath: number;
  /** Maximum addresses that differ only in their numbers. */
  readonly perPattern: number;
  readonly parameters: number;
  readonly segments: number;
}

export const TRAP_LIMITS: TrapLimits = { queriesPerPath: 100, perPattern: 2000, parameters: 8, segments: 16 };

/** Dates in addresses, as calendars write them: /2031/07/, ?month=7&year=2031, 2031-07-04. */
const DATED = /(\b|_)(19|20|21)\d\d([-/_.](0?[1-9]|1[0-2])\b|.{0,12}\bmonth\b)|\b(month|day|year|date)=/i;

/** Counts addresses by their shape, and detects traps. A crawl has one. */
export class TrapDetector {
  readonly #limits: TrapLimits;
  readonly #queries = new AddressCounts();
  readonly #patterns = new AddressCounts();

  constructor(limits: TrapLimits = TRAP_LIMITS) {
    this.#limits = limits;
  }

  /** Counts an address not seen before. Returns why it should not be fetched, or null if it should. */
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
    // A calendar never ends in either direction; a hundred of its pages cover years.
    const limit = DATED.test(address) ? this.#limits.queriesPerPath : this.#limits.perPattern;
    return this.#patterns.add(pattern) > limit ? "one of endless numbered pages" : null;
  }
}

/** Returns true if one to three segments repeat three times in a row: /a/b/a/b/a/b. */
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
