/**
 * @file A small part of Markdown: paragraphs, headings, lists, code, bold and italic text. A text is cut into blocks, and a block into
 * stretches with one style. Nothing is left out: all stretches in order are the text, so each token keeps its place. Marks such
 * as `**` are stretches too.
 */

/** `mark`: what only says how the rest looks. */
export type Style = "text" | "mark" | "strong" | "emphasis" | "both" | "code";

export interface Stretch {
  readonly style: Style;
  /** From `start` to before `end`, in UTF-16 units of the whole text. */
  readonly start: number;
  readonly end: number;
}

export interface Block {
  readonly kind: "paragraph" | "heading" | "code" | "bullet" | "number" | "rule";
  /** Depth of a list item from 0, or of a heading from 1; the number of a numbered item is in `value`. */
  readonly level: number;
  readonly value?: number;
  readonly stretches: readonly Stretch[];
}

const FENCE = /^ {0,3}(`{3,}|~{3,})[^`\n]*$/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(?=\S)/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const BULLET = /^([ \t]*)[-*+][ \t]+(?=\S)/;
const NUMBER = /^([ \t]*)(\d{1,9})[.)][ \t]+(?=\S)/;
const DEEPEST = 4;

/** Cuts a text into blocks. */
export function blocksOf(text: string): readonly Block[] {
  const blocks: Block[] = [];
  /** Indents of the list items that are open. */
  let indents: number[] = [];
  for (let at = 0; at < text.length; ) {
    const { indent, ...block } = nextBlock(text, at);
    indents = indent === undefined ? [] : indents.filter((each) => each < indent);
    blocks.push({ ...block, level: indent === undefined ? block.level : Math.min(DEEPEST, indents.length) });
    if (indent !== undefined) indents.push(indent);
    at = block.stretches[block.stretches.length - 1].end;
  }
  return blocks;
}

/** A line and where the next one begins. */
function lineAt(text: string, at: number): { readonly line: string; readonly next: number } {
  const end = text.indexOf("\n", at);
  return end < 0 ? { line: text.slice(at), next: text.length } : { line: text.slice(at, end), next: end + 1 };
}

const isBlank = (line: string) => /^[ \t]*$/.test(line);
const beginsBlock = (line: string) => [FENCE, HEADING, RULE, BULLET, NUMBER].some((begin) => begin.test(line));

/** @returns the block with the columns before it if it is a list item */
function nextBlock(text: string, start: number): Block & { readonly indent?: number } {
  const stretches: Stretch[] = [];
  const add = (style: Style, end: number) => {
    const from = stretches.at(-1)?.end ?? start;
    if (end > from) stretches.push({ style, start: from, end });
  };
  /** Where the blank lines at a place end. */
  const afterBlank = (from: number): number => {
    let at = from;
    while (at < text.length) {
      const { line, next } = lineAt(text, at);
      if (!isBlank(line)) break;
      at = next;
    }
    return at;
  };
  add("mark", afterBlank(start));
  const begin = stretches.at(-1)?.end ?? start;
  const { line, next } = lineAt(text, begin);

  const [, fence] = FENCE.exec(line) ?? [];
  if (fence !== undefined) {
    add("mark", next);
    let at = next;
    const closing = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`);
    while (at < text.length && !closing.test(lineAt(text, at).line)) at = lineAt(text, at).next;
    // The line break before the closing fence belongs to it.
    const isClosed = at < text.length;
    add("code", isClosed && at > next ? at - 1 : at);
    if (isClosed) add("mark", afterBlank(lineAt(text, at).next));
    return { kind: "code", level: 0, stretches };
  }
  if (RULE.test(line)) {
    add("mark", afterBlank(next));
    return { kind: "rule", level: 0, stretches };
  }
  const heading = HEADING.exec(line);
  const bullet = BULLET.exec(line);
  const number = NUMBER.exec(line);
  const head = heading ?? bullet ?? number;
  if (head !== null) add("mark", begin + head[0].length);
  let end = begin + line.length;
  if (heading === null) {
    // Lines that begin no block of their own belong to this one.
    for (let at = next; at < text.length; ) {
      const following = lineAt(text, at);
      if (isBlank(following.line) || beginsBlock(following.line)) break;
      end = at + following.line.length;
      at = following.next;
    }
  }
  addInline(text, stretches.at(-1)?.end ?? start, end, add);
  add("mark", afterBlank(Math.min(text.length, end + 1)));
  if (heading !== null) return { kind: "heading", level: heading[1].length, stretches };
  const indent = (bullet ?? number)?.[1].replace(/\t/g, "    ").length;
  if (bullet !== null) return { kind: "bullet", level: 0, indent, stretches };
  if (number !== null) return { kind: "number", level: 0, value: Number(number[2]), indent, stretches };
  return { kind: "paragraph", level: 0, stretches };
}

type Add = (style: Style, end: number) => void;

/** A run of equal marks, or something else that is no text. */
type Item =
  | { readonly kind: "run"; readonly char: string; readonly start: number; readonly end: number }
  | { readonly kind: "mark" | "code"; readonly start: number; readonly end: number };

/** Adds the stretches of a text within a block. Marks without a counterpart are text. */
function addInline(text: string, start: number, end: number, add: Add): void {
  const items = itemsOf(text, start, end);
  const changes = pairsOf(text, items);
  let strong = 0;
  let emphasis = 0;
  const style = (): Style => (strong > 0 ? (emphasis > 0 ? "both" : "strong") : emphasis > 0 ? "emphasis" : "text");
  for (const item of items) {
    if (item.kind !== "run") {
      add(style(), item.start);
      add(item.kind, item.end);
      continue;
    }
    for (const { at, length, by } of changes.get(item) ?? []) {
      add(style(), at);
      add("mark", at + length);
      if (length === 2) strong += by;
      else emphasis += by;
    }
  }
  add(style(), end);
}

/** Finds backslashes, code and runs of marks. */
function itemsOf(text: string, start: number, end: number): Item[] {
  const items: Item[] = [];
  /** Lengths of backtick runs that have no counterpart any more. */
  const open = new Set<number>();
  for (let at = start; at < end; ) {
    const char = text[at];
    if (char === "\\" && at + 1 < end && /[!-/:-@[-`{-~]/.test(text[at + 1])) {
      items.push({ kind: "mark", start: at, end: at + 1 });
      at += 2;
      continue;
    }
    if (char !== "`" && char !== "*" && char !== "_") {
      at += 1;
      continue;
    }
    const after = runEnd(text, at, end);
    const close = char !== "`" || open.has(after - at) ? -1 : closingTicks(text, after, end, after - at);
    if (char !== "`") items.push({ kind: "run", char, start: at, end: after });
    else if (close < 0) open.add(after - at);
    else {
      const closed = close + after - at;
      items.push({ kind: "mark", start: at, end: after });
      items.push({ kind: "code", start: after, end: close });
      items.push({ kind: "mark", start: close, end: closed });
      at = closed;
      continue;
    }
    at = after;
  }
  return items;
}

