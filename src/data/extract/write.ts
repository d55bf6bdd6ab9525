/**
 * @file What was chosen of a page, as plain text or Markdown: headings, paragraphs, lists, tables, code, quotes and
 * mathematics in the page's order.
 */
import { codeOf, isLineNumber, languageOf } from "./code.js";
import { mathematicsOf } from "./mathematics.js";
import { textOf } from "./node.js";
import { Paper } from "./paper.js";
import { scriptText } from "./superscript.js";
import { tableOf } from "./table.js";
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";

export type Format = "text" | "markdown";

const SPACES = /[ \t\n\r\f\v\u00a0\u2000-\u200a\u202f\u3000]+/g;
/** What a reader does not see: zero-width marks, soft hyphens, control characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const UNSEEN = /[\u0000-\u0008\u000b\u000e-\u001f\u007f\u00ad\u200b\u2060\ufeff\ue000-\uf8ff]/g;

export const cleanSpaces = (text: string): string => text.replace(UNSEEN, "").replace(SPACES, " ");

/** Text of the roots, one after the other. */
export function writeNodes(roots: readonly Node[], format: Format): string {
  const writer = new Writer(format === "markdown");
  for (const root of roots) writer.block(root);
  return writer.paper.toString();
}

class Writer {
  readonly paper: Paper;
  readonly #markdown: boolean;
  /** Depth of lists, for their markers. */
  #list = 0;

  /** @param oneLine a table's cell, which holds no blocks */
  constructor(markdown: boolean, oneLine = false) {
    this.#markdown = markdown;
    this.paper = new Paper(markdown && !oneLine);
  }

  block(node: Node): void {
    if (node.skipped) return;
    const paper = this.paper;
    const { tag } = node;
    // A list inside an item follows its text without a blank line.
    paper.end(this.#list > 0 && (tag.name === "ul" || tag.name === "ol"));
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
          // A list item without its list.
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
          if (this.#markdown) paper.within("> ", "> ", () => this.inline(node));
          else this.inline(node);
          break;
        case "dl":
          this.inline(node);
          paper.end(true);
          // Else the last meaning would go on in what follows.
          paper.gap();
          break;
        case "dt":
          this.inline(node);
          paper.end(true);
          break;
        case "dd":
          if (this.#markdown) paper.within(": ", "  ", () => this.inline(node));
          else this.inline(node);
          break;
        case "hr":
          break;
        default:
          this.inline(node);
      }
    }
    paper.end();
  }

  /** The children of an element, as they flow. */
  inline(node: Node): void {
    const apart = standsApart(node);
    for (let child = node.first; child !== null; child = child.next) {
      if (child.tag === TEXT) this.paper.say(cleanSpaces(child.text));
      else if (child.skipped) continue;
      else {
        const mathematics = mathematicsOf(child);
        if (mathematics !== undefined) this.#mathematics(mathematics.tex, mathematics.display);
        else if (child.tag.block) this.block(child);
        else this.#inlineElement(child);
        if (apart) this.paper.say(" ");
      }
    }
  }

  #inlineElement(node: Node): void {
    const paper = this.paper;
    switch (node.tag.name) {
      case "br":
        paper.break();
        return;
      case "code":
      case "tt":
      case "kbd":
      case "samp":
        this.#inlineCode(node);
        return;
      case "sup":
      case "sub": {
        const text = hasBlock(node) ? undefined : scriptText(node, paper.tail());
        if (text === undefined) this.inline(node);
        else paper.say(text);
        return;
      }
      case "q":
        paper.say("“");
        this.inline(node);
        paper.say("”");
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

  /** Emphasis in Markdown; only where it holds one run of text, for marks must not reach over blocks. */
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
    this.paper.say((/^\s/.test(raw) ? " " : "") + mark + inner + mark + (/\s$/.test(raw) ? " " : ""));
  }

  #inlineCode(node: Node): void {
    if (hasBlock(node)) {
      this.inline(node);
      return;
    }
    const code = codeOf(node);
    if (code.includes("\n") && node.tag.name === "code" && code.trim().split("\n").length > 2) {
      // Code of several lines without a <pre>: the page keeps its lines by style.
      this.paper.end();
      this.#verbatim(code, languageOf(node));
      return;
    }
    const text = cleanSpaces(code);
    if (!this.#markdown || text.trim() === "") {
      this.paper.say(text);
      return;
    }
    let fence = "`";
    while (text.includes(fence)) fence += "`";
    const pad = text.startsWith("`") || text.endsWith("`") ? " " : "";
    this.paper.say(fence + pad + text.trim() + pad + fence);
  }

  #mathematics(tex: string, display: boolean): void {
    if (tex === "") return;
    if (display) {
      this.paper.end();
      this.paper.verbatim(tex.includes("\n") ? ["$$", ...tex.split("\n"), "$$"] : [`$$${tex}$$`]);
    } else this.paper.say(`$${cleanSpaces(tex)}$`);
  }

  #heading(node: Node): void {
    const paper = this.paper;
    if (hasBlock(node)) {
      // A heading that wraps blocks is a layout; each of its lines is said by itself.
      this.inline(node);
      paper.end();
      return;
    }
    if (this.#markdown && node.chars > 0) {
      const text = inlineText(node);
      if (text !== "") paper.verbatim([`${"#".repeat(node.tag.heading)} ${text.replace(/\n/g, " ")}`]);
      return;
    }
    this.inline(node);
    paper.end();
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
      } else if (child.tag === TEXT) this.paper.say(cleanSpaces(child.text));
      else if (child.tag.block) this.block(child);
      else this.#inlineElement(child);
    }
    this.paper.end(true);
    this.#list--;
    if (this.#list === 0) this.paper.gap();
  }

  #item(node: Node, marker: string): void {
    const indent = " ".repeat(marker.length);
    this.paper.within(marker, indent, () => this.inline(node));
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
      this.paper.verbatim([fence + language, ...lines, fence]);
    } else this.paper.verbatim(lines);
  }

  #table(node: Node): void {
    const table = tableOf(node, (cell) => cellText(cell, this.#markdown));
    if (table === undefined) {
      this.inline(node);
      return;
    }
    const { caption, rows, headed } = table;
    if (caption !== "") this.paper.verbatim([caption]);
    if (rows.length === 0) return;
    if (!this.#markdown) {
      this.paper.verbatim(rows.map((row) => row.join(" | ").trim()));
      return;
    }
    const width = rows[0].length;
    const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replace(/\|/g, "\\|")).join(" | ")} |`;
    const head = headed ? rows[0] : Array<string>(width).fill("");
    const body = headed ? rows.slice(1) : rows;
    this.paper.verbatim([line(head), `|${" --- |".repeat(width)}`, ...body.map(line)]);
  }
}

/** A cell as one line. */
function cellText(cell: Node, markdown: boolean): string {
  const writer = new Writer(markdown, true);
  writer.inline(cell);
  writer.paper.end();
  return writer.paper.toString().replace(/\s*\n\s*/g, " ");
}

/** The text of an element on one line, as it is written. */
export function inlineText(node: Node): string {
  const writer = new Writer(false);
  writer.inline(node);
  writer.paper.end();
  return writer.paper.toString().replace(/\n/g, " ");
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
 * True where inline elements are laid out beside each other rather than run together: an element whose text is all in
 * children that are labels of their own (`<div><span>Price</span><span>$5</span></div>`).
 */
function standsApart(node: Node): boolean {
  if (!node.tag.block || node.tag.name === "p") return false;
  let elements = 0;
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag === TEXT) {
      if (child.chars > 0) return false;
    } else if (!child.tag.block) elements++;
  }
  return elements > 1;
}
