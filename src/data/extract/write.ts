/**
 * @file Writes the selected content as plain text or Markdown: headings, paragraphs, lists, tables, code, quotes and
 * mathematics in page order.
 */
import { codeOf, isLineNumber, languageOf } from "./code.js";
import { LineOutput } from "./line-output.js";
import { mathematicsOf } from "./mathematics.js";
import { textOf } from "./node.js";
import { scriptText } from "./superscript.js";
import { tableOf } from "./table.js";
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";

export type Format = "text" | "markdown";

const SPACES = /[ \t\n\r\f\v\u00a0\u2000-\u200a\u202f\u3000]+/g;
/** Invisible characters: zero-width marks, soft hyphens, control characters, private use. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are removed
const UNSEEN = /[\u0000-\u0008\u000b\u000e-\u001f\u007f\u00ad\u200b\u2060\ufeff\ue000-\uf8ff]/g;

export const cleanSpaces = (text: string): string => text.replace(UNSEEN, "").replace(SPACES, " ");

/** Writes the roots one after the other and returns the text. */
export function writeNodes(roots: readonly Node[], format: Format): string {
  const writer = new Writer(format === "markdown");
  for (const root of roots) writer.block(root);
  return writer.output.toString();
}

class Writer {
  readonly output: LineOutput;
  readonly #markdown: boolean;
  /** Current depth of lists. */
  #list = 0;

  /** @param oneLine whether to write a table cell, which contains no blocks */
  constructor(markdown: boolean, oneLine = false) {
    this.#markdown = markdown;
    this.output = new LineOutput(markdown && !oneLine);
  }

  block(node: Node): void {
    if (node.skipped) return;
    const { output } = this;
    const { tag } = node;
    // A list inside an item follows its text without a blank line.
    output.end(this.#list > 0 && (tag.name === "ul" || tag.name === "ol"));
    if (tag.name === "td" && isLineNumber(node)) return;
    if (tag.heading > 0) this.#heading(node);
    else {
      switch (tag.name) {
        case "ul":
        case "ol":
        case "menu":
        case "dir":
          this.#listOf(node);
          break;
        case "li":
          // A list item outside a list.
          this.#item(node, "- ");
          break;
        case "pre":
        case "listing":
        case "xmp":
          this.#code(node);
          break;
        case "table":
          this.#table(node);
          break;
        case "blockquote":
          if (this.#markdown) output.within("> ", "> ", () => this.inline(node));
          else this.inline(node);
          break;
        case "dl":
          this.inline(node);
          output.end(true);
          // Otherwise what follows would become part of the last definition.
          output.gap();
          break;
        case "dt":
          this.inline(node);
          output.end(true);
          break;
        case "dd":
          if (this.#markdown) output.within(": ", "  ", () => this.inline(node));
          else this.inline(node);
          break;
        case "hr":
          break;
        default:
          this.inline(node);
      }
    }
    output.end();
  }

  /** Writes the children of an element. */
  inline(node: Node): void {
    const separate = hasSeparateLabels(node);
    for (let child = node.first; child !== null; child = child.next) {
      if (child.tag === TEXT) this.output.text(cleanSpaces(child.text));
      else if (child.skipped) continue;
      else {
        const mathematics = mathematicsOf(child);
        if (mathematics !== undefined) this.#mathematics(mathematics.tex, mathematics.display);
        else if (child.tag.block) this.block(child);
        else this.#inlineElement(child);
        if (separate) this.output.text(" ");
      }
    }
  }

  #inlineElement(node: Node): void {
    const { output } = this;
    switch (node.tag.name) {
      case "br":
        output.break();
        return;
      case "code":
      case "tt":
      case "kbd":
      case "samp":
        this.#inlineCode(node);
        return;
      case "sup":
      case "sub": {
        const text = hasBlock(node) ? undefined : scriptText(node, output.tail());
        if (text === undefined) this.inline(node);
        else output.text(text);
        return;
      }
      case "q":
        output.text("“");
        this.inline(node);
        output.text("”");
        return;
      case "strong":
      case "b":
        this.#marked(node, "**");
        return;
      case "em":
      case "i":
        this.#marked(node, "*");
        return;
      case "del":
      case "s":
      case "strike":
        this.#marked(node, "~~");
        return;
      default:
        this.inline(node);
    }
  }

  /** Writes emphasis in Markdown. Marks must not span blocks, so an element that contains one is written without marks. */
  #marked(node: Node, mark: string): void {
    if (!this.#markdown || node.chars === 0 || hasBlock(node)) {
      this.inline(node);
      return;
    }
    const inner = inlineText(node);
    if (inner === "" || inner.includes(mark)) {
      this.inline(node);
      return;
    }
    const raw = textOf(node);
    this.output.text((/^\s/.test(raw) ? " " : "") + mark + inner + mark + (/\s$/.test(raw) ? " " : ""));
  }

  #inlineCode(node: Node): void {
    if (hasBlock(node)) {
      this.inline(node);
      return;
    }
    const code = codeOf(node);
    if (code.includes("\n") && node.tag.name === "code" && code.trim().split("\n").length > 2) {
      // Multi-line code without <pre>: CSS preserves its line breaks.
      this.output.end();
      this.#verbatim(code, languageOf(node));
      return;
    }
    const text = cleanSpaces(code);
    if (!this.#markdown || text.trim() === "") {
      this.output.text(text);
      return;
    }
    let fence = "`";
    while (text.includes(fence)) fence += "`";
    const pad = text.startsWith("`") || text.endsWith("`") ? " " : "";
    this.output.text(fence + pad + text.trim() + pad + fence);
  }

