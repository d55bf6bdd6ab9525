/**
 * @file Parses a page into a small tree, in one pass over the events of htmlparser2's tokenizer.
 *
 * The tree contains only what the extractor uses: elements with a few attributes, and text. Scripts, styles and drawings
 * never become nodes. Elements nested deeper than `MAX_DEPTH` become siblings, as in browsers, so that later passes can recurse.
 * To keep time linear in the page's size, an end tag is matched only against that many open elements, and only if its
 * element is open.
 */
import { Tokenizer } from "htmlparser2";
import { Node } from "./node.js";
import { attachShadows, isShadowTemplate } from "./shadow.js";
import { type Tag, TEXT, tagOf } from "./tags.js";

export { Node };

/** Maximum number of elements open at once. */
export const MAX_DEPTH = 256;

/** Maximum number of nodes; the rest of the page is not read, and `cut` is set. */
export const MAX_NODES = 500_000;

export interface Tree {
  readonly root: Node;
  /** Contents of `<script type="application/ld+json">`. */
  readonly linkedData: readonly string[];
  /** `<meta>`, `<link>`, `<base>`, in order. */
  readonly heads: readonly Node[];
  readonly title: string;
  /** Characters of scripts. */
  readonly scriptChars: number;
  /** Whether the page has more than `MAX_NODES` nodes. */
  readonly cut: boolean;
}

/** Attributes that are kept because some rule reads them; class and id are separate fields. */
const KEPT = new Set(
  (
    "href src role hidden style lang itemprop itemtype datetime content property name rel type alt title value start " +
    "colspan rowspan aria-hidden aria-label http-equiv charset reversed display encoding open mathvariant " +
    "data-lang data-language data-latex data-tex data-math data-expr data-component data-testid tex latex " +
    "linethickness notation alttext data-preloaded shadowrootmode slot"
  ).split(" "),
);

const SPACE = /^[ \t\n\r\f]*$/;

/** The end tags of these do not close blocks opened inside them: `<b><div></b>` leaves the div open. */
const FORMATTING = new Set(
  "a b big code em font i nobr s small span strike strong tt u label abbr cite sub sup".split(" "),
);

export function parseTree(html: string): Tree {
  const builder = new Builder(html);
  const tokenizer = new Tokenizer({ decodeEntities: true }, builder);
  builder.pause = () => tokenizer.pause();
  tokenizer.write(html);
  if (!builder.cut) tokenizer.end();
  return builder.finish();
}

class Builder {
  readonly #html: string;
  readonly #root = new Node(tagOf("html"));
  readonly #stack: Node[] = [this.#root];
  readonly #open = new Map<string, number>([["html", 1]]);
  readonly #heads: Node[] = [];
  readonly #linkedData: string[] = [];
  /** Shadow trees by host. */
  readonly #shadows = new Map<Node, Node>();
  #title: string | undefined;
  #top: Node = this.#root;
  #nodes = 1;
  #scriptChars = 0;
  cut = false;
  pause: () => void = () => {};

  /** The start tag being read. */
  #tag: Tag = TEXT;
  #node: Node | null = null;
  #attribute = "";
  #value = "";

  /** The open element whose contents are dropped, and how many of its name are open. */
  #dropped: Tag | null = null;
  #droppedDepth = 0;
  /** Kind of the script being read. */
  #script: "no" | "code" | "linked" | "math" = "no";
  #scriptText: string[] = [];
  #scriptDisplay = false;

  constructor(html: string) {
    this.#html = html;
  }

