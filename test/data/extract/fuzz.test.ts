import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { extract } from "../../../src/data/extract/extract.js";
import { MAX_DEPTH, type Node, parseTree } from "../../../src/data/extract/tree.js";

const names =
  "div p span a b i ul ol li table tr td th tbody pre code h1 h2 article main nav form script style svg math mi mfrac noscript title select option textarea blockquote dl dt dd br img p/ !-- ![CDATA[ ?xml".split(
    " ",
  );
const attributes = [
  "",
  ' class="content comment nav"',
  " hidden",
  ' style="display:none"',
  ' class="katex"',
  " colspan=9999999",
  ' href="#"',
  " class='a",
  ' start="-5"',
  ' type="math/tex"',
  ' data-preloaded="{}"',
];
const piece = fc.oneof(
  fc
    .tuple(fc.constantFrom(...names), fc.constantFrom(...attributes))
    .map(([name, attribute]) => `<${name}${attribute}>`),
  fc.constantFrom(...names).map((name) => `</${name}>`),
  fc.lorem({ maxCount: 12 }),
  fc.string({ maxLength: 20 }),
  fc.constantFrom("&amp;", "&#0;", "&#x110000;", "&nosuch;", "\0", "\ud800", "\u00a0", "$5", "<", ">", "\r\n", "```"),
);
const pages = fc.array(piece, { maxLength: 120 }).map((pieces) => pieces.join(""));

describe("any page", () => {
  it("is extracted without an error, deterministically, to text without control characters", () => {
    fc.assert(
      fc.property(
        pages,
        fc.constantFrom("text", "markdown"),
        fc.constantFrom("precision", "balanced", "recall"),
        (html, format, focus) => {
          const found = extract(html, { format, focus });
          expect(extract(html, { format, focus })).toEqual(found);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters must be absent
          expect(found.text).not.toMatch(/[\u0000\u0001-\u0008]/);
          // List markers and quote prefixes may lengthen the text by a bounded factor.
          expect(found.text.length).toBeLessThan(50 * html.length + 1000);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("may consist of arbitrary bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const found = extract(bytes);
        expect(typeof found.text).toBe("string");
        expect(found.charset).not.toBeNull();
      }),
      { numRuns: 300 },
    );
  });

  it("keeps every word of plain paragraphs", () => {
    fc.assert(
      fc.property(fc.array(fc.lorem({ maxCount: 40 }), { minLength: 3, maxLength: 12 }), (paragraphs) => {
        const unique = paragraphs.map(
          (text, i) => `Number ${i}: ${text} that is all there is to say about number ${i}.`,
        );
        const { text } = extract(`<article>${unique.map((own) => `<p>${own}</p>`).join("")}</article>`);
        expect(text).toBe(unique.join("\n\n"));
      }),
      { numRuns: 100 },
    );
  });

  it("becomes a tree of bounded depth with correct parent links", () => {
    fc.assert(
      fc.property(pages, fc.integer({ min: 1, max: 400 }), (html, times) => {
        const check = (node: Node, depth: number): void => {
          expect(depth).toBeLessThanOrEqual(MAX_DEPTH + 1);
          for (let child = node.first; child !== null; child = child.next) {
            expect(child.parent).toBe(node);
            if (child.next === null) expect(node.last).toBe(child);
            check(child, depth + 1);
          }
        };
        check(parseTree("<div><b>".repeat(times) + html).root, 0);
      }),
      { numRuns: 60 },
    );
  });
});
