import { describe, expect, it } from "vitest";
import { extract } from "../../../src/data/extract/extract.js";
import { prose } from "./page.js";

const nav = `<nav><ul>${["Home", "World", "Sport", "About us"].map((name) => `<li><a href="/${name}">${name}</a></li>`).join("")}</ul></nav>`;
const foot = "<footer><p>© 2024 The Site. All rights reserved.</p><a href='/p'>Privacy policy</a></footer>";
const notice =
  '<div class="cookie-banner"><p>We use cookies to give you the best experience on our website, and more.</p></div>';
const related = `<section><h3>You may also like</h3><ul>${["Seven reasons to read on", "What nobody tells you about it"].map((name) => `<li><a href="/x">${name}</a></li>`).join("")}</ul></section>`;
const article = `<article><h1>The head</h1><div class="byline">By Ann Ash</div><figure><img src="x"><figcaption>A picture of it, by Bo.</figcaption></figure><p>${prose("one")}</p><h2>A part</h2><p>${prose("two")}</p>${related}</article>`;
const comments = `<section id="comments"><h3>3 comments</h3><div class="comment"><p>${prose("a comment", 2)}</p></div></section>`;
const page = `<html><head><title>The head - The Site</title></head><body>${notice}<header>${nav}</header><main>${article}${comments}</main><aside class="sidebar"><p>Subscribe to the newsletter of this site.</p></aside>${foot}</body></html>`;

