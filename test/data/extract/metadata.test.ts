import { describe, expect, it } from "vitest";
import { extract } from "../../../src/data/extract/extract.js";
import { dayOf } from "../../../src/data/extract/metadata.js";
import { prose } from "./page.js";

const page = (head: string, body = "", html = "") =>
  extract(`<html ${html}><head>${head}</head><body>${body}<article><p>${prose("it")}</p></article></body></html>`, {
    url: "https://example.org/a/b.html?x=1",
  });

describe("metadata", () => {
  it("prefers linked data", () => {
    const data = {
      "@context": "https://schema.org",
      "@graph": [
        { "@type": "WebSite", name: "Site" },
        {
          "@type": "NewsArticle",
          headline: "Head &amp; line",
          author: [{ name: "Ann Ash" }, "Bo Berg"],
          datePublished: "2024-03-05T10:00:00+01:00",
          inLanguage: "en-GB",
        },
      ],
    };
    const found = page(
      `<title>Other | Site</title><meta property="og:title" content="Open"><script type="application/ld+json">${JSON.stringify(data)}</script>`,
    );
    expect(found).toMatchObject({ author: "Ann Ash, Bo Berg", date: "2024-03-05", language: "en-GB", type: "article" });
  });

  it("reads meta elements", () => {
    expect(
      page(
        '<title>T</title><meta property="og:title" content="Open"><meta name="author" content="by Cy Dow"><meta property="article:published_time" content="2023-12-31"><meta property="og:locale" content="pt_BR"><meta property="og:site_name" content="S"><meta name="description" content="D">',
      ),
    ).toMatchObject({
      title: "Open",
      author: "Cy Dow",
      date: "2023-12-31",
      language: "pt-BR",
      site: "S",
      description: "D",
    });
  });

  it("reads markup", () => {
    expect(
      page(
        "<title>T</title>",
        '<h1>The head</h1><a rel="author" href="x">Di Eck</a><time datetime="2020-02-29">then</time>',
        'lang="DE-at"',
      ),
    ).toMatchObject({ title: "The head", author: "Di Eck", date: "2020-02-29", language: "de-AT" });
  });

  it("removes the site name from the title element", () => {
    expect(page('<title>The story - The Site</title><meta property="og:site_name" content="The Site">').title).toBe(
      "The story",
    );
    expect(page("<title>The story - in two parts</title>").title).toBe("The story - in two parts");
  });

  it("resolves the canonical address and ignores addresses that are not http", () => {
    expect(page('<link rel="canonical" href="/c">').url).toBe("https://example.org/c");
    expect(page('<base href="https://other.org/d/"><link rel="canonical" href="e">').url).toBe("https://other.org/d/e");
    expect(page('<link rel="canonical" href="javascript:alert(1)">').url).toBe("https://example.org/a/b.html?x=1");
    expect(extract("<p>x</p>").url).toBeNull();
  });

  it("returns null for missing metadata", () => {
    expect(extract("<p>x</p>")).toMatchObject({
      title: null,
      author: null,
      date: null,
      language: null,
      url: null,
      site: null,
    });
  });

  it.each([
    ["2024-03-05T10:00:00Z", "2024-03-05"],
    ["20240305", "2024-03-05"],
    ["5 March 2024", "2024-03-05"],
    ["Tue, 5th Mar 2024 10:00", "2024-03-05"],
    ["March 5, 2024", "2024-03-05"],
    ["03/05/2024", null],
    ["2024-13-05", null],
    ["yesterday", null],
  ])("reads the day of %s", (text, day) => {
    expect(dayOf(text)).toBe(day);
  });
});
