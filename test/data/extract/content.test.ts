/** Content that must be kept on every type of page, although other pages use the same elements and words for boilerplate. */
import { describe, expect, it } from "vitest";
import { extract } from "../../../src/data/extract/extract.js";
import { PAGE_TYPES } from "../../../src/data/extract/page-type.js";
import { prose } from "./page.js";

const page = (body: string, head = "") =>
  `<!doctype html><html lang="en"><head><title>A page of the site</title>${head}</head><body><header><a href="/">The Site</a><nav><ul><li><a href="/a">Home page</a></li><li><a href="/b">About us</a></li></ul></nav></header><main>${body}</main><footer><p>© 2024 The Site</p></footer></body></html>`;
const article = (inner: string) =>
  `<article>${inner}<p>${prose("one")}</p><p>${prose("two")}</p><p>${prose("three")}</p></article>`;

describe.each(PAGE_TYPES)("on a page of type %s", (type) => {
  const text = (html: string) => extract(html, { type }).text;

  it("keeps a heading and a lead paragraph in the article's header", () => {
    const lead = "The oldest mill of the land will be saved after all, the council said on Monday.";
    for (const html of [
      article(`<header><h1>The mill is saved</h1><p class="standfirst">${lead}</p></header>`),
      article(`<header class="article-header"><h1>The mill is saved</h1><div><p>${lead}</p></div></header>`),
      `<article><header><h1>The mill is saved</h1><p class="dek">${lead}</p></header><div class="body"><p>${prose("one")}</p><p>${prose("two")}</p></div></article>`,
    ]) {
      const found = text(page(html));
      expect(found).toContain("The mill is saved");
      expect(found).toContain(lead);
      expect(found).toContain("Sentence 1 of two");
      expect(found).not.toContain("About us");
    }
  });

  it("keeps labels in lists", () => {
    const found = text(
      page(
        `<article><h1>Bread</h1><p>${prose("one")}</p><p>${prose("two")}</p><ul><li><label><input type="checkbox"> 500 g flour</label></li><li><label>1 tsp salt</label></li></ul></article>`,
      ),
    );
    expect(found).toContain("500 g flour");
    expect(found).toContain("1 tsp salt");
    const form = `<form action="/list"><ul><li><label><input type="checkbox"> 500 g flour</label></li><li><label><input type="checkbox"> 1 tsp salt</label></li></ul><button>Add to list</button></form>`;
    const inForm = text(page(article(form)));
    expect(inForm).toContain("500 g flour");
    expect(inForm).toContain("1 tsp salt");
  });

  it("keeps every repetition of a refrain or clause", () => {
    const refrain =
      "Turn, wheel, turn, and grind the corn, for the water will not wait until the morning comes to the valley again.";
    const song = [1, 2, 3].map((verse) => `<p>${prose(`verse ${verse}`, 2)}</p><p>${refrain}</p>`).join("");
    expect(text(page(`<article><h1>A song</h1>${song}</article>`)).split(refrain)).toHaveLength(4);
    const clause = `<p>${prose("the clause", 2)}</p>`;
    const terms = `<h2>Terms for guests</h2>${clause}<p>${prose("guests")}</p><h2>Terms for hosts</h2>${clause}<p>${prose("hosts")}</p>`;
    expect(text(page(`<article>${terms}</article>`)).split("Sentence 1 of the clause")).toHaveLength(3);
  });

  it("keeps button labels where they are content", () => {
    const words = ["Save", "Yes", "No", "Share", "Print", "Search", "Next", "Close", "Reply", "Menu", "Copy link"];
    const forms: readonly ((word: string) => string)[] = [
      (word) => `<p>${word}</p><p>${prose(word, 1)}</p>`,
      (word) => `<h3>${word}</h3><p>${prose(word, 1)}</p>`,
      (word) => `<dl><dt>${word}</dt><dd>${prose(word, 1)}</dd></dl>`,
    ];
    for (const form of forms) {
      const lines = text(page(article(words.map(form).join("")))).split("\n");
      for (const word of words) expect(lines).toContain(word);
    }
    const list = text(page(article(`<ul>${words.map((word) => `<li>${word}</li>`).join("")}</ul>`)));
    for (const word of words) expect(list).toContain(`- ${word}\n`);
    const rows = words.map((word, i) => `<tr><td>Row ${i}</td><td>${word}</td></tr>`).join("");
    const table = text(page(article(`<table><tr><th>Row</th><th>Word</th></tr>${rows}</table>`)));
    words.forEach((word, i) => {
      expect(table).toContain(`Row ${i} | ${word}`);
    });
  });

  it("keeps sections of prose whatever their heading", () => {
    const heads = [
      "Comments",
      "Related",
      "Tags",
      "Share",
      "Next",
      "Contents",
      "Responses",
      "Topics",
      "About the author",
    ];
    const found = text(page(article(heads.map((head) => `<h2>${head}</h2><p>${prose(head)}</p>`).join(""))));
    for (const head of heads) {
      expect(found.split("\n")).toContain(head);
      expect(found).toContain(`Sentence 1 of ${head}`);
    }
  });
});

