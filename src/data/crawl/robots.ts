/**
 * @file What an origin's robots.txt allows: RFC 9309, and where it is silent the documented practice of search engines.
 * The file is read as bytes, since a path in it is compared with the bytes of an address, not with characters.
 */

/** The name by which robots.txt may address us. */
export const PRODUCT = "quern";

export interface Robots {
  allows(url: string): boolean;
  /** Seconds between requests, where the file gives them. */
  readonly delay: number | undefined;
  readonly sitemaps: readonly string[];
  /** Why the file could not be read, when that forbids everything. */
  readonly problem?: string;
  /** Bytes of memory that the rules take, roughly. */
  readonly size: number;
}

/** RFC 9309, 2.5: a crawler reads at least this much, and may leave the rest. */
export const LARGEST_ROBOTS = 500 * 1024;
/** Sitemaps that one file may name; each is an address that its author makes us fetch. */
const MOST_SITEMAPS = 200;

export const ALLOW_ALL: Robots = { allows: () => true, delay: undefined, sitemaps: [], size: 0 };

/** Forbids everything, since the file could not be read: RFC 9309, 2.3.1.4. */
export function unreadableRobots(problem: string): Robots {
  return { allows: () => false, delay: undefined, sitemaps: [], problem, size: 0 };
}

/**
 * From the answer to /robots.txt: a file that is not there (4xx) allows everything; a server that fails (5xx, 429, no
 * answer: null) forbids everything.
 */
export function robotsFrom(_url: string, status: number | null, body: string | Uint8Array): Robots {
  if (status === null) return unreadableRobots("no answer");
  if (status >= 500 || status === 429) return unreadableRobots(`status ${status}`);
  if (status >= 400) return ALLOW_ALL;
  const bytes = typeof body === "string" ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.length);
  const { own, everyone, sitemaps } = parse(bytes);
  const { rules, delay } = own ?? everyone;
  const ordered = inOrder(rules);
  return {
    allows: (url) => isAllowed(ordered, url),
    delay,
    sitemaps,
    size: ordered.reduce((sum, { pattern }) => sum + 100 + 2 * pattern.length, 0),
  };
}

interface Group {
  readonly rules: { readonly path: string; readonly allow: boolean }[];
  delay: number | undefined;
}

interface Parsed {
  /** The groups that name us, as one; null where none does. */
  readonly own: Group | null;
  readonly everyone: Group;
  readonly sitemaps: readonly string[];
}

/** Names of the fields, with the misspellings that search engines accept. */
const FIELDS: readonly (readonly [RegExp, "agent" | "allow" | "disallow" | "delay" | "sitemap"])[] = [
  [/^user[- ]?agent$/i, "agent"],
  [/^allow$/i, "allow"],
  [/^(diss?all?ow|disallaw|diasllow)$/i, "disallow"],
  [/^crawl-?delay$/i, "delay"],
  [/^site-?map$/i, "sitemap"],
];

