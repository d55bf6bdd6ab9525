/** @file Web pages: tables, MathML, linked data, shadow roots, code, lists, ruby, frames of scripts. */
import { extractPage, type Page, readPages } from "../../../src/data/index.js";
import { type Json, jsonText, mutateBytes, mutateJson, mutateList, STRINGS, several } from "../mutations.js";
import type { Random } from "../random.js";
import { packed, sentences } from "../seeds.js";
import type { Target } from "../target.js";

const MATHML =
  '<math display="block"><semantics><mrow><mfrac><mi>a</mi><msqrt><mn>2</mn></msqrt></mfrac><mo>=</mo><msubsup><mo>∑</mo><mn>0</mn><mi>n</mi></msubsup><mtable><mtr><mtd><mi>x</mi></mtd><mtd><mn>1</mn></mtd></mtr></mtable><mfenced><mi>y</mi></mfenced></mrow><annotation encoding="application/x-tex">\\frac{a}{\\sqrt 2}</annotation></semantics></math>';
const TABLE =
  '<table><caption>Mills</caption><thead><tr><th colspan="2">Name</th><th rowspan=2>Year</th></tr></thead><tbody><tr><td>Old</td><td>New</td></tr><tr><td>a<td colspan=0>b<td rowspan="99999">c</tr></tbody></table>';
const PARTS = [
  MATHML,
  TABLE,
  "<ul><li>one<li>two<ol start=3><li value=9>three</ol></ul><dl><dt>t<dd>d</dl>",
  '<pre><code class="language-js">if (a &lt; b) {\n  c();\n}</code></pre>',
  "<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby> E=mc<sup>2</sup> H<sub>2</sub>O",
  '<div><template shadowrootmode="open"><p>In the shadow <slot name="a"></slot></p></template><span slot="a">light</span></div>',
  '<nav><a href="/a">Home</a> <a href="/b">More</a></nav>',
  '<figure><img src=a.png alt="A mill"><figcaption>A mill</figcaption></figure>',
  "<blockquote><p>Quoted.</p></blockquote><hr><h2>Part two</h2>",
  '<script>window.__DATA__ = {"article": {"body": "Some text."}};</script><noscript><p>No script</p></noscript>',
  '<span class="katex"><span class="katex-mathml">x</span></span><script type="math/tex; mode=display">\\int x</script>',
  "<svg><title>s</title><foreignObject><p>in svg</p></foreignObject></svg><select><option>1</select><textarea>t</textarea>",
];
const LINKED: Json = {
  "@context": "https://schema.org",
  "@graph": [
    {
      "@type": ["NewsArticle", "Article"],
      headline: "The mill",
      articleBody: "The mill stood by the river. ".repeat(30),
      author: [{ "@type": "Person", name: "Ann" }],
      datePublished: "2026-01-01",
      mainEntity: { "@type": "Question", name: "Why?", acceptedAnswer: { text: "Because." } },
    },
  ],
};
const ATTRIBUTES = [
  ...[
    'class="content"',
    "hidden",
    'style="display:none"',
    "colspan=99999999",
    "rowspan=-1",
    'start="1e9"',
    "shadowrootmode=open",
  ],
  ...['id="main"', 'role="navigation"', 'lang="xx"', 'itemprop="articleBody"', "a".repeat(5000), 'aria-hidden="true"'],
];

function page(random: Random): string {
  const linked = random.chance(0.5) ? several<Json>(LINKED, random, (value) => mutateJson(value, random)) : LINKED;
  const body = Array.from({ length: 3 + random.below(6) }, () =>
    random.chance(0.5) ? random.pick(PARTS) : `<p>${sentences(random)}</p>`,
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The mill</title><meta property="og:title" content="Mill"><base href="/x/"><script type="application/ld+json">${jsonText(linked, random)}</script></head><body><header><h1>The mill</h1></header><main><article>${body.join("\n")}</article></main><footer>© Quern</footer></body></html>`;
}

function mutatePage(html: string, random: Random): string {
  const tags = html.match(/<[^>]*>|[^<]+/g) ?? [];
  const at = random.below(tags.length);
  const tag = tags[at];
  const insert = (more: string) => [...tags.slice(0, at), more, ...tags.slice(at)].join("");
  return random.oneOf(
    () => mutateList(tags, random).join(""),
    () => mutateList(tags, random).join(""),
    () => insert(tag.repeat(random.pick([3, 300, 3000])).slice(0, 100_000)),
    () => insert(random.pick(tags.filter((each) => each.startsWith("<")))),
    () =>
      insert(
        random.pick([
          "<!--",
          "]]>",
          "<![CDATA[",
          "&#x110000;",
          "&#0;",
          "&" + "a".repeat(3000),
          "<p",
          "</",
          "\0",
          "<frameset>",
          "<plaintext>",
          "&lt;".repeat(2000),
        ]),
      ),
    () => insert(random.pick(STRINGS)),
    () => insert(random.pick(PARTS)),
    () => html.replace(tag, tag.replace(/>$/, ` ${random.pick(ATTRIBUTES)}>`)),
  );
}

export function open(): Target {
  return {
    make(random) {
      const html = several(page(random), random, (each) => mutatePage(each, random));
      const bytes = Buffer.from(html.slice(0, 500_000));
      const packing = random.pick(["", "", "", ".gz", ".zst"] as const);
      return {
        [`page.html${packing}`]: packed(random.chance(0.2) ? mutateBytes(bytes, random) : bytes, packing, random),
      };
    },
    async read(folder, reached) {
      for (const format of ["text", "markdown"] as const) {
        for await (const page of readPages([folder])) {
          const { text } = extractPage({ ...page, url: "https://example.org/a" } as Page, { format });
          if (text !== "") reached();
        }
      }
    },
    command: (files) => ["data", "extract", ...Object.keys(files), "--format", "markdown"],
  };
}
