/**
 * @file Counts the characters of every element in one walk: in total, in links, and in prose. It also records the hints of
 * the element's names. All later decisions between elements use these counts.
 */
import { hintsOf } from "./hints.js";
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";

/** Elements whose text a reader of the page does not see. */
const INVISIBLE = new Set([
  "script",
  "title",
  "head",
  "noscript",
  "select",
  "textarea",
  "option",
  "optgroup",
  // Ruby annotations stand between the characters of the base text and would split its words.
  "rt",
  "rtc",
  "rp",
  "annotation",
]);

/** Characters below which a run counts as a label, unless it ends like a sentence. */
const SENTENCE_LENGTH = 60;

/**
 * Sets the counts and hints of every node.
 * @param withNoscript whether to count `<noscript>` too, as a browser without scripts shows it
 */
export function measure(root: Node, { withNoscript = false }: { readonly withNoscript?: boolean } = {}): void {
  reset(root);
  walk(root, { names: new Map(), withNoscript }, false);
}

interface Context {
  readonly names: Map<string, number>;
  readonly withNoscript: boolean;
}

function reset(node: Node): void {
  node.chars = node.linkChars = node.prose = 0;
  node.skipped = false;
  for (let child = node.first; child !== null; child = child.next) reset(child);
}

const isSkipped = (name: string, { withNoscript }: Context): boolean =>
  INVISIBLE.has(name) && !(withNoscript && name === "noscript");

/** The inline text between two block boundaries. */
interface Run {
  chars: number;
  linkChars: number;
  marks: number;
  end: number;
}

function walk(node: Node, context: Context, inLink: boolean): void {
  if (node.tag === TEXT) return;
  node.hints = hintsOf(node, context.names);
  if (isSkipped(node.tag.name, context)) {
    node.skipped = true;
    return;
  }
  const link = inLink || node.tag.name === "a";
  const run: Run = { chars: 0, linkChars: 0, marks: 0, end: 0 };
  inline(node, node, context, link, run);
  endRun(node, run);
}

/** Adds the children of `node` to `run`, which belongs to `block`. A block among them ends the run and is walked. */
function inline(node: Node, block: Node, context: Context, inLink: boolean, run: Run): void {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag === TEXT) {
      countText(child, inLink, run);
      node.chars += child.chars;
      if (inLink) node.linkChars += child.chars;
    } else if (child.tag.block || child.tag.name === "br") {
      endRun(node, run);
      walk(child, context, inLink);
      if (!child.skipped) {
        node.chars += child.chars;
        node.linkChars += child.linkChars;
        node.prose += child.prose;
      }
    } else {
      child.hints = hintsOf(child, context.names);
      if (isSkipped(child.tag.name, context)) {
        child.skipped = child.tag.name !== "script";
        continue;
      }
      inline(child, block, context, inLink || child.tag.name === "a", run);
      node.chars += child.chars;
      node.linkChars += child.linkChars;
      node.prose += child.prose;
    }
  }
}

/** Ends a run; if it reads like a sentence, its text outside links counts as prose of `node`. */
function endRun(node: Node, run: Run): void {
  if (run.chars === 0) return;
  const sentence = run.chars >= SENTENCE_LENGTH || (run.chars >= 20 && run.marks > 0 && isStop(run.end));
  if (sentence && run.linkChars < run.chars * 0.5) node.prose += run.chars - run.linkChars;
  run.chars = run.linkChars = run.marks = 0;
}

const isStop = (c: number): boolean =>
  c === 0x2e || c === 0x21 || c === 0x3f || c === 0x3a || c === 0x3002 || c === 0xff01 || c === 0xff1f || c === 0x2026;

function countText(node: Node, inLink: boolean, run: Run): void {
  const text = node.text;
  let chars = 0;
  let marks = 0;
  let end = run.end;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c <= 0x20 || c === 0xa0) continue;
    chars++;
    end = c;
    if (c === 0x2c || c === 0x3b || c === 0x3001 || c === 0xff0c || isStop(c)) marks++;
  }
  node.chars = chars;
  run.chars += chars;
  run.marks += marks;
  run.end = end;
  if (inLink) run.linkChars += chars;
}
