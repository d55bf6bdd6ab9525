/**
 * @file Chooses the pre-tokenizer of a GGUF file, `tokenizer.ggml.pre`: the one with the steps of a tokenizer.json, or else the
 * one that splits fewest of a few texts differently. A difference is found by splitting texts, never assumed.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { Merger } from "../encode/bpe.js";
import { publishedPattern, type Splitter } from "../encode/patterns.js";
import { TextParts } from "../encode/text-parts.js";
import type { JsonObject, Tokenizer } from "../tokenizer.js";
import { GGUF_PRE_TOKENIZERS, type NamedPreTokenizer } from "./gguf-pre-tokenizers.js";
import { splitterFromJson } from "./tokenizer-json.js";
import { listMerges } from "./vocabulary.js";

export interface ChosenPreTokenizer {
  readonly name: string;
  /** What llama.cpp does differently, one sentence each with an example. */
  readonly warnings: readonly string[];
}

/** Texts that pre-tokenizers split differently: cases, scripts, marks, digits, symbols, contractions and white space. */
const TEXTS: readonly string[] = [
  ...["The quick brown fox.", "don't DON'T Don'T we'll WE'LL it's", "camelCase HTMLParser iPhone XMLHttpRequest"],
  ...["Éléonore ÉCOLE écoleÉté", "ΑθήναΕλλάδα", "МоскваРоссия ПРИВЕТмир", "straßeÄRGER", "ǅungla Ǆ ǆ"],
  ...["नमस्ते दुनिया", "สวัสดีชาวโลก", "السَّلامُ عليكم", "שָׁלוֹם עולם", "Việt Nam", "e\u0301te\u0301 n\u0303o"],
  ...["吾輩は猫である。名前はまだ無い。", "日本語ABCかな", "한국어 텍스트입니다", "中文123字"],
  ...["1 12 123 1234 12345", "3.14159 1,000,000", "٣٤٥٦ ४५६७ Ⅷ ½ x²", "2024-01-31T12:34:56"],
  ...["a  b   c    d", "one\n\ntwo\n \n three", "tab\tand\r\nline\r\n", "end of text \n", "return x\n    ", " \n\n  x"],
  ...["if (x != y) { return /* z */; }", "path/to//file\n/usr\n", "a_b __init__ #$%^&*", "(a)[b]{c}<d>"],
  ...["“quoted” – ‘dash’ … €5", "👋🏽 🇩🇪 👨‍👩‍👧", "no\u00a0break\u3000wide\u200bzero", "'''''", "...\n...\n"],
];

/**
 * @throws QuernError for a normalizer other than NFC, or a prefix space, which no GGUF file can state
 */
export async function chooseGgufPreTokenizer(tokenizer: Tokenizer): Promise<ChosenPreTokenizer> {
  const { json, model, prefixSpace } = tokenizer.parts;
  const normalizer = flattened(json.normalizer, "normalizers");
  const other = normalizer.find(({ type }) => type !== "NFC");
  if (other !== undefined) throw noForm(`the normalizer ${quoted(String(other.type))}`);
  if (prefixSpace) throw noForm("a space before each text (add_prefix_space)");
  const normalizes = normalizer.length > 0;
  // Without merges, splitting changes nothing.
  if (!normalizes && !model.wholeFirst && listMerges(model).left.length === 0) {
    return { name: GGUF_PRE_TOKENIZERS[0].names[0], warnings: [] };
  }
  const wanted = canonical(json.pre_tokenizer);
  const own = await splitterFromJson(json);
  const isSame = (pre: NamedPreTokenizer) => canonical(sequence(pre.steps)) === wanted;
  const rank = (pre: NamedPreTokenizer) =>
    Number((pre.wholeFirst ?? false) !== model.wholeFirst) * 2 + Number((pre.normalizer !== undefined) !== normalizes);
  const [found] = GGUF_PRE_TOKENIZERS.filter(isSame).sort((a, b) => rank(a) - rank(b));
  const pre = found ?? (await nearest(own, (each) => rank(each) < 2));
  const theirs = await splitterFromJson({ pre_tokenizer: sequence(pre.inLlamaCpp ?? pre.steps) });
  const warnings: string[] = [];
  const differing = TEXTS.find((text) => splitText(theirs, text) !== splitText(own, text));
  if (differing !== undefined) {
    warnings.push(
      `llama.cpp has no pre-tokenizer with this tokenizer's pattern; with the nearest, ${pre.names[0]}, it splits ` +
        `${example(differing, own, theirs)}; train with the pattern llama3 for equal tokens`,
    );
  } else if (found === undefined) {
    warnings.push(
      `llama.cpp has no pre-tokenizer with this tokenizer's pattern; the nearest, ${pre.names[0]}, splits ${TEXTS.length} ` +
        "test texts equally, but may split others differently",
    );
  }
  if (normalizes) {
    const [composed, decomposed] = ["é", "é".normalize("NFD")];
    warnings.push(
      `llama.cpp does not normalize text to NFC: it encodes ${escaped(decomposed)} as written, not as ${composed}`,
    );
  }
  if ((pre.wholeFirst ?? false) !== model.wholeFirst) {
    const token = unmergedToken(tokenizer, own);
    if (token !== undefined) {
      const what = model.wholeFirst ? "merges it from smaller tokens" : "takes it whole";
      warnings.push(`the text ${JSON.stringify(token)} is one token here; llama.cpp ${what} with ${pre.names[0]}`);
    }
  }
  return { name: pre.names[0], warnings };
}

