/** @file The links of pages, and sitemaps. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readLinks, readSitemap } from "../../../src/data/crawl/links.js";
import { normalizeUrl } from "../../../src/data/crawl/urls.js";
import { mutateBytes, mutateList, STRINGS, several } from "../mutations.js";
import type { Random } from "../random.js";
import type { Target } from "../target.js";

const ADDRESSES = [
  ...[
    "/a",
    "b?c=d",
    "https://example.org/e#f",
    "//x.test/",
    "mailto:a@b",
    "javascript:0",
    "http://[::1]/",
    "http://[",
    "?",
  ],
  ...[
    "https://example.org/\u00e9?q=\u732b",
    "http://a:b@c/",
    "data:text/html,x",
    " /space ",
    "http://example.org:99999/",
    "\\\\x\\y",
  ],
  ...[
    `/${"long/".repeat(5000)}`,
    "http://\u0000/",
    "https://xn--a/",
    "http://1.2.3.4.5/",
    "%",
    "http://%41/",
    "&#47;x",
  ],
];

function html(random: Random): string {
  const address = () => random.pick([...ADDRESSES, ...STRINGS]);
  const parts = Array.from({ length: 3 + random.below(20) }, () =>
    random.pick([
      `<a href="${address()}">a</a>`,
      `<a href='/ok' rel="${random.pick(["nofollow", "next", "ugc sponsored", "x"])}">b</a>`,
      `<base href="${address()}">`,
      `<meta name="robots" content="${random.pick(["noindex", "nofollow, none", "max-snippet:1", "quern: none", ""])}">`,
      `<link rel=alternate href=${address()}>`,
      "<area href=/area>",
      "<!-- <a href=/no> -->",
      "<script>'<a href=/no>'</script>",
    ]),
  );
  return `<a href="/first">1</a>${several(parts, random, (each) => mutateList(each, random)).join("\n")}`;
}

function sitemap(random: Random): string {
  const address = () => random.pick(ADDRESSES);
  const kind = random.pick(["url", "sitemap"]);
  const parts = Array.from({ length: 2 + random.below(20) }, () =>
    random.pick([
      `<${kind}><loc>${address()}</loc><lastmod>2026-01-01</lastmod></${kind}>`,
      `<loc>${address()}</loc>`,
      `<url><loc><![CDATA[${address()}]]></loc></url>`,
      `<url><loc>&amp;${address()}`,
      `https://example.org/${random.below(9)}\n`,
    ]),
  );
  const body = several(parts, random, (each) => mutateList(each, random)).join("");
  return random.chance(0.85)
    ? `<?xml version="1.0"?><urlset><url><loc>https://example.org/</loc></url>${body}</urlset>`
    : `https://example.org/0\n${body}`;
}

export function open(): Target {
  return {
    make(random) {
      const isSitemap = random.chance(0.5);
      const whole = Buffer.from(isSitemap ? sitemap(random) : html(random));
      const bytes = whole.subarray(0, 2 ** 21);
      const changed = random.chance(0.4) ? mutateBytes(bytes, random, Math.min(80, bytes.length - 1)) : bytes;
      return { [isSitemap ? "sitemap.xml" : "page.html"]: changed };
    },
    async read(folder, reached) {
      for (const name of ["page.html", "sitemap.xml"]) {
        let text: string;
        try {
          text = readFileSync(join(folder, name), "utf8");
        } catch {
          continue;
        }
        const { links, base } = readLinks(text);
        const { pages, sitemaps } = readSitemap(text);
        if (links.length + pages.length + sitemaps.length > 0) reached();
        for (const link of [...links, ...pages, ...sitemaps].slice(0, 2000)) normalizeUrl(link, base, "windows-1252");
      }
    },
  };
}
