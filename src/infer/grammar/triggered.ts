/**
 * @file Constraints of texts that mix free text, fixed text and documents, such as a tool call:
 * `<tool_call>\n`, a JSON document, `\n</tool_call>`. A token belongs to one part: none crosses from fixed text into a document.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import type { CompiledConstraint, TokenConstraint } from "../token-constraint.js";

/** A part of a constrained text. */
export type TextPart =
  /** Exactly this text. */
  | { readonly type: "literal"; readonly text: string }
  /** A text of another constraint. */
  | { readonly type: "document"; readonly constraint: CompiledConstraint }
  /** Any text up to and including `end`, which it contains only there. */
  | { readonly type: "until"; readonly end: string }
  | { readonly type: "sequence"; readonly parts: readonly TextPart[] }
  | { readonly type: "choice"; readonly parts: readonly TextPart[] }
  /** Once or more, with `separator` between. */
  | { readonly type: "repeat"; readonly part: TextPart; readonly separator: string };

/** What the parts need to know of a vocabulary. */
export interface PartVocabulary {
  /** V, the number of logits. */
  readonly size: number;
  readonly endOfText: readonly number[];
  /** (V): the bytes of each token that texts have; undefined for special tokens. */
  readonly tokenBytes: readonly (Uint8Array | undefined)[];
  /** Special tokens by their text. Where fixed text begins with one, it is written as that token. */
  readonly special: ReadonlyMap<string, number>;
}

/** Compiles a text that is this part as a whole. */
export function compileParts(part: TextPart, vocabulary: PartVocabulary): CompiledConstraint {
  const lexicon = lexiconOf(vocabulary);
  const program = linked(part, null, lexicon);
  return { open: () => openThreads(program, lexicon) };
}

/**
 * Compiles free text that may end anywhere, until one of the triggers occurs; `rest` follows then. No token crosses the end of a
 * trigger.
 */
export function compileTriggered(
  triggers: readonly string[],
  rest: TextPart,
  vocabulary: PartVocabulary,
): CompiledConstraint {
  const lexicon = lexiconOf(vocabulary);
  const program = linked(rest, null, lexicon);
  const search = triggerSearch(triggers, lexicon, true);
  return {
    open() {
      let seen = "";
      let inner: TokenConstraint | undefined;
      return {
        mask: () => inner?.mask() ?? search.mask(seen),
        accept(id) {
          if (inner !== undefined) return inner.accept(id);
          const next = search.next(seen, id);
          if (next === undefined) inner = openThreads(program, lexicon);
          else seen = next;
        },
        get isComplete() {
          return inner?.isComplete ?? true;
        },
        shortestCompletion: () => inner?.shortestCompletion() ?? [],
      };
    },
  };
}

const utf8 = new TextEncoder();
/** Bytes as a string of code units below 256, which can be searched and used as a key. */
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
const hasBit = (mask: Uint32Array, id: number) => ((mask[id >> 5] >>> (id & 31)) & 1) === 1;
const setBit = (mask: Uint32Array, id: number) => {
  mask[id >> 5] |= 1 << (id & 31);
};

interface Lexicon {
  readonly words: number;
  readonly endOfText: readonly number[];
  /** (V) */
  readonly texts: readonly (string | undefined)[];
  /** Ordinary tokens by their bytes. */
  readonly ids: ReadonlyMap<string, readonly number[]>;
  readonly longest: number;
  /** Special tokens, the longest text first. */
  readonly special: readonly (readonly [string, number])[];
  /** Mask of all tokens. */
  readonly everything: Uint32Array;
  /** Mask of ordinary tokens. */
  readonly ordinary: Uint32Array;
}

const lexicons = new WeakMap<object, Lexicon>();

function lexiconOf({ size, endOfText, tokenBytes, special }: PartVocabulary): Lexicon {
  const known = lexicons.get(tokenBytes);
  if (known !== undefined) return known;
  const words = Math.ceil(size / 32);
  const everything = new Uint32Array(words);
  const ordinary = new Uint32Array(words);
  const ids = new Map<string, number[]>();
  let longest = 0;
  const texts = tokenBytes.map((bytes, id) => {
    setBit(everything, id);
    if (bytes === undefined) return undefined;
    setBit(ordinary, id);
    const text = latin1(bytes);
    longest = Math.max(longest, text.length);
    const same = ids.get(text);
    if (same === undefined) ids.set(text, [id]);
    else same.push(id);
    return text;
  });
  const specials = [...special].map(([text, id]) => [latin1(utf8.encode(text)), id] as const);
  for (const [text, id] of specials) texts[id] ??= text;
  specials.sort(([a], [b]) => b.length - a.length);
  const lexicon = { words, endOfText, texts, ids, longest, special: specials, everything, ordinary };
  lexicons.set(tokenBytes, lexicon);
  return lexicon;
}