function parse(bytes: Buffer): Parsed {
  let own: Group | null = null;
  const everyone: Group = { rules: [], delay: undefined };
  const sitemaps: string[] = [];
  /** Groups that the next lines are for; one that is named a thousand times is one. */
  const current = new Set<Group>();
  /** Only a rule ends the agents of a group; a sitemap or an unknown line between two of them does not. */
  let namesAgents = false;
  for (const { name, value } of linesOf(bytes)) {
    const field = FIELDS.find(([pattern]) => pattern.test(name))?.[1];
    if (field === "agent") {
      if (!namesAgents) current.clear();
      namesAgents = true;
      // A product token may be followed by a version: `Quern/1.0`.
      if (/^\*(\s|$)/.test(value)) current.add(everyone);
      else if (/^[a-z_-]*/i.exec(value)?.[0].toLowerCase() === PRODUCT) {
        own ??= { rules: [], delay: undefined };
        current.add(own);
      }
    } else if (field === "allow" || field === "disallow") {
      namesAgents = false;
      // An empty rule is none; one that begins otherwise matches no path.
      if (!/^[/*]/.test(value)) continue;
      for (const group of current) group.rules.push({ path: value, allow: field === "allow" });
    } else if (field === "delay") {
      const delay = Number(value);
      if (value === "" || !Number.isFinite(delay) || delay < 0) continue;
      for (const group of current) group.delay = Math.max(group.delay ?? 0, delay);
    } else if (field === "sitemap" && sitemaps.length < MOST_SITEMAPS) {
      sitemaps.push(Buffer.from(value, "latin1").toString("utf8"));
    }
  }
  return { own, everyone, sitemaps };
}

/** Fields of the file, a byte a character. Lines end with CR, LF or both; the line that the limit cuts is left out. */
function* linesOf(bytes: Buffer): Generator<{ readonly name: string; readonly value: string }> {
  let text = bytes.toString("latin1", 0, LARGEST_ROBOTS);
  if (bytes.length > LARGEST_ROBOTS) text = text.slice(0, 1 + Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r")));
  for (const line of text.replace(/^\xef\xbb\xbf/, "").split(/[\r\n]/)) {
    const content = line.split("#", 1)[0];
    const colon = content.indexOf(":");
    if (colon >= 0) yield { name: trim(content.slice(0, colon)), value: trim(content.slice(colon + 1)) };
    else {
      // Without its colon: two words are a field and its value.
      const words = trim(content).split(/[ \t]+/, 3);
      if (words.length === 2) yield { name: words[0], value: words[1] };
    }
  }
}

/** Blanks of ASCII only: \xa0 may be a byte of a letter. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) <= 32) start++;
  while (end > start && text.charCodeAt(end - 1) <= 32) end--;
  return text.slice(start, end);
}

interface Rule {
  readonly pattern: string;
  readonly allow: boolean;
  readonly plain: Pattern;
  /** With the slashes of its query unescaped; the same as `plain` where that changes nothing. */
  readonly open: Pattern;
}

/** What stands between the wildcards of a pattern. */
interface Pattern {
  readonly pieces: readonly string[];
  /** Ends with `$`. */
  readonly anchored: boolean;
}

/** The rules with the longest first, and of two of one length the one that allows: the first that matches decides. */
function inOrder(rules: Group["rules"]): Rule[] {
  const made = new Map<string, Rule>();
  for (const { path, allow } of rules) {
    // Several wildcards in a row are one.
    const pattern = comparable(path, true).replace(/\*+/g, "*");
    const key = `${allow}${pattern}`;
    if (made.has(key)) continue;
    const plain = patternOf(pattern);
    const open = openQuery(pattern);
    made.set(key, { pattern, allow, plain, open: open === pattern ? plain : patternOf(open) });
  }
  return [...made.values()].sort((a, b) => b.pattern.length - a.pattern.length || Number(b.allow) - Number(a.allow));
}

function patternOf(text: string): Pattern {
  const anchored = text.endsWith("$");
  return { pieces: (anchored ? text.slice(0, -1) : text).split("*"), anchored };
}

function isAllowed(rules: readonly Rule[], url: string): boolean {
  const { href, pathname, search } = new URL(url);
  if (pathname === "/robots.txt") return true; // RFC 9309, 2.2.2
  // A query may be there and empty.
  const query = search === "" && href.split("#", 1)[0].endsWith("?") ? "?" : search;
  const path = comparable(pathname + query, false);
  const open = openQuery(path);
  const rule = rules.find(
    (one) => matches(one.plain, path) || ((open !== path || one.open !== one.plain) && matches(one.open, open)),
  );
  return rule?.allow ?? true;
}

/**
 * Matches from the left, each piece where it first occurs: with no wildcard but `*`, that finds a match if there is
 * one, and nothing is tried twice.
 */
function matches({ pieces, anchored }: Pattern, path: string): boolean {
  const [first] = pieces;
  if (!path.startsWith(first)) return false;
  if (pieces.length === 1) return !anchored || path.length === first.length;
  let at = first.length;
  for (let i = 1; i < pieces.length - 1; i++) {
    at = path.indexOf(pieces[i], at);
    if (at < 0) return false;
    at += pieces[i].length;
  }
  const last = pieces[pieces.length - 1];
  return anchored ? path.length - last.length >= at && path.endsWith(last) : path.indexOf(last, at) >= 0;
}

/**
 * Paths and patterns in one form, so that equal octets compare equal: letters, digits and `-._~` bare, whatever has a
 * meaning where it stands (`/?&=+`) as it was written, every other octet as `%XX`. RFC 9309, 2.2.2.
 */
function comparable(text: string, isPattern: boolean): string {
  return text.replace(/%[0-9a-f]{2}|[^A-Za-z0-9._~\-/?&=+]/gi, (found, at: number) => {
    if (isPattern && (found === "*" || (found === "$" && at === text.length - 1))) return found;
    if (found.length === 1) return escaped(found.charCodeAt(0));
    const octet = Number.parseInt(found.slice(1), 16);
    const bare = String.fromCharCode(octet);
    return /[A-Za-z0-9._~-]/.test(bare) ? bare : escaped(octet);
  });
}

const escaped = (octet: number) => `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;

/** In a query a slash means nothing, so that `?to=/a` and `?to=%2Fa` are one address (the RFC's own example). */
function openQuery(text: string): string {
  const query = text.indexOf("?");
  return query < 0 ? text : text.slice(0, query) + text.slice(query).replace(/%2F/g, "/").replace(/%3F/g, "?");
}
