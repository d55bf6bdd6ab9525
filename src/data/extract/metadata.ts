/**
 * @file A page's metadata: title, author, date, language, canonical address, site. Each is taken from the most reliable
 * source available: JSON-LD, then Open Graph and other meta elements, then microdata and the page's markup.
 */
import { Hint } from "./hints.js";
import type { Entity } from "./linked-data.js";
import { textOf } from "./node.js";
import { TEXT } from "./tags.js";
import type { Node, Tree } from "./tree.js";
import { cleanSpaces, inlineText } from "./write.js";

export interface Metadata {
  readonly title: string | null;
  readonly author: string | null;
  /** Day of publication, `YYYY-MM-DD`. */
  readonly date: string | null;
  /** Declared language, BCP 47 (`en`, `pt-BR`); not detected from the text. */
  readonly language: string | null;
  /** The canonical address that the page declares, absolute. */
  readonly url: string | null;
  readonly site: string | null;
  readonly description: string | null;
}

/** Maximum characters of a title, name or description; a longer one is ignored. */
const LONGEST = 500;

export function readMetadata(tree: Tree, entities: readonly Entity[], address: string): Metadata {
  const metas = new Map<string, string>();
  let canonical = "";
  let base = "";
  for (const head of tree.heads) {
    const name = (
      head.get("property") ||
      head.get("name") ||
      head.get("itemprop") ||
      head.get("http-equiv")
    ).toLowerCase();
    const content = head.get("content").trim();
    if (name !== "" && content !== "" && !metas.has(name)) metas.set(name, content);
    if (/(?:^|\s)canonical(?:\s|$)/i.test(head.get("rel"))) canonical ||= head.get("href").trim();
    if (head.tag.name === "base") base ||= head.get("href").trim();
  }
  const markup = new MarkupMetadata();
  markup.walk(tree.root);
  const main = entities.find(({ types }) => types.some((type) => CONTENT_TYPE.test(type)));
  const meta = (...names: readonly string[]): string => {
    for (const name of names) {
      const value = metas.get(name);
      if (value !== undefined) return value;
    }
    return "";
  };
  const site = meta("og:site_name", "application-name");
  const author =
    main?.author ||
    meta(
      "author",
      "article:author",
      "byl",
      "parsely-author",
      "sailthru.author",
      "dc.creator",
      "dcterms.creator",
      "citation_author",
      "twitter:creator",
    ) ||
    markup.author;
  const date =
    main?.date ||
    meta(
      "article:published_time",
      "og:article:published_time",
      "datepublished",
      "date",
      "pubdate",
      "publishdate",
      "publish-date",
      "parsely-pub-date",
      "sailthru.date",
      "dc.date",
      "dc.date.issued",
      "dcterms.created",
      "citation_publication_date",
      "article.published",
    ) ||
    markup.date;
  return {
    title:
      short(main?.headline || meta("og:title", "twitter:title", "dc.title", "citation_title")) ??
      short(markup.heading) ??
      short(withoutSite(tree.title, site)),
    author: /^https?:/i.test(author) ? null : short(author.replace(/^\s*by\s+/i, "")),
    date: dayOf(date),
    language: languageOf(
      markup.language || meta("content-language", "og:locale", "language", "dc.language") || main?.language || "",
    ),
    url: absolute(canonical || meta("og:url"), base || address) ?? absolute(address, "") ?? null,
    site: short(site),
    description: short(meta("description", "og:description", "twitter:description") || main?.description || ""),
  };
}

const CONTENT_TYPE =
  /Article|Posting|Report|WebPage|Product|Recipe|HowTo|Course|Book|Question|CreativeWork|Review|Event|Service/;

/** Metadata from the page's markup, collected in one walk. */
class MarkupMetadata {
  language = "";
  author = "";
  date = "";
  heading = "";

  walk(node: Node): void {
    for (let child = node.first; child !== null; child = child.next) {
      if (child.tag === TEXT) continue;
      this.#read(child);
      if (child.first !== null) this.walk(child);
    }
    if (node.tag.name === "html") this.language ||= node.get("lang") || node.get("xml:lang");
  }

  #read(node: Node): void {
    if (this.heading === "" && node.tag.heading === 1 && node.chars > 0) this.heading = inlineText(node);
    if (this.author === "") {
      const own = node.get("itemprop") === "author" || /(?:^|\s)author(?:\s|$)/i.test(node.get("rel"));
      if (own || ((node.hints & Hint.Meta) !== 0 && BYLINE.test(node.className))) {
        const text = cleanSpaces(textOf(node)).trim();
        if (text.length >= 3 && text.length <= 60 && !/\d{2}/.test(text)) this.author = text;
      }
    }
    if (this.date === "") {
      if (node.get("itemprop") === "datePublished")
        this.date = node.get("content") || node.get("datetime") || textOf(node);
      else if (node.tag.name === "time" && node.get("datetime") !== "") this.date = node.get("datetime");
    }
  }
}

const BYLINE = /(?:^|[\s_-])(?:byline|author-name|post-author)(?:$|\s)/i;

function short(text: string): string | null {
  const own = cleanSpaces(text).trim();
  return own === "" || own.length > LONGEST ? null : own;
}

/** Removes the site's name from the end of `Headline | The Site`, if it is the name that the page declares. */
function withoutSite(title: string, site: string): string {
  const own = cleanSpaces(title).trim();
  const parts = own.split(/\s+[|•·»–—-]\s+/);
  if (parts.length < 2) return own;
  const last = parts[parts.length - 1];
  if (site !== "" && last.toLowerCase() === site.toLowerCase())
    return own.slice(0, own.length - last.length).replace(/\s+\S\s+$/, "");
  return own;
}

const MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");

/** Returns the day in a written date as `YYYY-MM-DD`, or null if year, month or day is ambiguous. */
export function dayOf(text: string): string | null {
  const iso = /(?:^|\D)(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})(?:\D|$)/.exec(text);
  if (iso !== null) return valid(Number(iso[1]), Number(iso[2]), Number(iso[3]));
  const named = /(\d{1,2})(?:st|nd|rd|th)?\.?\s+([A-Za-z]{3,9})\.?,?\s+(\d{4})/.exec(text);
  if (named !== null) return valid(Number(named[3]), monthOf(named[2]), Number(named[1]));
  const american = /([A-Za-z]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})/.exec(text);
  if (american !== null) return valid(Number(american[3]), monthOf(american[1]), Number(american[2]));
  return null;
}

const monthOf = (name: string): number => MONTHS.indexOf(name.slice(0, 3).toLowerCase()) + 1;

function valid(year: number, month: number, day: number): string | null {
  if (year < 1900 || year > 2200 || month < 1 || month > 12 || day < 1 || day > 31) return null;
  return `${year}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`;
}

function languageOf(tag: string): string | null {
  const found = /^\s*([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|\d{3}))?\b/.exec(tag);
  if (found === null) return null;
  const [, language, script, region] = found;
  const parts = [language.toLowerCase()];
  if (script !== undefined) parts.push(script[0].toUpperCase() + script.slice(1).toLowerCase());
  if (region !== undefined) parts.push(region.toUpperCase());
  return parts.join("-");
}

function absolute(address: string, base: string): string | null {
  if (address === "") return null;
  try {
    const url = base === "" ? new URL(address) : new URL(address, base);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}
