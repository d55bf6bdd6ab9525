/**
 * @file Collects the lines of the result: paragraphs with their prefixes (list markers, quote signs), and verbatim blocks.
 */

/** Maximum length of a prefix: the markers of deep lists could otherwise make the text longer than the page. */
const MAX_PREFIX = 40;

/** A line of a paragraph that Markdown would read as a heading, quote, list item, rule or code. */
const LOOKS_LIKE_A_BLOCK = /^(?=#{1,6}(?:\s|$)|>|[-+*]\s|(?:-+|=+|\*{3,}|_{3,})\s*$|(?:```|~~~)[^`]*$)/;
const LOOKS_NUMBERED = /^(\d{1,9})(?=[.)](?:\s|$))/;
const escaped = (line: string) => line.replace(LOOKS_LIKE_A_BLOCK, "\\").replace(LOOKS_NUMBERED, "$1\\");

export class LineOutput {
  readonly #markdown: boolean;
  readonly #lines: string[] = [];
  /** The current paragraph, in pieces that are joined at its end. */
  #pieces: string[] = [];
  /** Whether the paragraph ends in a space or has no text yet. */
  #endsInSpace = true;
  #hasText = false;
  /** Prefix of the next paragraph's first line, and of its other lines. */
  #first = "";
  #rest = "";
  /** Whether a blank line is needed before the next paragraph. */
  #gap = false;

  /** @param markdown whether to escape lines of paragraphs that look like Markdown blocks */
  constructor(markdown = false) {
    this.#markdown = markdown;
  }

  /** Adds inline text, whose whitespace must have been collapsed to single spaces. */
  text(given: string): void {
    const text = this.#endsInSpace && given.startsWith(" ") ? given.slice(1) : given;
    if (text === "") return;
    this.#pieces.push(text);
    this.#endsInSpace = text.endsWith(" ");
    this.#hasText = true;
  }

  /** Returns at least the last 12 characters of the current paragraph, or all if it is shorter. */
  tail(): string {
    let tail = "";
    for (let i = this.#pieces.length - 1; i >= 0 && tail.length < 12; i--) tail = this.#pieces[i].slice(-12) + tail;
    return tail;
  }

  /** Adds a line break inside a paragraph. */
  break(): void {
    if (!this.#hasText) return;
    this.#pieces.push("\n");
    this.#endsInSpace = true;
  }

  /** Ends the paragraph, followed by a blank line unless `tight`. */
  end(tight = false): void {
    if (!this.#hasText) return;
    const text = this.#pieces.join("").trim();
    this.#pieces = [];
    this.#endsInSpace = true;
    this.#hasText = false;
    if (text === "") return;
    const lines = text.split(/ ?\n+/);
    this.verbatim(this.#markdown ? lines.map(escaped) : lines, tight);
  }

  /** Adds lines unchanged, with the current prefix. */
  verbatim(lines: readonly string[], tight = false): void {
    if (this.#gap && this.#lines.length > 0) this.#lines.push(this.#rest.trimEnd());
    for (const line of lines) {
      this.#lines.push((this.#first + line).trimEnd());
      this.#first = this.#rest;
    }
    this.#gap = !tight;
  }

  /** Requires a blank line before the next paragraph. */
  gap(): void {
    this.#gap = true;
  }

  /** Runs `body` and prefixes the first line that it adds with `first` and the others with `rest`. */
  within(first: string, rest: string, body: () => void): void {
    const [oldFirst, oldRest] = [this.#first, this.#rest];
    // A pending blank line from before does not get the new prefix.
    const pending = this.#gap && this.#lines.length > 0;
    if (pending) this.#lines.push(oldRest.trimEnd());
    this.#gap = false;
    if (oldRest.length < MAX_PREFIX) {
      this.#first = oldFirst + first;
      this.#rest = oldRest + rest;
    }
    const before = this.#lines.length;
    body();
    this.end(true);
    // Without content, no marker is written.
    const written = this.#lines.length > before;
    this.#first = written ? oldRest : oldFirst;
    this.#rest = oldRest;
    if (!written && pending) {
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
