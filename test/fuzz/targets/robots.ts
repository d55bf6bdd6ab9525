/** @file robots.txt, and what it says of addresses. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { robotsFrom } from "../../../src/data/crawl/robots.js";
import { mutateBytes, mutateList, mutateText, several } from "../mutations.js";
import type { Target } from "../target.js";

const LINES = [
  ...[
    "User-agent: *",
    "User-agent: quern",
    "User-Agent: Quern/1.0",
    "Disallow: /private/",
    "Allow: /private/open$",
    "Disallow: /*?id=",
  ],
  ...[
    "Crawl-delay: 2",
    "Sitemap: https://example.org/sitemap.xml",
    "# comment",
    "",
    "Disallow:",
    "Disallow: /caf%C3%A9",
    "Disallow: /café",
  ],
  ...["Disallow: /*a*b*c*d*$", "Allow: *", "User-agent *", "Dissalow: /x", "Disallow: /%zz%", "Noindex: /a"],
];
const WORDS = ["*", "$", "%", "%2F", "/", ":", "#", "?", "User-agent:", "Disallow:", "\r", "\ufeff", "**"];
const ADDRESSES = [
  "https://example.org/",
  "https://example.org/private/open",
  "http://example.org/caf%C3%A9?id=1%2F",
  `https://example.org/${"a/".repeat(500)}?${"ab".repeat(500)}`,
];

export function open(): Target {
  return {
    make(random) {
      const lines = Array.from({ length: 4 + random.below(20) }, () => random.pick(LINES));
      const all = several(["User-agent: *", "Disallow: /first", ...lines], random, (each) => mutateList(each, random));
      const text = all
        .map((line) => (random.chance(0.2) ? mutateText(line, random, WORDS) : line))
        .join(random.pick(["\n", "\r\n", "\r"]));
      const bytes = Buffer.from(text);
      return { "robots.txt": random.chance(0.3) ? mutateBytes(bytes, random, 30) : bytes };
    },
    async read(folder, reached) {
      const robots = robotsFrom("https://example.org/robots.txt", 200, readFileSync(join(folder, "robots.txt")));
      if (robots.size > 0 || robots.sitemaps.length > 0) reached();
      for (const address of ADDRESSES) robots.allows(address);
    },
  };
}
