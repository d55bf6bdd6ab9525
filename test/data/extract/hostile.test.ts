import { describe, expect, it } from "vitest";
import { extract, LONGEST_PAGE } from "../../../src/data/extract/extract.js";
import { pageWith, prose } from "./page.js";

const body = `<article><h1>Head</h1><p>${prose("it")}</p><p>${prose("more")}</p></article>`;

/** Milliseconds. Generous: the tests only check that time does not grow quadratically. */
const BOUND = 10_000;

function timed(html: string | Uint8Array) {
  const start = performance.now();
  const found = extract(html);
  expect(performance.now() - start).toBeLessThan(BOUND);
  return found;
}

describe("hostile pages", () => {
  it.each(["div", "b", "ul><li", "table><tr><td", "a", "p><div", "math><mrow", "svg"])("100,000 nested <%s>", (tag) => {
    const found = timed(`${body}${`<${tag}>`.repeat(100_000)}deep`);
    expect(found.text).toContain("Sentence 1 of it");
  });

  it("100,000 nested tags, each closed", () => {
    expect(timed(`${"<div>".repeat(100_000)}${body}${"</div>".repeat(100_000)}`).text).toContain("Sentence 4 of more");
  });

  it("end tags without start tags", () => {
    expect(timed(`${body}${"<b><i>".repeat(20_000)}${"</table></u></p></a>".repeat(50_000)}`).text).toContain(
      "Sentence 1",
    );
  });

  it("200 MB, read only in part", () => {
    const block = Buffer.from(`<p>${prose("a block", 12)}</p>\n`);
    const page = Buffer.alloc(200 * 2 ** 20, block);
    const found = timed(page);
    expect(found.cut).toBe(true);
    expect(found.text.length).toBeLessThan(LONGEST_PAGE);
    expect(found.text).toContain("Sentence 1 of a block");
  });

  it("a very long line of letters", () => {
    const found = timed(pageWith(`<p>${"a".repeat(3e6)}</p>`));
    expect(found.text).toContain("aaaa");
  });

  it("an unclosed attribute, tag and comment", () => {
    expect(timed(`${body}<p class="${"x y ".repeat(1e6)}">z</p>`).text).toContain("Sentence 1");
    expect(timed(`${body}<p ${"data-a=b ".repeat(300_000)}`).text).toContain("Sentence 1");
    expect(timed(`${body}<!-- ${"-- > ".repeat(500_000)}`).text).toContain("Sentence 1");
  });

  it("scripts inside various elements", () => {
    const script = "<script>var a = '<p>no text</p>'; if (a < b) { c(); }</script>";
    const found = timed(
      `${script}<article>${script}<p>${script}${prose("the text")}${script}</p>${`<p>${script}${prose("x", 1)}</p>`.repeat(5000)}</article>`,
    );
    expect(found.text).toContain("Sentence 1 of the text");
    expect(found.text).not.toContain("var a");
  });

  it("an unclosed script", () => {
    expect(timed(`${body}<script>${"x < y; ".repeat(300_000)}`).text).toContain("Sentence 1");
  });

  it("NUL bytes anywhere", () => {
    const found = timed(`<ar\0ticle>\0<p>\0${prose("it")}\0</p><p>${prose("more")}</p>\0${"\0".repeat(1e6)}`);
    expect(found.text).toContain("Sentence 1 of it");
    expect(found.text).not.toContain("\0");
  });

  it("a great many elements of each kind", () => {
    for (const piece of [
      "<h2>Related articles</h2><p><a href=x>one</a></p>",
      "<table><tr><td>1<td>2</table>",
      "<li>x",
      "<a href=x>link</a>",
      "&amp;&lt;&#x41;",
      "<br>",
      "<p>You may also like",
      "<div class='katex comment related'><span>x</span></div>",
      "<img alt='x^2' class='latex'>",
      "<form><input><label>a</label>",
      "text <b>bold</b> ",
    ]) {
      expect(timed(`${body}${piece.repeat(20_000)}`).text.length).toBeGreaterThan(0);
    }
  });

  it("unclosed and senseless linked data", () => {
    const deep = `${'{"@graph":['.repeat(20_000)}`;
    for (const data of [
      deep,
      "{",
      "[]".repeat(1000),
      `{"@type":"Article","author":${"[".repeat(5000)}${"]".repeat(5000)}}`,
    ]) {
      expect(timed(`<script type="application/ld+json">${data}</script>${body}`).text).toContain("Sentence 1");
    }
  });

  it("input that is not a page", () => {
    for (const html of ["", " ", "\0", "<", "</", "<!", "&", "&#", "<p", "<p a=", "\ufffe\uffff", "plain words"]) {
      expect(timed(html).source).toMatch(/page|none/);
    }
  });
});

describe("time for pages of doubled and quadrupled size", () => {
  // Measures CPU time, so that other processes do not count. A quadratic pass would take 16 times as long for four times the size.
  const seconds = (html: string): number => {
    const start = process.cpuUsage();
    extract(html, { format: "markdown" });
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1e6;
  };
  const math = (n: number, tag: string, inner = "") => `<p>x</p><math>${`<${tag}>${inner}`.repeat(n)}<mi>y</mi>`;
  const cases: readonly (readonly [string, (n: number) => string])[] = [
    ["links in nested blocks", (n) => '<div><a href="/x">a link</a>'.repeat(n)],
    ["nested fractions", (n) => math(n, "mfrac")],
    ["nested fractions with a number each", (n) => math(n, "mfrac", "<mn>1</mn>")],
    ["nested marks over letters", (n) => math(n, "mover", "<mi>x</mi>")],
    ["a formula with many letters", (n) => `<math>${"<mi>x</mi>".repeat(n)}</math>`],
    ["nested tables", (n) => "<table><tr><td>x".repeat(n)],
    ["nested lists", (n) => "<ul><li>x".repeat(n)],
    ["attributes of one tag", (n) => `<p ${Array.from({ length: 4 * n }, (_, i) => `a${i}=b`).join(" ")}>x`],
    [
      "entities in linked data",
      (n) => `<script type="application/ld+json">{"@type":"Article","a":["${'&amp;x","'.repeat(n)}`,
    ],
    ["shadow trees", (n) => '<x-a><template shadowrootmode="open"><slot></slot>y'.repeat(n)],
  ];
  it.each(cases)("is linear for %s", (_, make) => {
    const n = 6000;
    seconds(make(n));
    const once = seconds(make(n));
    expect(seconds(make(2 * n))).toBeLessThan(once * 6 + 0.5);
    expect(seconds(make(4 * n))).toBeLessThan(once * 9 + 0.5);
  });
});
