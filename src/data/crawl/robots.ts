/**
 * @file What an origin's robots.txt allows, by RFC 9309 and, where it leaves a choice, by the documented practice of
 * search engines. The file is read as bytes, because its paths match the bytes of an address, not its characters.
 */

/** Our name in robots.txt. */
export const PRODUCT = "quern";

export interface Robots {
  allows(url: string): boolean;
  /** Seconds between requests, if the file sets them. */
  readonly delay: number | undefined;
  readonly sitemaps: readonly string[];
  /** Why the file could not be read, if that forbids everything. */
  readonly problem?: string;
  /** Approximate memory of the rules, in bytes. */
  readonly size: number;
}

/** RFC 9309, 2.5: a crawler must read at least this many bytes, and may ignore the rest. */
export const LARGEST_ROBOTS = 500 * 1024;
/** Maximum sitemaps from one file. Its author chooses them, and we fetch each one. */
const MOST_SITEMAPS = 200;

export const ALLOW_ALL: Robots = { allows: () => true, delay: undefined, sitemaps: [], size: 0 };

/** Returns rules that forbid everything, because the file could not be read: RFC 9309, 2.3.1.4. */
export function unreadableRobots(problem: string): Robots {
  return { allows: () => false, delay: undefined, sitemaps: [], problem, size: 0 };
}

/**
 * Parses the response to /robots.txt. A missing file (4xx) allows everything. A failing server (5xx, 429, or null for
 * no response) forbids everything.
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
  /** The groups that name us, merged; null if none does. */
  readonly own: Group | null;
  readonly everyone: Group;
  readonly sitemaps: readonly string[];
}

/** Names of the fields, including misspellings that search engines accept. */
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
  /** Groups to which the next lines apply. A set, so that a group named a thousand times counts once. */
  const current = new Set<Group>();
  /** Only a rule ends the list of agents of a group. A sitemap or an unknown line in between does not. */
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
      // An empty rule has no effect. A rule with any other first character matches no path.
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

/**
 * Yields the fields of the file, one character per byte. Lines end with CR, LF or both. A line cut by the size limit is
 * left out.
 */
function* linesOf(bytes: Buffer): Generator<{ readonly name: string; readonly value: string }> {
  let text = bytes.toString("latin1", 0, LARGEST_ROBOTS);
  if (bytes.length > LARGEST_ROBOTS) text = text.slice(0, 1 + Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r")));
  for (const line of text.replace(/^\xef\xbb\xbf/, "").split(/[\r\n]/)) {
    const content = line.split("#", 1)[0];
    const colon = content.indexOf(":");
    if (colon >= 0) yield { name: trim(content.slice(0, colon)), value: trim(content.slice(colon + 1)) };
    else {
      // A missing colon: two words are a field and its value.
      const words = trim(content).split(/[ \t]+/, 3);
      if (words.length === 2) yield { name: words[0], value: words[1] };
    }
  }
}

/** Trims ASCII whitespace only: \xa0 may be a byte of a letter. */
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
  /** With the slashes of its query unescaped; the same object as `plain` if that changes nothing. */
  readonly open: Pattern;
}

/** The text between the wildcards of a pattern. */
interface Pattern {
  readonly pieces: readonly string[];
  /** Whether the pattern ends with `$`. */
  readonly anchored: boolean;
}

/** Sorts the rules so that the first match decides: longest first, and of two equally long ones the one that allows. */
function inOrder(rules: Group["rules"]): Rule[] {
  const made = new Map<string, Rule>();
  for (const { path, allow } of rules) {
    // Consecutive wildcards are equivalent to one.
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
  // An empty query is still a query.
  const query = search === "" && href.split("#", 1)[0].endsWith("?") ? "?" : search;
  const path = comparable(pathname + query, false);
  const open = openQuery(path);
  const rule = rules.find(
    (one) => matches(one.plain, path) || ((open !== path || one.open !== one.plain) && matches(one.open, open)),
  );
  return rule?.allow ?? true;
}

/**
 * Matches from the left, each piece at its first occurrence. `*` is the only wildcard, so this finds a match if one
 * exists, without backtracking.
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
 * Returns paths and patterns in a form in which equal octets compare equal (RFC 9309, 2.2.2). Letters, digits and
 * `-._~` are unescaped. Characters with a meaning (`/?&=+`) stay as written. Every other octet becomes `%XX`.
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

/** A slash has no meaning in a query, so `?to=/a` and `?to=%2Fa` are the same address (the RFC's own example). */
function openQuery(text: string): string {
  const query = text.indexOf("?");
  return query < 0 ? text : text.slice(0, query) + text.slice(query).replace(/%2F/g, "/").replace(/%3F/g, "?");
}