function runEnd(text: string, start: number, end: number): number {
  let at = start + 1;
  while (at < end && text[at] === text[start]) at += 1;
  return at;
}

/** Where a run of exactly `length` backticks begins; −1 if there is none. */
function closingTicks(text: string, from: number, end: number, length: number): number {
  for (let at = text.indexOf("`", from); at >= 0 && at < end; ) {
    const after = runEnd(text, at, end);
    if (after - at === length) return at;
    at = text.indexOf("`", after);
  }
  return -1;
}

/** A mark of one or two characters that begins (+1) or ends (−1) a style. */
interface Change {
  readonly at: number;
  readonly length: 1 | 2;
  readonly by: 1 | -1;
}

/** Pairs marks that begin a style with those that end it. */
function pairsOf(text: string, items: readonly Item[]): ReadonlyMap<Item, readonly Change[]> {
  const changes = new Map<Item, Change[]>();
  const open: { readonly item: Item; readonly char: string; readonly at: number; readonly length: 1 | 2 }[] = [];
  /** How many of each mark are among them, so that no search is in vain: the time stays in proportion to the text. */
  const waiting = new Map<string, number>();
  const count = (mark: string, by: number) => waiting.set(mark, (waiting.get(mark) ?? 0) + by);
  const isWaiting = (mark: string) => (waiting.get(mark) ?? 0) > 0;
  const add = (item: Item, change: Change) => {
    const found = changes.get(item);
    if (found === undefined) changes.set(item, [change]);
    else found.push(change);
  };
  for (const item of items) {
    if (item.kind !== "run") continue;
    const { char, start, end } = item;
    const before = text[start - 1];
    const after = text[end];
    const mayOpen = !isSpace(after) && (char === "*" || !isWord(before));
    const mayClose = !isSpace(before) && (char === "*" || !isWord(after));
    for (let at = start; at < end; ) {
      const left = end - at;
      const mayEnd = mayClose && (isWaiting(char) || (left > 1 && isWaiting(char + char)));
      const place = mayEnd ? open.findLastIndex((each) => each.char === char && each.length <= left) : -1;
      if (place >= 0) {
        const { item: opener, at: from, length } = open[place];
        add(opener, { at: from, length, by: 1 });
        add(item, { at, length, by: -1 });
        for (const each of open.splice(place)) count(each.char.repeat(each.length), -1); // what opened in between is text
        at += length;
      } else if (mayOpen) {
        const length = left >= 2 ? 2 : 1;
        open.push({ item, char, at, length });
        count(char.repeat(length), 1);
        at += length;
      } else break;
    }
  }
  for (const each of changes.values()) each.sort((a, b) => a.at - b.at);
  return changes;
}

const isSpace = (char: string | undefined) => char === undefined || /\s/.test(char);
const isWord = (char: string | undefined) => char !== undefined && /[\p{L}\p{N}]/u.test(char);