describe("a declarative shadow tree", () => {
  const text = (body: string) => extract(page(body)).text;
  const inner = `<main><h1>Mill</h1><p>${prose("one")}</p><p>${prose("two")}</p></main>`;

  it("replaces its host's children", () => {
    for (const open of [
      '<template shadowrootmode="open">',
      "<template shadowrootmode=closed>",
      '<TEMPLATE shadowRootMode="OPEN" shadowrootdelegatesfocus>',
    ]) {
      expect(text(`<x-page>${open}<style>p { color: red }</style>${inner}</template></x-page>`)).toContain(
        "Sentence 1 of two",
      );
      expect(text(`<div>${open}${inner}</template></div>`)).toContain("Sentence 1 of two");
    }
  });

  it("fills slots with the host's children and keeps the default text of empty slots", () => {
    const shadow =
      '<template shadowrootmode="open"><article><h2><slot name="head">No head</slot></h2><slot></slot><p><slot name="foot">No foot here, and that is what is said.</slot></p></article></template>';
    const found = text(
      `<x-card>${shadow}<span slot="head">The head</span><p>${prose("one")}</p><p>${prose("two")}</p><p slot="other">Nobody sees this.</p></x-card>`,
    );
    expect(found).toBe(`The head\n\n${prose("one")}\n\n${prose("two")}\n\nNo foot here, and that is what is said.`);
  });

  it("passes slots on to nested trees", () => {
    const found = text(
      `<x-outer><template shadowrootmode="open"><x-inner><template shadowrootmode="open"><section><slot name="a"></slot><slot></slot></section></template><slot slot="a"></slot><p>${prose("the outer tree", 2)}</p></x-inner></template><p>${prose("the page")}</p></x-outer>`,
    );
    expect(found).toBe(`${prose("the page")}\n\n${prose("the outer tree", 2)}`);
  });

  it("ignores other templates and hosts that cannot have a shadow tree", () => {
    const hidden = "<p>This is for scripts alone, and nobody sees it on the page.</p>";
    expect(text(`<p>${prose("one")}</p><div><template>${hidden}</template></div>`)).toBe(prose("one"));
    expect(text(`<p>${prose("one")}</p><ul><template shadowrootmode="open">${hidden}</template></ul>`)).toBe(
      prose("one"),
    );
    expect(text(`<p>${prose("one")}</p><div><template shadowrootmode="none">${hidden}</template></div>`)).toBe(
      prose("one"),
    );
  });

  it("is limited to the same depth as pages", () => {
    const piece = `${"<div>".repeat(100)}<x-a><template shadowrootmode="open">${"<div>".repeat(100)}<slot></slot>${"</div>".repeat(100)}</template>`;
    expect(() => text(`<p>${prose("one")}</p>${piece.repeat(500)}`)).not.toThrow();
    const nested = '<x-a><template shadowrootmode="open"><div><div><div><slot></slot></div></div></div></template>';
    expect(() => text(`<p>${prose("one")}</p>${nested.repeat(20_000)}`)).not.toThrow();
  });
});

describe("data embedded for scripts", () => {
  const body = prose("the mill", 6);
  const of = (data: string) =>
    extract(
      `<html><head><title>N</title><script type="application/ld+json">${data}</script></head><body><div id="app"></div></body></html>`,
    );

  it.each([
    ["with a semicolon", `{"@type":"NewsArticle","headline":"A head","articleBody":"${body}"};`],
    ["with a comma at the end", `{"@type":"NewsArticle","headline":"A head","articleBody":"${body}",}`],
    ["with comments", `/* x */{"@type":"NewsArticle", // y\n"headline":"A head","articleBody":"${body}"}`],
    ["with line ends", `{"@type":"NewsArticle","headline":"A head","articleBody":"${body}\n\n"}`],
    ["several objects", `{"@type":"WebSite"}{"@type":"NewsArticle","headline":"A head","articleBody":"${body}"}`],
    ["escaped as text", `{"@type":"NewsArticle","headline":"A head","articleBody":"${body}"}`.replace(/"/g, "&quot;")],
    ["in an array", `[{"@type":"WebSite",},{"@type":"NewsArticle","headline":"A head","articleBody":"${body}"},]`],
  ])("is read if malformed: %s", (_, data) => {
    expect(of(data)).toMatchObject({ text: body, source: "data", title: "A head", type: "article" });
  });

  it("is read with its entities decoded", () => {
    const found = of(
      `{"@type":"NewsArticle","headline":"Tom &amp; Jerry&#39;s","articleBody":"${body} Tom &amp; Jerry"}`,
    );
    expect(found.title).toBe("Tom & Jerry's");
    expect(found.text).toBe(`${body} Tom & Jerry`);
    const escaped = of(`{"@type":"NewsArticle","articleBody":"&lt;p&gt;${body}&lt;/p&gt;&lt;p&gt;Tom&lt;/p&gt;"}`);
    expect(escaped.text).toBe(`${body}\n\nTom`);
  });
});