/** The tokens that may begin a fixed text. */
function tokensThatBegin({ special, ids, longest }: Lexicon, text: string): readonly number[] {
  const whole = special.find(([content]) => text.startsWith(content));
  if (whole !== undefined) return [whole[1]];
  // Ordinary tokens end before a special one.
  const to = Math.min(
    text.length,
    longest,
    ...special.map(([content]) => text.indexOf(content)).filter((at) => at > 0),
  );
  const found: number[] = [];
  for (let length = 1; length <= to; length++) found.push(...(ids.get(text.slice(0, length)) ?? []));
  return found;
}

/** Tokens that write a fixed text, each the longest possible. @throws QuernError if the vocabulary cannot */
function tokensOf(lexicon: Lexicon, text: string): number[] {
  const ids: number[] = [];
  for (let rest = text; rest !== ""; ) {
    const id = tokensThatBegin(lexicon, rest).at(-1);
    if (id === undefined) {
      throw new QuernError(`the vocabulary has no tokens for "${quoted(Buffer.from(rest, "latin1").toString())}"`);
    }
    ids.push(id);
    rest = rest.slice(lexicon.texts[id]!.length);
  }
  return ids;
}

/** A part with what follows it; null at the end of the text. */
type Step =
  | { readonly type: "literal"; readonly text: string; readonly next: Step | null; readonly cost: () => number[] }
  | {
      readonly type: "document";
      readonly constraint: CompiledConstraint;
      readonly next: Step | null;
      readonly cost: () => number[];
    }
  | {
      readonly type: "until";
      readonly search: TriggerSearch;
      readonly next: Step | null;
      readonly cost: () => number[];
    }
  | { readonly type: "choice"; readonly steps: readonly (Step | null)[]; readonly cost: () => number[] };

const costOf = (step: Step | null): number[] => step?.cost() ?? [];

function shortest(all: readonly (readonly number[])[]): number[] {
  return [...all.reduce((best, each) => (each.length < best.length ? each : best))];
}

function linked(part: TextPart, next: Step | null, lexicon: Lexicon): Step | null {
  const once = (work: () => number[]) => {
    let known: number[] | undefined;
    return () => {
      known ??= work();
      return known;
    };
  };
  const literalStep = (text: string, next: Step | null): Step => {
    const bytes = latin1(utf8.encode(text));
    return {
      type: "literal",
      text: bytes,
      next,
      cost: once(() => [...tokensOf(lexicon, bytes), ...costOf(next)]),
    };
  };
  switch (part.type) {
    case "literal":
      return part.text === "" ? next : literalStep(part.text, next);
    case "document": {
      const { constraint } = part;
      const cost = once(() => [...constraint.open().shortestCompletion(), ...costOf(next)]);
      return { type: "document", constraint, next, cost };
    }
    case "until": {
      const search = triggerSearch([part.end], lexicon, false);
      const cost = once(() => [...tokensOf(lexicon, latin1(utf8.encode(part.end))), ...costOf(next)]);
      return { type: "until", search, next, cost };
    }
    case "sequence":
      return part.parts.reduceRight<Step | null>((after, each) => linked(each, after, lexicon), next);
    case "choice": {
      const steps = part.parts.map((each) => linked(each, next, lexicon));
      return { type: "choice", steps, cost: once(() => shortest(steps.map(costOf))) };
    }
    case "repeat": {
      // The step after one round is the end, or a separator and the same round again.
      const steps: (Step | null)[] = [next];
      const after: Step = { type: "choice", steps, cost: () => costOf(next) };
      const round = linked(part.part, after, lexicon);
      steps.push(part.separator === "" ? round : literalStep(part.separator, round));
      return round;
    }
    default:
      return part satisfies never;
  }
}

interface Thread {
  readonly step: Exclude<Step, { type: "choice" }>;
  /** Bytes written of a fixed text; the end of the text seen so far, of free text. */
  seen: string;
  readonly document: TokenConstraint | undefined;
}

