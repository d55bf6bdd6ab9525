/** @file What a page says to a crawler: its links, and what it forbids. Sitemaps: sitemaps.org's protocol 0.9. */
import { Parser } from "htmlparser2";

export interface PageLinks {
  /** Absolute or relative to `base`, in order, without those marked nofollow. */
  readonly links: readonly string[];
  /** `<base href>`, where there is one. */
  readonly base: string | undefined;
  /** What robots' meta elements say, in lower case: noindex, nofollow, noai … */
  readonly directives: ReadonlySet<string>;
}

const ROBOTS = /^(robots|quern)$/i;

/** Reads links and directives out of a page, at most `most` links. */
export function readLinks(html: string, most = 5000): PageLinks {
  const links: string[] = [];
  const directives = new Set<string>();
  let base: string | undefined;
  const parser = new Parser({
    onopentag(name, attributes) {
      if (name === "base") base ??= attributes.href;
      else if (name === "meta" && ROBOTS.test(attributes.name ?? "")) {
        for (const directive of directivesOf(attributes.content ?? "")) directives.add(directive);
      } else if (
        (name === "a" ||
          name === "area" ||
          (name === "link" && /\b(next|prev|alternate)\b/.test(attributes.rel ?? ""))) &&
        attributes.href !== undefined &&
        links.length < most &&
        !/\b(nofollow|ugc|sponsored)\b/i.test(attributes.rel ?? "")
      ) {
        links.push(attributes.href);
      }
    },
  });
  parser.end(html);
  return { links, base, directives };
}

/** The words of a robots meta element or of X-Robots-Tag headers, one a line; `none` means noindex and nofollow. */
export function directivesOf(text: string): string[] {
  return text.split("\n").flatMap(directivesOfLine);
}

function directivesOfLine(text: string): string[] {
  // X-Robots-Tag may begin with the name of another crawler, for whom the rest is.
  const [, agent, rest] = /^\s*([\w-]+):(.*)$/s.exec(text) ?? [];
  if (agent !== undefined && !ROBOTS.test(agent) && !/^(unavailable_after|max-\w+)/i.test(agent)) return [];
  const words = (rest ?? text)
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((word) => word !== "");
  return words.includes("none") ? [...words, "noindex", "nofollow"] : words;
}

export interface Sitemap {
  readonly pages: readonly string[];
  readonly sitemaps: readonly string[];
}

/** Reads a sitemap or a sitemap index (XML, or one address a line), at most `most` addresses. */
export function readSitemap(text: string, most = 50_000): Sitemap {
  const pages: string[] = [];
  const sitemaps: string[] = [];
  if (!text.trimStart().startsWith("<")) {
    const lines = text.split(/\r?\n/).filter((line) => /^https?:\/\//i.test(line.trim()));
    return { pages: lines.slice(0, most), sitemaps };
  }
  let inside: "url" | "sitemap" | null = null;
  let location: string | null = null;
  const parser = new Parser(
    {
      onopentag(name) {
        if (name === "url" || name === "sitemap") inside = name;
        else if (name === "loc") location = "";
      },
      ontext(data) {
        if (location !== null) location += data;
      },
      onclosetag(name) {
        if (name === "loc" && location !== null && pages.length + sitemaps.length < most) {
          (inside === "sitemap" ? sitemaps : pages).push(location.trim());
        }
        if (name === "loc") location = null;
      },
    },
    { xmlMode: true },
  );
  parser.end(text);
  return { pages, sitemaps };
}
