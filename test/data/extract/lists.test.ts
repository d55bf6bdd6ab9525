import { describe, expect, it } from "vitest";
import { markdown, plain } from "./page.js";

describe("lists", () => {
  it.each([
    ["bullets", "<ul><li>One</li><li>Two <b>bold</b></li></ul>", "- One\n- Two **bold**"],
    ["numbers from a start", '<ol start="3"><li>Three</li><li>Four</li></ol>', "3. Three\n4. Four"],
    ["reversed numbers", "<ol reversed><li>c</li><li>b</li><li>a</li></ol>", "3. c\n2. b\n1. a"],
    ["a value attribute", '<ol><li>a</li><li value="7">g</li><li>h</li></ol>', "1. a\n7. g\n8. h"],
    [
      "nested lists",
      "<ol><li>One<ul><li>inner</li><li>more<ol><li>deep</li></ol></li></ul></li><li>Two</li></ol>",
      "1. One\n   - inner\n   - more\n     1. deep\n2. Two",
    ],
    ["unclosed items", "<ul><li>a<li>b<li>c</ul>", "- a\n- b\n- c"],
    [
      "paragraphs in an item",
      "<ul><li><p>First of the item.</p><p>Second of it.</p></li><li>x</li></ul>",
      "- First of the item.\n\n  Second of it.\n\n- x",
    ],
    [
      "terms and definitions",
      "<dl><dt>Term</dt><dd>Meaning of it.</dd><dt>Word</dt><dd>More.</dd></dl>",
      "Term\n: Meaning of it.\nWord\n: More.",
    ],
    [
      "a paragraph after a definition list",
      "<dl><dt>Term</dt><dd>Meaning of it.</dd></dl><p>What follows.</p>",
      "Term\n: Meaning of it.\n\nWhat follows.",
    ],
    [
      "paragraphs that look like headings, quotes, items, rules and code",
      "<p># one</p><p>&gt; two</p><p>- three<br>* four</p><p>1. five</p><p>2) six</p><p>---</p><p>```</p><p>#seven 1.5 -x **y**</p><ul><li>8. eight</li></ul>",
      "\\# one\n\n\\> two\n\n\\- three\n\\* four\n\n1\\. five\n\n2\\) six\n\n\\---\n\n\\```\n\n#seven 1.5 -x **y**\n\n- 8\\. eight",
    ],
    ["code with runs of backticks", "<ul><li><code>a ``b` c</code></li></ul>", "- ```a ``b` c```"],
    [
      "code in an item",
      "<ul><li>Run:<pre>npm test</pre></li><li>Done</li></ul>",
      "- Run:\n\n  ```\n  npm test\n  ```\n\n- Done",
    ],
    ["empty items", "<ul><li></li><li> </li><li>x</li></ul>", "- x"],
    ["a list in a quote", "<blockquote><ul><li>a</li><li>b</li></ul></blockquote>", "> - a\n> - b"],
    ["items outside a list", "<div><li>a</li><li>b</li></div>", "- a\n- b"],
    ["an item with a line break", "<ul><li>one<br>two</li></ul>", "- one\n  two"],
    ["a list directly inside a list", "<ul><li>a</li><ul><li>b</li></ul></ul>", "- a\n- b"],
  ])("%s", (_, body, expected) => {
    expect(markdown(body)).toBe(expected);
  });

  it("marks only items in plain text", () => {
    expect(plain("<ol><li>A <b>bold</b> <a href='x'>link</a></li></ol>")).toBe("1. A bold link");
  });

  it("limits the indentation of deeply nested lists", () => {
    const text = plain(`${"<ul><li>x".repeat(3000)}`);
    expect(text.length).toBeLessThan(3000 * 60);
  });
});
