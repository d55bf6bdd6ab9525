import { describe, expect, it } from "vitest";
import { markdown, plain } from "./page.js";

const row = (...cells: string[]) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
const head = (...cells: string[]) => `<tr>${cells.map((cell) => `<th>${cell}</th>`).join("")}</tr>`;

describe("tables", () => {
  it.each([
    ["with a header", `<table>${head("A", "B")}${row("1", "2")}</table>`, "| A | B |\n| --- | --- |\n| 1 | 2 |"],
    [
      "without a header",
      `<table>${row("1", "2")}${row("3", "4")}</table>`,
      "|  |  |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |",
    ],
    [
      "with a caption and sections",
      `<table><caption>Cap</caption><thead>${row("A", "B")}</thead><tbody>${row("1", "2")}</tbody><tfoot>${row("s", "t")}</tfoot></table>`,
      "Cap\n\n| A | B |\n| --- | --- |\n| 1 | 2 |\n| s | t |",
    ],
    [
      "with spanned columns and rows",
      '<table><tr><th>A</th><th>B</th><th>C</th></tr><tr><td rowspan="2">1</td><td colspan="2">2</td></tr><tr><td>3</td><td>4</td></tr></table>',
      "| A | B | C |\n| --- | --- | --- |\n| 1 | 2 |  |\n|  | 3 | 4 |",
    ],
    [
      "with a bar in a cell",
      `<table>${head("A", "B")}${row("x|y", "z")}</table>`,
      "| A | B |\n| --- | --- |\n| x\\|y | z |",
    ],
    ["with unclosed cells", "<table><tr><th>A<th>B<tr><td>1<td>2</table>", "| A | B |\n| --- | --- |\n| 1 | 2 |"],
    [
      "with rows of different length",
      `<table>${head("A", "B")}${row("1")}</table>`,
      "| A | B |\n| --- | --- |\n| 1 |  |",
    ],
    [
      "with blocks in a cell",
      `<table>${head("A", "B")}${row("<p>one</p><p>two</p>", "<ul><li>x</li><li>y</li></ul>")}</table>`,
      "| A | B |\n| --- | --- |\n| one two | - x - y |",
    ],
    [
      "with emphasis and code in a cell",
      `<table>${head("A", "B")}${row("<b>x</b>", "<code>f()</code>")}</table>`,
      "| A | B |\n| --- | --- |\n| **x** | `f()` |",
    ],
    [
      "with empty rows",
      `<table>${head("A", "B")}${row("", "")}${row("1", "2")}</table>`,
      "| A | B |\n| --- | --- |\n| 1 | 2 |",
    ],
    [
      "with row headers",
      "<table><tr><th>Height</th><td>2 m</td></tr><tr><th>Width</th><td>1 m</td></tr></table>",
      "|  |  |\n| --- | --- |\n| Height | 2 m |\n| Width | 1 m |",
    ],
    [
      "used for layout",
      `<table><tr><td><p>Left column of a page.</p><table><tr><td>x</td></tr></table></td><td>Right</td></tr></table>`,
      "Left column of a page.\n\nx\n\nRight",
    ],
    [
      "declared as presentation",
      `<table role="presentation">${row("a", "b")}${row("c", "d")}</table>`,
      "a\n\nb\n\nc\n\nd",
    ],
  ])("%s", (_, body, expected) => {
    expect(markdown(body)).toBe(expected);
  });

  it("writes plain rows with bars between the cells", () => {
    expect(plain(`<table>${head("A", "B")}${row("1", "2")}</table>`)).toBe("A | B\n1 | 2");
  });

  it("limits a span of a million", () => {
    const text = plain(
      `<table>${head("A", "B")}<tr><td colspan="1000000" rowspan="1000000">x</td></tr>${row("1", "2")}</table>`,
    );
    expect(text.length).toBeLessThan(2000);
    expect(text).toContain("A | B");
  });
});
