/**
 * @file The normalizers of tokenizer.json, in a row: Unicode forms, lower case, accents, white space at the ends, replacements.
 * Each can say where in its input every unit of its output comes from.
 */
import { type Alignment, alignedForm, isPlain, nfc } from "./normalize.js";
import type { Matcher } from "./split-steps.js";

export interface Normalizer {
  readonly apply: (text: string) => string;
  /** The normalised text with its alignment; undefined if it is the text itself. */
  readonly align: (text: string) => Alignment | undefined;
}

/** The parts of a text that change, in order, and what each becomes. */
type Edits = readonly { readonly start: number; readonly end: number; readonly text: string }[];

function edited(edit: (text: string) => Edits): Normalizer {
  const apply = (text: string): string => {
    let out = "";
    let done = 0;
    for (const { start, end, text: other } of edit(text)) {
      out += text.slice(done, start) + other;
      done = end;
    }
    return out + text.slice(done);
  };
  const align = (text: string): Alignment | undefined => {
    const normal = apply(text);
    if (normal === text) return undefined;
    const starts = new Uint32Array(normal.length);
    const ends = new Uint32Array(normal.length);
    let written = 0;
    let done = 0;
    const keep = (to: number): void => {
      for (; done < to; done++, written++) {
        starts[written] = done;
        ends[written] = done + 1;
      }
    };
    for (const { start, end, text: other } of edit(text)) {
      keep(start);
      starts.fill(start, written, written + other.length);
      ends.fill(end, written, written + other.length);
      written += other.length;
      done = end;
    }
    keep(text.length);
    return { text: normal, starts, ends };
  };
  return { apply, align };
}

/** NFC, NFD, NFKC or NFKD. */
export function unicodeForm(form: "NFC" | "NFD" | "NFKC" | "NFKD"): Normalizer {
  return {
    apply: form === "NFC" ? nfc : (text) => (isPlain(text) ? text : text.normalize(form)),
    align: (text) => alignedForm(text, form),
  };
}

/** Each character by itself, as Rust does it: a sigma at the end of a word is one like any other. */
export const lowercase: Normalizer = edited((text) => {
  const edits: { start: number; end: number; text: string }[] = [];
  for (let i = 0; i < text.length; ) {
    const char = String.fromCodePoint(text.codePointAt(i)!);
    const lower = char.toLowerCase();
    if (lower !== char) edits.push({ start: i, end: i + char.length, text: lower });
    i += char.length;
  }
  return edits;
});

const ACCENTS = /\p{M}/gu;
export const stripAccents: Normalizer = edited((text) =>
  Array.from(text.matchAll(ACCENTS), (match) => ({ start: match.index, end: match.index + match[0].length, text: "" })),
);

const LEADING_SPACE = /^\p{White_Space}+/u;
const SPACE = /\p{White_Space}/u;
export function stripEnds(left: boolean, right: boolean): Normalizer {
  return edited((text) => {
    const start = left ? (LEADING_SPACE.exec(text)?.[0].length ?? 0) : 0;
    let end = text.length;
    if (right) while (end > start && SPACE.test(text[end - 1])) end--;
    return [
      { start: 0, end: start, text: "" },
      { start: end, end: text.length, text: "" },
    ];
  });
}

export function replaceMatches(matcher: Matcher, content: string): Normalizer {
  return edited((text) => {
    // In no text nothing is found, not even what may be empty.
    if (text === "") return [];
    const matches = matcher(text);
    return Array.from({ length: matches.length / 2 }, (_, i) => ({
      start: matches[i * 2],
      end: matches[i * 2 + 1],
      text: content,
    }));
  });
}

export function prependText(content: string): Normalizer {
  return edited((text) => (text === "" ? [] : [{ start: 0, end: 0, text: content }]));
}

/** One after another; undefined for none. */
export function normalizersInRow(steps: readonly Normalizer[]): Normalizer | undefined {
  if (steps.length < 2) return steps[0];
  return {
    apply: (text) => steps.reduce((normal, step) => step.apply(normal), text),
    align: (text) => {
      let all: Alignment | undefined;
      for (const step of steps) all = composed(all, step.align(all?.text ?? text), text.length);
      return all;
    },
  };
}

function composed(first: Alignment | undefined, second: Alignment | undefined, length: number): Alignment | undefined {
  if (first === undefined || second === undefined) return second ?? first;
  const starts = second.starts.map((at) => (at < first.starts.length ? first.starts[at] : length));
  const ends = second.ends.map((at, i) => (at > second.starts[i] ? first.ends[at - 1] : starts[i]));
  return { text: second.text, starts, ends };
}
