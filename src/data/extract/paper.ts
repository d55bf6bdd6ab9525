/**
 * @file Lines of the result as they grow: paragraphs, their prefixes (list markers, quote signs) and verbatim blocks.
 */

/** Characters of a result, at most: markers of deep lists could otherwise make it longer than the page. */
const MOST_PREFIX = 40;

/** A paragraph's line that Markdown would take for a heading, a quote, an item, a rule or code. */
const LOOKS_LIKE_A_BLOCK = /^(?=#{1,6}(?:\s|$)|>|[-+*]\s|(?:-+|=+|\*{3,}|_{3,})\s*$|(?:```|~~~)[^`]*$)/;
const LOOKS_NUMBERED = /^(\d{1,9})(?=[.)](?:\s|$))/;
const escaped = (line: string) => line.replace(LOOKS_LIKE_A_BLOCK, "\\").replace(LOOKS_NUMBERED, "$1\\");

export class Paper {
  readonly #markdown: boolean;
  readonly #lines: string[] = [];
  /** The paragraph so far, in pieces: a long one has very many. */
  #pieces: string[] = [];
  /** True when the paragraph ends in space, or has no text yet. */
  #open = true;
  #inked = false;
  /** What the next paragraph's first line begins with, and its other lines. */
  #first = "";
  #rest = "";
  /** True when a blank line must stand before the next paragraph. */
  #gap = false;

  /** @param markdown paragraphs are kept from looking like something else */
  constructor(markdown = false) {
    this.#markdown = markdown;
  }

  /** Inline text whose runs of space are one space each. */
  say(text: string): void {
    if (this.#open && text.startsWith(" ")) text = text.slice(1);
    if (text === "") return;
    this.#pieces.push(text);
    this.#open = text.endsWith(" ");
    this.#inked = true;
  }

  /** The last characters of the paragraph so far: a dozen, unless it is shorter. */
  tail(): string {
    let tail = "";
    for (let i = this.#pieces.length - 1; i >= 0 && tail.length < 12; i--) tail = this.#pieces[i].slice(-12) + tail;
    return tail;
  }

  /** A line break inside a paragraph. */
  break(): void {
    if (!this.#inked) return;
    this.#pieces.push("\n");
    this.#open = true;
  }

  /** Ends the paragraph. `tight`: no blank line after it. */
  end(tight = false): void {
    if (!this.#inked) return;
    const text = this.#pieces.join("").trim();
    this.#pieces = [];
    this.#open = true;
    this.#inked = false;
    if (text === "") return;
    const lines = text.split(/ ?\n+/);
    this.verbatim(this.#markdown ? lines.map(escaped) : lines, tight);
  }

  /** Writes lines as they are, under the current prefix. */
  verbatim(lines: readonly string[], tight = false): void {
    if (this.#gap && this.#lines.length > 0) this.#lines.push(this.#rest.trimEnd());
    for (const line of lines) {
      this.#lines.push((this.#first + line).trimEnd());
      this.#first = this.#rest;
    }
    this.#gap = !tight;
  }

  /** Asks for a blank line before what comes next. */
  gap(): void {
    this.#gap = true;
  }

  /** Runs `body` with every line indented by `rest`, the first one by `first`. */
  within(first: string, rest: string, body: () => void): void {
    const [oldFirst, oldRest] = [this.#first, this.#rest];
    // A blank line owed from before stands outside the new prefix.
    const owed = this.#gap && this.#lines.length > 0;
    if (owed) this.#lines.push(oldRest.trimEnd());
    this.#gap = false;
    if (oldRest.length < MOST_PREFIX) {
      this.#first = oldFirst + first;
      this.#rest = oldRest + rest;
    }
    const before = this.#lines.length;
    body();
    this.end(true);
    // A marker whose content was nothing is not owed to anybody.
    const written = this.#lines.length > before;
    this.#first = written ? oldRest : oldFirst;
    this.#rest = oldRest;
    if (!written && owed) {
      this.#lines.pop();
      this.#gap = true;
    }
  }

  toString(): string {
    return this.#lines
      .join("\n")
      .replace(/\n{3,}/g, "\n\n")
      .trim();
  }
}