  onopentagname(start: number, end: number): void {
    const tag = tagOf(this.#html.slice(start, end));
    this.#tag = tag;
    this.#attribute = "";
    if (this.#dropped !== null) {
      this.#node = null;
      return;
    }
    this.#node = new Node(tag);
  }

  onattribname(start: number, end: number): void {
    if (this.#node === null) return;
    const length = end - start;
    // The longest kept name has 14 letters.
    if (length > 14) {
      this.#attribute = "";
      return;
    }
    let name = this.#html.slice(start, end);
    if (name !== "class" && name !== "id" && !KEPT.has(name)) {
      name = name.toLowerCase();
      if (name !== "class" && name !== "id" && !KEPT.has(name)) name = "";
    }
    this.#attribute = name;
    this.#value = "";
  }

  onattribdata(start: number, end: number): void {
    if (this.#attribute === "") return;
    const piece = this.#html.slice(start, end);
    this.#value = this.#value === "" ? piece : this.#value + piece;
  }

  onattribentity(codePoint: number): void {
    if (this.#attribute !== "") this.#value += fromCodePoint(codePoint);
  }

  onattribend(): void {
    const node = this.#node;
    const name = this.#attribute;
    if (name === "" || node === null) return;
    this.#attribute = "";
    if (name === "class") node.className ||= this.#value;
    else if (name === "id") node.id ||= this.#value;
    else {
      node.attributes ??= new Map();
      if (!node.attributes.has(name)) node.attributes.set(name, this.#value);
    }
  }

  onopentagend(): void {
    const tag = this.#tag;
    const node = this.#node;
    if (node === null) {
      if (tag === this.#dropped) this.#droppedDepth++;
      return;
    }
    this.#node = null;
    if (tag.name === "script") {
      this.#openScript(node);
      return;
    }
    const shadow =
      tag.name === "template" &&
      this.#stack.length < MAX_DEPTH &&
      !this.#shadows.has(this.#top) &&
      isShadowTemplate(node, this.#top);
    if (tag.layout === "dropped" && !shadow) {
      this.#dropped = tag;
      this.#droppedDepth = 1;
      return;
    }
    if (tag.name === "meta" || tag.name === "link" || tag.name === "base") {
      this.#heads.push(node);
      // Meta elements in the body are microdata and have no text.
      return;
    }
    if (tag.name === "html" || tag.name === "body") {
      const same = tag.name === "html" ? this.#root : this.#stack.find((open) => open.tag === tag);
      if (same !== undefined) {
        copyAttributes(node, same);
        return;
      }
    }
    if (tag.ends !== null) this.#closeImplied(tag);
    if (tag.layout !== "void" && this.#stack.length >= MAX_DEPTH) this.#pop();
    this.#append(node);
    if (tag.layout === "void") return;
    if (shadow) this.#shadows.set(node.parent!, node);
    this.#stack.push(node);
    this.#top = node;
    this.#open.set(tag.name, (this.#open.get(tag.name) ?? 0) + 1);
  }

  onselfclosingtag(): void {
    // Only foreign elements close themselves in HTML; `<div/>` is a start tag.
    this.onopentagend();
  }

  onclosetag(start: number, end: number): void {
    const tag = tagOf(this.#html.slice(start, end));
    if (this.#script !== "no") {
      if (tag.name === "script") this.#closeScript();
      return;
    }
    if (this.#dropped !== null) {
      if (tag === this.#dropped && --this.#droppedDepth === 0) this.#dropped = null;
      return;
    }
    if (tag.name === "br") {
      this.#append(new Node(tag));
      return;
    }
    if (tag.name === "body" || tag.name === "html" || !this.#open.get(tag.name)) return;
    const stack = this.#stack;
    const formatting = FORMATTING.has(tag.name);
    for (let i = stack.length - 1; i > 0; i--) {
      const open = stack[i].tag;
      if (open === tag || (tag.heading > 0 && open.heading > 0)) {
        while (stack.length > i) this.#pop();
        return;
      }
      if (open.barrier && !tag.barrier && tag.name !== "tr" && tag.name !== "tbody" && tag.name !== "form") return;
      if (formatting && open.block) return;
    }
  }

  ontext(start: number, end: number): void {
    if (this.#script !== "no") {
      this.#scriptChars += end - start;
      if (this.#script !== "code") this.#scriptText.push(this.#html.slice(start, end));
      return;
    }
    if (this.#dropped === null) this.#addText(this.#html.slice(start, end));
  }

  ontextentity(codePoint: number): void {
    if (this.#script === "no" && this.#dropped === null) this.#addText(fromCodePoint(codePoint));
  }

  oncdata(): void {}
  oncomment(): void {}
  ondeclaration(): void {}
  onprocessinginstruction(): void {}
  onend(): void {}
  isInForeignContext(): boolean {
    return this.#dropped?.name === "svg" || (this.#open.get("math") ?? 0) > 0;
  }

  finish(): Tree {
    attachShadows(this.#shadows, MAX_DEPTH);
    return {
      root: this.#root,
      linkedData: this.#linkedData,
      heads: this.#heads,
      title: this.#title ?? "",
      scriptChars: this.#scriptChars,
      cut: this.cut,
    };
  }

  #append(node: Node): void {
    const top = this.#top;
    node.parent = top;
    this.#nodes++;
    if (top.last === null) top.first = node;
    else top.last.next = node;
    top.last = node;
    if (this.#nodes > MAX_NODES) {
      this.cut = true;
      this.pause();
    }
  }

  #addText(text: string): void {
    const top = this.#top;
    const last = top.last;
    if (last !== null && last.tag === TEXT) {
      last.text += text;
      return;
    }
    // Whitespace at the start of a block or after one is source formatting, except in `<pre>`.
    if ((last === null ? top.tag.block : last.tag.block) && !this.#open.get("pre") && SPACE.test(text)) return;
    const node = new Node(TEXT);
    node.text = text;
    this.#append(node);
  }

  #pop(): void {
    const node = this.#stack.pop()!;
    const name = node.tag.name;
    this.#open.set(name, this.#open.get(name)! - 1);
    this.#top = this.#stack[this.#stack.length - 1];
    if (name === "title" && this.#title === undefined && node.first !== null) this.#title = node.first.text;
  }

  #closeImplied(tag: Tag): void {
    const { ends, within } = tag;
    let any = false;
    for (const name of ends!) any ||= (this.#open.get(name) ?? 0) > 0;
    if (!any) return;
    const stack = this.#stack;
    let cutAt = -1;
    for (let i = stack.length - 1; i > 0; i--) {
      const name = stack[i].tag.name;
      if (ends!.has(name)) cutAt = i;
      else if (within!.has(name)) break;
      // A list item in a div in a list item is a nested list without its ul: close only the nearest one.
      if (cutAt >= 0 && !TABLE_PARTS.has(name)) break;
    }
    if (cutAt > 0) while (stack.length > cutAt) this.#pop();
  }

  #openScript(node: Node): void {
    const type = node.get("type").toLowerCase();
    this.#script = type.includes("ld+json") ? "linked" : type.startsWith("math/") ? "math" : "code";
    this.#scriptDisplay = type.includes("mode=display");
    this.#scriptText = [];
    if (this.#script === "math" && !type.startsWith("math/tex")) this.#script = "code";
  }

  #closeScript(): void {
    const text = this.#scriptText.join("");
    if (this.#script === "linked") this.#linkedData.push(text);
    if (this.#script === "math") {
      const node = new Node(tagOf("script"));
      node.text = text;
      if (this.#scriptDisplay) node.attributes = new Map([["display", "block"]]);
      this.#append(node);
    }
    this.#script = "no";
    this.#scriptText = [];
  }
}

const TABLE_PARTS = new Set(["td", "th", "tr", "tbody", "thead", "tfoot", "caption", "colgroup", "option", "optgroup"]);

function copyAttributes(from: Node, to: Node): void {
  to.className ||= from.className;
  to.id ||= from.id;
  if (from.attributes === null) return;
  to.attributes ??= new Map();
  for (const [name, value] of from.attributes) if (!to.attributes.has(name)) to.attributes.set(name, value);
}

function fromCodePoint(codePoint: number): string {
  return codePoint <= 0x10ffff && codePoint >= 0 ? String.fromCodePoint(codePoint) : "\ufffd";
}