describe("extract", () => {
  it("keeps an article's text and nothing else", () => {
    const { text, type, source } = extract(page, { url: "https://example.org/news/2024/03/the-head" });
    expect({ type, source }).toEqual({ type: "article", source: "page" });
    expect(text).toBe([prose("one"), "A part", prose("two")].join("\n\n"));
  });

  it("keeps more with focus recall, but never menus", () => {
    const { text } = extract(page, { focus: "recall" });
    for (const part of ["The head", "By Ann Ash", "You may also like", "of a comment"]) expect(text).toContain(part);
    for (const part of ["Sport", "cookies", "Privacy policy"]) expect(text).not.toContain(part);
  });

  it("keeps less with focus precision", () => {
    const links = `<ul>${Array.from({ length: 6 }, (_, i) => `<li><a href="/${i}">A page about number ${i}</a></li>`).join("")}</ul>`;
    const list = `<main><p>${prose("one")}</p><p>${prose("two")}</p>${links}</main>`;
    expect(extract(list, { type: "documentation" }).text).toContain("number 3");
    expect(extract(list, { type: "documentation", focus: "precision" }).text).not.toContain("number 3");
  });

  it("keeps a discussion's posts with author and day, without cards and signatures", () => {
    const post = (name: string) =>
      `<div class="post"><div class="user-info">Posts: 1,234 Joined: 2001</div><div class="post-head"><b>${name}</b> <time>3 May 2024</time></div><div class="post-body"><p>${prose(name, 2)}</p></div><div class="signature">Sent from my boat</div></div>`;
    const forum = `<html><head><title>A thread</title><meta name="generator" content="phpBB"></head><body>${nav}<div id="content">${["ann", "bo", "cy"].map(post).join("")}</div>${foot}</body></html>`;
    const { text, type } = extract(forum, { url: "https://forum.example.org/viewtopic.php?t=1" });
    expect(type).toBe("forum");
    for (const name of ["ann", "bo", "cy"]) expect(text).toContain(prose(name, 2));
    expect(text).toContain("3 May 2024");
    expect(text).not.toMatch(/Joined|boat|Sport/);
  });

  it("classifies pages by type", () => {
    const shop = (count: number) =>
      Array.from(
        { length: count },
        (_, i) =>
          `<li class="product"><a href="/p/${i}"><h3>Chair number ${i}</h3></a><span>$${i}9.90</span><button>Add to cart</button></li>`,
      ).join("");
    const typeOf = (body: string, url: string, head = "") =>
      extract(`<html><head>${head}</head><body>${body}</body></html>`, { url }).type;
    expect(typeOf(`<ul>${shop(20)}</ul>`, "https://example.org/collections/chairs")).toBe("collection");
    expect(
      typeOf(
        `<h1>Chair</h1><p>${prose("it", 2)}</p><span>$9</span><button>Add to cart</button>`,
        "https://example.org/products/chair",
        '<meta property="og:type" content="product">',
      ),
    ).toBe("product");
    expect(
      typeOf(
        `<h1>fetch</h1><p>${prose("it", 2)}</p><pre>${"fetch(url);\n".repeat(30)}</pre>`,
        "https://docs.example.org/api/fetch",
      ),
    ).toBe("documentation");
    expect(typeOf(`<p>${prose("it", 2)}</p>`, "https://example.org/services/roofing")).toBe("service");
    const teasers = Array.from(
      { length: 12 },
      (_, i) => `<article><h2><a href="/${i}">Story number ${i}</a></h2></article>`,
    ).join("");
    expect(typeOf(teasers, "https://example.org/blog/")).toBe("listing");
    // Sibling paragraphs make a page an article, even without metadata and with many links.
    expect(
      typeOf(
        `${teasers}<div><p>${prose("it", 2)}</p><p>${prose("more", 2)}</p><p>${prose("the rest", 2)}</p></div>`,
        "",
      ),
    ).toBe("article");
  });

  it("keeps the items of a list page", () => {
    const teasers = Array.from(
      { length: 12 },
      (_, i) => `<article><h2><a href="/${i}">Story number ${i}</a></h2><p>What happened on day ${i}.</p></article>`,
    ).join("");
    const { text } = extract(`<html><body>${nav}<main>${teasers}</main>${foot}</body></html>`, {
      url: "https://example.org/blog/",
    });
    for (let i = 0; i < 12; i++) expect(text).toContain(`Story number ${i}`);
    expect(text).not.toContain("Sport");
  });

  it("reports pages whose text is produced by scripts", () => {
    const app = `<html><head><title>App</title></head><body><div id="root"></div><script>${"render('all of it');".repeat(100)}</script></body></html>`;
    expect(extract(app)).toMatchObject({ text: "", source: "scripts", title: "App" });
    expect(extract("<html><body></body></html>")).toMatchObject({ text: "", source: "none" });
  });

  it("reads the noscript text of a page", () => {
    const html = `<div id="app"></div><noscript><article><p>${prose("it")}</p><p>${prose("more")}</p></article></noscript><script>${"a();".repeat(500)}</script>`;
    expect(extract(html)).toMatchObject({ source: "noscript" });
    expect(extract(html).text).toContain("Sentence 1 of more");
  });

  it("reads the posts in the preloaded data of a Discourse page", () => {
    const topic = {
      post_stream: {
        posts: [{ username: "ann", created_at: "2024-11-08T19:33:00Z", cooked: `<p>${prose("it", 2)}</p>` }],
      },
    };
    const data = JSON.stringify({ topic_1: JSON.stringify(topic) })
      .replace(/&/g, "&amp;")
      .replace(/"/g, "&quot;");
    const found = extract(
      `<html><head><meta name="generator" content="Discourse 3"></head><body><div id="data-preloaded" data-preloaded="${data}"></div></body></html>`,
    );
    expect(found).toMatchObject({ source: "data", type: "forum" });
    expect(found.text).toBe(`ann\n\nNovember 8, 2024\n\n${prose("it", 2)}`);
  });

  it("removes a list of other articles' headlines and keeps the article's own list", () => {
    const card = (i: number, head: string) =>
      `<div class="c"><h3>${head}</h3><p>By Bo</p><p>What card ${i} is about, in one sentence of some length.</p></div>`;
    const numbers = Array.from({ length: 5 }, (_, i) => i);
    const teasers = numbers.map((i) => card(i, `<a href="/a${i}">A headline, number ${i}</a>`)).join("");
    const parts = numbers.map((i) => card(i, `Part number ${i}`)).join("");
    const of = (list: string) =>
      extract(`<article><p>${prose("one")}</p><p>${prose("two")}</p><div>${list}</div></article>`, { type: "article" })
        .text;
    expect(of(teasers)).toBe([prose("one"), prose("two")].join("\n\n"));
    expect(of(parts)).toContain("What card 3 is about");
    // Two linked headlines are too few for a list.
    expect(of(card(1, '<a href="/1">One</a>') + card(2, '<a href="/2">Two</a>'))).toContain("What card 2 is about");
  });

  it("reads the declared type from data that is not JSON", () => {
    const head = (data: string) =>
      `<html><head><title>x</title><script type="application/ld+json">${data}</script></head><body><p>${prose("one", 1)}</p></body></html>`;
    expect(
      extract(head('{"@context": "https://schema.org", "@type": "DiscussionForumPosting", "headline": "so "called""}'))
        .type,
    ).toBe("forum");
    expect(extract(head('{"@type": ')).type).not.toBe("forum");
  });

  it("removes hidden text and keeps collapsed text", () => {
    const html = `<main><p>${prose("one")}</p><p hidden>${prose("gone", 1)}</p><p style="display: none">${prose("away", 1)}</p><details><summary>More</summary><p>${prose("fold", 1)}</p></details></main>`;
    const { text } = extract(html, { type: "article" });
    expect(text).not.toMatch(/of gone|of away/);
    expect(text).toContain("of fold");
  });

  it("returns the same result for a string and its bytes, and the same each time", () => {
    const { charset: none, ...fromText } = extract(page);
    const { charset, ...fromBytes } = extract(Buffer.from(page));
    expect(fromBytes).toEqual(fromText);
    expect([none, charset]).toEqual([null, "utf-8"]);
    expect(extract(page)).toEqual(extract(page));
  });
});