function openThreads(program: Step | null, lexicon: Lexicon): TokenConstraint {
  const { words, endOfText, texts } = lexicon;
  let threads: Thread[] = [];
  let mayEnd = false;
  const start = (step: Step | null): void => {
    if (step === null) {
      mayEnd = true;
      return;
    }
    if (step.type === "choice") {
      for (const each of step.steps) start(each);
      return;
    }
    const document = step.type === "document" ? step.constraint.open() : undefined;
    threads.push({ step, seen: "", document });
    if (document?.isComplete) start((step as { next: Step | null }).next);
  };
  start(program);
  const mask = new Uint32Array(words);
  let isFresh = false;

  /** The tokens of one thread. */
  const add = (thread: Thread): void => {
    const { step, seen, document } = thread;
    if (step.type === "literal") {
      for (const id of tokensThatBegin(lexicon, step.text.slice(seen.length))) setBit(mask, id);
      return;
    }
    const inner = document === undefined ? (step as { search: TriggerSearch }).search.mask(seen) : document.mask();
    // Only the end of the whole text allows the end-of-text tokens.
    const ends = endOfText.map((id) => hasBit(mask, id));
    for (let word = 0; word < words; word++) mask[word] |= inner[word];
    endOfText.forEach((id, i) => {
      if (!ends[i]) mask[id >> 5] &= ~(1 << (id & 31));
    });
  };

  return {
    mask() {
      if (isFresh) return mask;
      mask.fill(0);
      for (const thread of threads) add(thread);
      if (mayEnd) for (const id of endOfText) setBit(mask, id);
      isFresh = true;
      return mask;
    },
    accept(id) {
      isFresh = false;
      const before = threads;
      threads = [];
      const wasEnd = mayEnd && endOfText.includes(id);
      mayEnd = wasEnd;
      if (wasEnd) return;
      const text = texts[id] ?? "";
      for (const thread of before) {
        const { step, seen, document } = thread;
        if (step.type === "literal") {
          const rest = step.text.slice(seen.length);
          if (!tokensThatBegin(lexicon, rest).includes(id)) continue;
          if (text.length === rest.length) start(step.next);
          else threads.push({ ...thread, seen: seen + text });
        } else if (document !== undefined) {
          if (endOfText.includes(id) || !hasBit(document.mask(), id)) continue;
          document.accept(id);
          threads.push(thread);
          if (document.isComplete) start(step.next);
        } else {
          const { search } = step as { search: TriggerSearch };
          if (!hasBit(search.mask(seen), id)) continue;
          const next = search.next(seen, id);
          if (next === undefined) start(step.next);
          else threads.push({ ...thread, seen: next });
        }
      }
    },
    get isComplete() {
      return mayEnd;
    },
    shortestCompletion() {
      if (mayEnd) return [];
      return shortest(
        threads.map(({ step, seen, document }) => {
          if (step.type === "literal")
            return [...tokensOf(lexicon, step.text.slice(seen.length)), ...costOf(step.next)];
          if (document !== undefined) return [...document.shortestCompletion(), ...costOf(step.next)];
          return [...(step as { search: TriggerSearch }).search.shortest(seen), ...costOf(step.next)];
        }),
      );
    },
  };
}

interface TriggerSearch {
  /** Tokens that do not cross the end of a trigger. */
  mask(seen: string): Uint32Array;
  /** The end of the text that may begin a trigger; undefined if the token completes one. */
  next(seen: string, id: number): string | undefined;
  /** Fewest tokens to complete a trigger. */
  shortest(seen: string): number[];
}

/** @param isFree whether special tokens may occur, and the text may end */
function triggerSearch(given: readonly string[], lexicon: Lexicon, isFree: boolean): TriggerSearch {
  const triggers = given.map((text) => latin1(utf8.encode(text)));
  const masks = new Map<string, Uint32Array>();
  /** The longest end of a text that is a proper beginning of a trigger. */
  const tail = (text: string): string => {
    for (let from = Math.max(0, text.length - Math.max(...triggers.map(({ length }) => length - 1))); ; from++) {
      const end = text.slice(from);
      if (end === "" || triggers.some((trigger) => trigger.length > end.length && trigger.startsWith(end))) return end;
    }
  };
  /** Where the first trigger ends; −1 if there is none. */
  const firstEnd = (text: string): number => {
    const ends = triggers.map((trigger) => [text.indexOf(trigger), trigger.length]).filter(([at]) => at >= 0);
    return ends.length === 0 ? -1 : Math.min(...ends.map(([at, length]) => at + length));
  };
  return {
    mask(seen) {
      const known = masks.get(seen);
      if (known !== undefined) return known;
      const mask = (isFree ? lexicon.everything : lexicon.ordinary).slice();
      const last = triggers.map((trigger) => trigger.at(-1)!);
      lexicon.texts.forEach((text, id) => {
        // A token that crosses has the last byte of a trigger before its own last.
        if (text === undefined || text.length < 2) return;
        const inside = text.slice(0, -1);
        if (!last.some((byte) => inside.includes(byte))) return;
        const end = firstEnd(seen + text);
        if (end >= 0 && end < seen.length + text.length) mask[id >> 5] &= ~(1 << (id & 31));
      });
      masks.set(seen, mask);
      return mask;
    },
    next(seen, id) {
      const text = seen + (lexicon.texts[id] ?? "");
      return firstEnd(text) >= 0 ? undefined : tail(text);
    },
    shortest(seen) {
      const begun = triggers.filter((trigger) => trigger.startsWith(seen));
      return shortest(begun.map((trigger) => tokensOf(lexicon, trigger.slice(seen.length))));
    },
  };
}
