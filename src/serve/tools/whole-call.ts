/**
 * @file Answers that are a call as a whole, without a mark before it: a JSON object whose first key is the name or the arguments. A
 * key counts however its letters are written: `"\u006eame"` is `"name"`.
 */
import { type CompiledConstraint, compileParts, type PartVocabulary, type TextPart } from "../../infer/index.js";

/** Llama writes it before some calls. */
export const PYTHON_TAG = "<|python_tag|>";

/** What an answer is, as far as it goes: `more` may become either. */
export type Opening = "call" | "text" | "more";

/** Finds out from the beginning of an answer whether it is an object whose first key is one of `keys`. */
export function openingOf(text: string, keys: readonly string[]): Opening {
  const answer = text.trimStart();
  const isTagged = answer.startsWith(PYTHON_TAG);
  const rest = isTagged ? answer.slice(PYTHON_TAG.length).trimStart() : answer;
  if (rest === "" || (!isTagged && PYTHON_TAG.startsWith(rest))) return "more";
  if (rest[0] !== "{") return "text";
  const members = rest.slice(1).trimStart();
  if (members === "") return "more";
  if (members[0] !== '"') return "text";
  const [written] = /^(?:[^"\\\p{Cc}]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*/u.exec(members.slice(1)) as RegExpExecArray;
  const key = JSON.parse(`"${written}"`) as string;
  const after = members.slice(1 + written.length);
  if (!after.startsWith('"')) {
    const isUnfinished = after === "" || /^\\(u[0-9a-fA-F]{0,3})?$/.test(after);
    return isUnfinished && keys.some((each) => each.startsWith(key)) ? "more" : "text";
  }
  if (!keys.includes(key)) return "text";
  const colon = after.slice(1).trimStart()[0];
  return colon === undefined ? "more" : colon === ":" ? "call" : "text";
}

/**
 * Compiles an answer that is either free or, if it begins as a call, as `part` says.
 * @param keys the keys that a text of `part` may begin with
 */
export function compileWholeCall(
  keys: readonly string[],
  part: TextPart,
  vocabulary: PartVocabulary,
): CompiledConstraint {
  const calls = compileParts(part, vocabulary);
  const { texts, withMark, everything } = lexiconOf(vocabulary);
  /** By the text before: tokens that begin a call, or that make the text one. */
  const decisive = new Map<string, readonly number[]>();
  const decisiveAfter = (seen: string): readonly number[] => {
    const isDecisive = (id: number) => {
      const text = seen + texts[id];
      const opening = openingOf(text, keys);
      return opening === "call" || (opening === "more" && isBlank(seen) && !isBlank(text));
    };
    const found = decisive.get(seen) ?? withMark.filter(isDecisive);
    decisive.set(seen, found);
    return found;
  };
  return {
    open() {
      const inner = calls.open();
      const mask = new Uint32Array(everything.length);
      let state: Opening = "more";
      let seen = "";
      /** Whether `part` has a text that begins with these very tokens. */
      let isFollowed = true;
      return {
        mask() {
          if (state === "call") return inner.mask();
          mask.set(everything);
          if (state === "text") return mask;
          // A text that is read as a call must be one that fits.
          const allowed = isFollowed ? inner.mask() : null;
          for (const id of decisiveAfter(seen)) if (allowed === null || !hasBit(allowed, id)) clearBit(mask, id);
          return mask;
        },
        accept(id) {
          if (state === "text") return;
          if (state === "call") return inner.accept(id);
          seen += texts[id] ?? "\0";
          if (isBlank(seen)) return;
          isFollowed &&= hasBit(inner.mask(), id);
          if (isFollowed) inner.accept(id);
          state = openingOf(seen, keys);
        },
        get isComplete() {
          return state === "call" ? inner.isComplete : true;
        },
        shortestCompletion: () => (state === "call" ? inner.shortestCompletion() : []),
      };
    },
  };
}

/** Whether a text is only what may stand before a call. */
const isBlank = (text: string) => text.replace(PYTHON_TAG, "").trim() === "";
const hasBit = (mask: Uint32Array, id: number) => ((mask[id >> 5] >>> (id & 31)) & 1) === 1;
const clearBit = (mask: Uint32Array, id: number) => {
  mask[id >> 5] &= ~(1 << (id & 31));
};

interface Lexicon {
  /** (V) */
  readonly texts: readonly (string | undefined)[];
  /** Ids of texts with a brace or a colon, without which no call begins. */
  readonly withMark: readonly number[];
  /** Mask of all tokens. */
  readonly everything: Uint32Array;
}

const lexicons = new WeakMap<object, Lexicon>();

function lexiconOf({ tokenBytes, special, size }: PartVocabulary): Lexicon {
  const known = lexicons.get(tokenBytes);
  if (known !== undefined) return known;
  // Tokens may end inside a character; the keys are ASCII, so bytes are as good as characters.
  const texts = tokenBytes.map((bytes) => (bytes === undefined ? undefined : Buffer.from(bytes).toString("latin1")));
  for (const [text, id] of special) if (id < size) texts[id] ??= text;
  const everything = new Uint32Array(Math.ceil(size / 32));
  for (let id = 0; id < size; id++) everything[id >> 5] |= 1 << (id & 31);
  const withMark = [...texts.keys()].filter((id) => texts[id] !== undefined && /[{:]/.test(texts[id]));
  const lexicon = { texts, withMark, everything };
  lexicons.set(tokenBytes, lexicon);
  return lexicon;
}
