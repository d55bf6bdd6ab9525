/** @file A page's links and its directives to crawlers. Sitemaps: protocol 0.9 of sitemaps.org. */
import { Tokenizer } from "htmlparser2";

export interface PageLinks {
  /** Absolute or relative to `base`, in order, without nofollow links. */
  readonly links: readonly string[];
  /** The address in `<base href>`, if present. */
  readonly base: string | undefined;
  /** Directives of the robots meta elements, in lower case: noindex, nofollow, noai … */
  readonly directives: ReadonlySet<string>;
}

const ROBOTS = /^(robots|quern)$/i;

/** Maximum characters of an attribute, or of an address in a sitemap. Longer ones are left out. */
const LONGEST_VALUE = 20_000;
const MOST_DIRECTIVES = 1000;

/** Reads the directives of a page and at most `most` links. */
export function readLinks(html: string, most = 5000): PageLinks {
  const links: string[] = [];
  const directives = new Set<string>();
  let base: string | undefined;
  scan(html, false, {
    onopentag(name, attributes) {
      const href = attributes.get("href");
      const rel = attributes.get("rel") ?? "";
      if (name === "base") base ??= href;
      else if (name === "meta" && ROBOTS.test(attributes.get("name")?.trim() ?? "")) {
        for (const directive of directivesOf(attributes.get("content") ?? "")) {
          if (directives.size < MOST_DIRECTIVES) directives.add(directive);
        }
      } else if (
        (name === "a" || name === "area" || (name === "link" && /\b(next|prev|alternate)\b/i.test(rel))) &&
        href !== undefined &&
        links.length < most &&
        !/\b(nofollow|ugc|sponsored)\b/i.test(rel)
      ) {
        links.push(href);
      }
    },
  });
  return { links, base, directives };
}

interface Handlers {
  onopentag?(name: string, attributes: ReadonlyMap<string, string>): void;
  ontext?(text: string): void;
  onclosetag?(name: string): void;
}

const WANTED_ATTRIBUTES = /^(href|rel|name|content)$/i;

/**
 * Calls the handlers for each tag and text. htmlparser2's parser keeps a list of open elements, and each step costs
 * time proportional to its length. This scan keeps none.
 */
function scan(text: string, xmlMode: boolean, { onopentag, ontext, onclosetag }: Handlers): void {
  const nameAt = (start: number, end: number) => {
    const name = end - start > 16 ? "" : text.slice(start, end);
    return xmlMode ? name : name.toLowerCase();
  };
  let tag = "";
  let attributes = new Map<string, string>();
  let name = "";
  let value = "";
  const extend = (more: string) => {
    if (name !== "" && value.length <= LONGEST_VALUE) value += more;
  };
  const opened = () => onopentag?.(tag, attributes);
  const nothing = () => {};
  const tokenizer = new Tokenizer(
    { decodeEntities: true, xmlMode },
    {
      onopentagname(start, end) {
        tag = nameAt(start, end);
        attributes = new Map();
      },
      onattribname(start, end) {
        const found = nameAt(start, end);
        name = WANTED_ATTRIBUTES.test(found) && !attributes.has(found) ? found : "";
        value = "";
      },
      onattribdata: (start, end) => extend(name === "" ? "" : text.slice(start, end)),
      onattribentity: (codepoint) => extend(String.fromCodePoint(codepoint)),
      onattribend() {
        if (name !== "" && value.length <= LONGEST_VALUE) attributes.set(name, value);
      },
      onopentagend: opened,
      onselfclosingtag: () => {
        opened();
        if (xmlMode) onclosetag?.(tag);
      },
      onclosetag: (start, end) => onclosetag?.(nameAt(start, end)),
      ontext: (start, end) => ontext?.(text.slice(start, end)),
      ontextentity: (codepoint) => ontext?.(String.fromCodePoint(codepoint)),
      oncdata: (start, end, offset) => ontext?.(text.slice(start, end - offset)),
      oncomment: nothing,
      ondeclaration: nothing,
      onprocessinginstruction: nothing,
      onend: nothing,
    },
  );
  tokenizer.write(text);
  tokenizer.end();
}

/**
 * Returns the words of a robots meta element or of X-Robots-Tag headers (one per line). `none` means noindex and
 * nofollow.
 */
export function directivesOf(text: string): string[] {
  return text.split("\n").flatMap(directivesOfLine);
}

function directivesOfLine(text: string): string[] {
  const words: string[] = [];
  let isOurs = true;
  for (const part of text.toLowerCase().split(/[,;]/)) {
    // X-Robots-Tag may name a crawler, to which the following directives apply.
    const [, agent, rest] = /^\s*([\w-]+)\s*:(.*)$/s.exec(part) ?? [];
    const isAgent = agent !== undefined && !/^(unavailable_after|max-\w+)/.test(agent);
    if (isAgent) isOurs = ROBOTS.test(agent);
    if (isOurs) words.push(...(isAgent ? rest : part).split(/\s+/).filter((word) => word !== ""));
  }
  return words.includes("none") ? [...words, "noindex", "nofollow"] : words;
}

export interface Sitemap {
  readonly pages: readonly string[];
  readonly sitemaps: readonly string[];
}

/** Reads a sitemap or a sitemap index (XML, or one address per line), at most `most` addresses. */
export function readSitemap(text: string, most = 50_000): Sitemap {
  const pages: string[] = [];
  const sitemaps: string[] = [];
  if (!/^\s*</.test(text.slice(0, 1000))) {
    for (const [line] of text.matchAll(/^[ \t]*https?:\/\/[^\r\n]{1,20000}/gim)) {
      if (pages.push(line.trim()) >= most) break;
    }
    return { pages, sitemaps };
  }
  // Its elements may have a prefix. Elements with other prefixes describe images and the like.
  const prefix = /<([\w.-]{1,8}:)?(?:urlset|sitemapindex)[\s>]/.exec(text.slice(0, 10_000))?.[1] ?? "";
  let inside: "url" | "sitemap" | null = null;
  let location: string | null = null;
  scan(text, true, {
    onopentag(name) {
      if (name === `${prefix}url`) inside = "url";
      else if (name === `${prefix}sitemap`) inside = "sitemap";
      else if (name === `${prefix}loc`) location = "";
    },
    ontext(data) {
      if (location !== null && location.length < LONGEST_VALUE) location += data.slice(0, LONGEST_VALUE);
    },
    onclosetag(name) {
      if (name !== `${prefix}loc`) return;
      if (location !== null && pages.length + sitemaps.length < most) {
        (inside === "sitemap" ? sitemaps : pages).push(location.trim());
      }
      location = null;
    },
  });
  return { pages, sitemaps };
}