  #mathematics(tex: string, display: boolean): void {
    if (tex === "") return;
    if (display) {
      this.output.end();
      this.output.verbatim(tex.includes("\n") ? ["$$", ...tex.split("\n"), "$$"] : [`$$${tex}$$`]);
    } else this.output.text(`$${cleanSpaces(tex)}$`);
  }

  #heading(node: Node): void {
    const { output } = this;
    if (hasBlock(node)) {
      // A heading that contains blocks is used for layout; write each block as a paragraph.
      this.inline(node);
      output.end();
      return;
    }
    if (this.#markdown && node.chars > 0) {
      const text = inlineText(node);
      if (text !== "") output.verbatim([`${"#".repeat(node.tag.heading)} ${text.replace(/\n/g, " ")}`]);
      return;
    }
    this.inline(node);
    output.end();
  }

  #listOf(node: Node): void {
    const ordered = node.tag.name === "ol";
    const reversed = ordered && node.attributes?.has("reversed") === true;
    let number = Number.parseInt(node.get("start"), 10);
    if (!Number.isSafeInteger(number)) number = reversed ? countItems(node) : 1;
    this.#list++;
    for (let child = node.first; child !== null; child = child.next) {
      if (child.skipped) continue;
      if (child.tag.name === "li") {
        const value = Number.parseInt(child.get("value"), 10);
        if (ordered && Number.isSafeInteger(value)) number = value;
        this.#item(child, ordered ? `${number}. ` : "- ");
        number += reversed ? -1 : 1;
      } else if (child.tag === TEXT) this.output.text(cleanSpaces(child.text));
      else if (child.tag.block) this.block(child);
      else this.#inlineElement(child);
    }
    this.output.end(true);
    this.#list--;
    if (this.#list === 0) this.output.gap();
  }

  #item(node: Node, marker: string): void {
    const indent = " ".repeat(marker.length);
    this.output.within(marker, indent, () => this.inline(node));
  }

  #code(node: Node): void {
    this.#verbatim(codeOf(node), languageOf(node));
  }

  #verbatim(code: string, language: string): void {
    const lines = code
      .replace(/^(?:[ \t]*\n)+/, "")
      .trimEnd()
      .split("\n");
    if (lines.length === 1 && lines[0].trim() === "") return;
    if (this.#markdown) {
      let fence = "```";
      while (code.includes(fence)) fence += "`";
      this.output.verbatim([fence + language, ...lines, fence]);
    } else this.output.verbatim(lines);
  }

  #table(node: Node): void {
    const table = tableOf(node, (cell) => cellText(cell, this.#markdown));
    if (table === undefined) {
      this.inline(node);
      return;
    }
    const { caption, rows, headed } = table;
    if (caption !== "") this.output.verbatim([caption]);
    if (rows.length === 0) return;
    if (!this.#markdown) {
      this.output.verbatim(rows.map((row) => row.join(" | ").trim()));
      return;
    }
    const width = rows[0].length;
    const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replace(/\|/g, "\\|")).join(" | ")} |`;
    const head = headed ? rows[0] : Array<string>(width).fill("");
    const body = headed ? rows.slice(1) : rows;
    this.output.verbatim([line(head), `|${" --- |".repeat(width)}`, ...body.map(line)]);
  }
}

/** Returns the text of a cell on one line. */
function cellText(cell: Node, markdown: boolean): string {
  const writer = new Writer(markdown, true);
  writer.inline(cell);
  writer.output.end();
  return writer.output.toString().replace(/\s*\n\s*/g, " ");
}

/** Returns the plain text of an element on one line. */
export function inlineText(node: Node): string {
  const writer = new Writer(false);
  writer.inline(node);
  writer.output.end();
  return writer.output.toString().replace(/\n/g, " ");
}

function countItems(list: Node): number {
  let items = 0;
  for (let child = list.first; child !== null; child = child.next) if (child.tag.name === "li") items++;
  return items;
}

function hasBlock(node: Node): boolean {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag.block || (child.first !== null && hasBlock(child))) return true;
  }
  return false;
}

/**
 * Whether the inline children are separate labels that need spaces between them: all text of the element is in two or more
 * inline children (`<div><span>Price</span><span>$5</span></div>`).
 */
function hasSeparateLabels(node: Node): boolean {
  if (!node.tag.block || node.tag.name === "p") return false;
  let elements = 0;
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag === TEXT) {
      if (child.chars > 0) return false;
    } else if (!child.tag.block) elements++;
  }
  return elements > 1;
}