const noForm = (what: string) =>
  new QuernError(`the tokenizer has ${what}, which a GGUF file cannot store; llama.cpp would encode text differently`);

/** Returns the pre-tokenizer that splits fewest of the texts differently. */
async function nearest(own: Splitter, isAllowed: (pre: NamedPreTokenizer) => boolean): Promise<NamedPreTokenizer> {
  const wanted = TEXTS.map((text) => splitText(own, text));
  let best = GGUF_PRE_TOKENIZERS[0];
  let fewest = Number.POSITIVE_INFINITY;
  const preferred = GGUF_PRE_TOKENIZERS.filter(isAllowed);
  for (const pre of preferred.length > 0 ? preferred : GGUF_PRE_TOKENIZERS) {
    const theirs = await splitterFromJson({ pre_tokenizer: sequence(pre.inLlamaCpp ?? pre.steps) });
    const count = TEXTS.filter((text, i) => splitText(theirs, text) !== wanted[i]).length;
    if (count < fewest) [best, fewest] = [pre, count];
  }
  return best;
}

const sequence = (steps: readonly JsonObject[]): JsonObject => ({ type: "Sequence", pretokenizers: steps });

/** Returns the components of a sequence, including those of nested sequences. */
function flattened(value: unknown, key: string): JsonObject[] {
  if (typeof value !== "object" || value === null) return [];
  const component = value as JsonObject;
  const inner = component[key];
  return Array.isArray(inner) ? inner.flatMap((step: unknown) => flattened(step, key)) : [component];
}

/** Describes the steps of a pre_tokenizer so that equal ones are equal texts. */
function canonical(preTokenizer: unknown): string {
  const steps = flattened(preTokenizer, "pretokenizers").flatMap((step): unknown[] => {
    if (step.type === "ByteLevel") return step.use_regex === false ? [] : [["split", "gpt2"]];
    const source = (step.pattern as JsonObject | undefined)?.Regex;
    if (step.type !== "Split" || typeof source !== "string") return [step];
    const name = publishedPattern(source);
    // A published pattern matches all text, so removing what is between its matches removes nothing.
    const isolates = step.invert !== true && (step.behavior ?? "Isolated") === "Isolated";
    const inverted = step.invert === true && step.behavior === "Removed";
    if (isolates || (name !== undefined && inverted)) return [["split", name ?? source]];
    return [step];
  });
  return JSON.stringify(steps);
}

/** Returns the ends of a text's pretokens in bytes, negative for text that is removed. */
function boundsOf(splitter: Splitter, text: string): Int32Array {
  const parts = new TextParts(splitter);
  parts.load(text, 0);
  return parts.bounds.subarray(0, parts.count);
}

const splitText = (splitter: Splitter, text: string): string => boundsOf(splitter, text).join();

function piecesOf(splitter: Splitter, text: string): string[] {
  const bytes = Buffer.from(text);
  let from = 0;
  return Array.from(boundsOf(splitter, text), (bound) => {
    const to = bound < 0 ? ~bound : bound;
    const piece = bytes.toString("utf8", from, to);
    from = to;
    return piece;
  });
}

/** Returns the first pieces that differ, as `"Éco|le" as …`. */
function example(text: string, own: Splitter, theirs: Splitter): string {
  const [ours, other] = [piecesOf(own, text), piecesOf(theirs, text)];
  let at = 0;
  while (ours[at] === other[at]) at++;
  // Up to the next boundary that both have.
  let [i, j] = [at + 1, at + 1];
  while (ours.slice(0, i).join("").length !== other.slice(0, j).join("").length) {
    if (ours.slice(0, i).join("").length < other.slice(0, j).join("").length) i++;
    else j++;
  }
  const [here, there] = [ours.slice(at, i), other.slice(at, j)];
  return `${escaped(here.join(""))} into ${escaped(there.join("|"))} instead of ${escaped(here.join("|"))}`;
}

/** Quotes a text, with marks and invisible characters as escapes. */
const escaped = (text: string) =>
  JSON.stringify(text).replace(
    /[\p{M}\p{Cf}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu,
    (mark) => `\\u${mark.codePointAt(0)?.toString(16).padStart(4, "0")}`,
  );

/** Returns a token that is one pretoken, but that merges do not form from its bytes; undefined if there is none. */
function unmergedToken(tokenizer: Tokenizer, splitter: Splitter): string | undefined {
  const { model } = tokenizer.parts;
  const { bytes, starts, lengths, size } = model.tokens;
  const merger = new Merger(model.byteIds, model.merges);
  const added = new Set(tokenizer.added.map(({ id }) => id));
  for (let id = 0; id < size; id++) {
    if (lengths[id] < 2 || added.has(id)) continue;
    if (model.tokens.find(bytes, starts[id], starts[id] + lengths[id]) !== id) continue;
    if (merger.merge(bytes, starts[id], starts[id] + lengths[id]) === 1) continue;
    const text = Buffer.from(model.tokens.get(id)).toString("utf8");
    if (!text.includes("\ufffd") && boundsOf(splitter, text).length === 1) return text;
  }
  return undefined;
}
