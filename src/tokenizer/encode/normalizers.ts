/**
 * @file The normalizers of tokenizer.json: Unicode forms, lower-casing, accent removal, stripping, replacements, and sequences
 * of them. Each can align its output with its input.
 */
import { type Alignment, alignedForm, isAscii, nfc } from "./normalize.js";
import type { Matcher } from "./split-steps.js";

export interface Normalizer {
  readonly apply: (text: string) => string;
  /** Returns the normalized text with its alignment; undefined if nothing changes. */
  readonly align: (text: string) => Alignment | undefined;
}

/** Replacements in a text, in order: `text` replaces the units [start, end). */
type Edits = readonly { readonly start: number; readonly end: number; readonly text: string }[];

/** Builds a normalizer from a function that returns its replacements. */
function normalizerOf(edit: (text: string) => Edits): Normalizer {
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
    apply: form === "NFC" ? nfc : (text) => (isAscii(text) ? text : text.normalize(form)),
    align: (text) => alignedForm(text, form),
  };
}

/** Lower-cases each character independently, as Rust does: a sigma at the end of a word gets no special form. */
export const lowercase: Normalizer = normalizerOf((text) => {
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
export const stripAccents: Normalizer = normalizerOf((text) =>
  Array.from(text.matchAll(ACCENTS), (match) => ({ start: match.index, end: match.index + match[0].length, text: "" })),
);

const LEADING_SPACE = /^\p{White_Space}+/u;
const SPACE = /\p{White_Space}/u;
export function stripEnds(left: boolean, right: boolean): Normalizer {
  return normalizerOf((text) => {
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
  return normalizerOf((text) => {
    // An empty text has no matches, even of a pattern that matches the empty string.
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
  return normalizerOf((text) => (text === "" ? [] : [{ start: 0, end: 0, text: content }]));
}

/** Applies the steps in order; undefined if there are none. */
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

/** Composes the alignments of two steps. @param length units of the original text */
function composed(first: Alignment | undefined, second: Alignment | undefined, length: number): Alignment | undefined {
  if (first === undefined || second === undefined) return second ?? first;
  const starts = second.starts.map((at) => (at < first.starts.length ? first.starts[at] : length));
  const ends = second.ends.map((at, i) => (at > second.starts[i] ? first.ends[at - 1] : starts[i]));
  return { text: second.text, starts, ends };
}
