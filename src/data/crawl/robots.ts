/** @file What an origin's robots.txt allows. RFC 9309; read by robots-parser. */
import untypedRobotsParser from "robots-parser";

/** The package's types describe an ES module's default export, which this CommonJS module is not. */
const robotsParser = untypedRobotsParser as unknown as typeof untypedRobotsParser.default;

/** The name by which robots.txt may address us. */
export const PRODUCT = "quern";

export interface Robots {
  allows(url: string): boolean;
  /** Seconds between requests, where the file says so. */
  readonly delay: number | undefined;
  readonly sitemaps: readonly string[];
}

/** RFC 9309, 2.5: a crawler reads at least this much, and may leave the rest. */
const LARGEST = 500 * 1024;

export const ALLOW_ALL: Robots = { allows: () => true, delay: undefined, sitemaps: [] };
export const ALLOW_NONE: Robots = { allows: () => false, delay: undefined, sitemaps: [] };

/** From the answer to /robots.txt: none there (4xx) allows all, a server that fails (5xx, no answer) forbids all. */
export function robotsFrom(url: string, status: number | null, text: string): Robots {
  if (status === null || status >= 500) return ALLOW_NONE;
  if (status >= 400) return ALLOW_ALL;
  const robots = robotsParser(url, text.replace(/^\ufeff/, "").slice(0, LARGEST));
  const delay = robots.getCrawlDelay(PRODUCT);
  return {
    allows: (page) => robots.isAllowed(page, PRODUCT) !== false,
    delay: delay !== undefined && Number.isFinite(delay) && delay >= 0 ? delay : undefined,
    sitemaps: robots.getSitemaps(),
  };
}
