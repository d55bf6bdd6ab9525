/**
 * @file The style of answers: length and Markdown. Style control adds their differences to the Bradley–Terry model as covariates
 * (Li et al., "Does style matter? Disentangling style and substance in Chatbot Arena", 2024), so that a model's rating is its
 * strength between answers of equal style.
 */

/** The features, in order. */
export const STYLE_FEATURES = ["length", "headers", "lists", "bold"] as const;

type Fields = Readonly<Record<string, unknown>>;
type Counts = readonly number[];

/**
 * Returns (a − b) / (a + b) for each feature of the two answers, 0 if neither has it; undefined without conversations. Counts of
 * `conv_metadata` are preferred: its length is in tokens, that of a conversation in characters.
 */
export function styleOf(fields: Fields): readonly number[] | undefined {
  const [a, b] = countsOfBoth(fields);
  if (a === undefined || b === undefined) return undefined;
  return a.map((of, i) => (of + b[i] === 0 ? 0 : (of - b[i]) / (of + b[i])));
}

/** Both sides in the same unit of length. */
function countsOfBoth(fields: Fields): readonly [Counts | undefined, Counts | undefined] {
  const metadata = parsed(fields.conv_metadata);
  if (isRecord(metadata)) {
    const [a, b] = [countsOfMetadata(metadata, "a"), countsOfMetadata(metadata, "b")];
    if (a !== undefined && b !== undefined) return [a, b];
  }
  const { conversation_a, conversation_b, response_a, response_b, output_1, output_2 } = fields;
  return [
    countsOfConversation(conversation_a ?? response_a ?? output_1),
    countsOfConversation(conversation_b ?? response_b ?? output_2),
  ];
}

const isRecord = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** CSV and some Parquet files contain JSON as text. */
function parsed(value: unknown): unknown {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** lm-arena's counts; undefined if one of them is missing. */
function countsOfMetadata(metadata: Fields, side: "a" | "b"): Counts | undefined {
  const counts = [
    metadata[`sum_assistant_${side}_tokens`] ?? metadata[`sum_assistant_tokens_${side}`],
    metadata[`header_count_${side}`],
    metadata[`list_count_${side}`],
    metadata[`bold_count_${side}`],
  ].map(total);
  return counts.some(Number.isNaN) ? undefined : counts;
}

/** A count, or an object of counts by kind: `{ h1: 2, h2: 5 }`. */
function total(value: unknown): number {
  if (typeof value === "number" || typeof value === "bigint") return Number(value);
  if (!isRecord(value)) return Number.NaN;
  return Object.values(value).reduce<number>((sum, each) => sum + Number(each ?? 0), 0);
}

function countsOfConversation(value: unknown): Counts | undefined {
  const text = answersOf(parsed(value));
  return text === undefined ? undefined : markdownCounts(text);
}

/**
 * Returns the answers of a conversation: its assistant messages, a text, or a list of texts; undefined if there is no
 * conversation.
 */
function answersOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  const texts = value.flatMap((message) => {
    if (typeof message === "string") return [message];
    if (!isRecord(message)) return [];
    return message.role === undefined || message.role === "assistant" ? [contentOf(message.content)] : [];
  });
  return texts.join("\n");
}

/** Text, or a list of parts with text. */
function contentOf(content: unknown): string {
  if (typeof content === "string") return content;
  const parts = Array.isArray(content) ? content : [content];
  return parts.map((part) => (isRecord(part) && typeof part.text === "string" ? part.text : "")).join("\n");
}

/** Counts characters (code points) of an answer, and its headers, list items and bold spans outside fenced code. */
export function markdownCounts(answer: string): Counts {
  let length = answer.length;
  for (let i = 0; i < answer.length; i++) if ((answer.charCodeAt(i) & 0xfc00) === 0xdc00) length -= 1;
  let [headers, lists, bold] = [0, 0, 0];
  let fence: string | undefined;
  for (const line of answer.split("\n")) {
    const mark = /^\s*(```+|~~~+)/.exec(line)?.[1];
    if (fence !== undefined) {
      if (mark?.startsWith(fence)) fence = undefined;
      continue;
    }
    if (mark !== undefined) {
      fence = mark;
      continue;
    }
    if (/^ {0,3}#{1,6}\s/.test(line)) headers += 1;
    else if (/^\s*([-*+]|\d{1,9}[.)])\s/.test(line)) lists += 1;
    bold += line.match(/\*\*[^*\s][^*]*\*\*|__[^_\s][^_]*__/g)?.length ?? 0;
  }
  return [length, headers, lists, bold];
}

/**
 * Divides each feature of (N, F) differences by its standard deviation, in place, and returns the deviations. The mean stays: a
 * feature must only change its sign when A and B are swapped. A feature that never differs has deviation 0.
 */
export function standardise(style: Float64Array, F: number): readonly number[] {
  const N = style.length / F;
  return STYLE_FEATURES.slice(0, F).map((_, f) => {
    let [sum, squares] = [0, 0];
    for (let n = 0; n < N; n++) sum += style[n * F + f];
    const mean = sum / N;
    for (let n = 0; n < N; n++) squares += (style[n * F + f] - mean) ** 2;
    const deviation = Math.sqrt(squares / N);
    if (deviation > 0) for (let n = 0; n < N; n++) style[n * F + f] /= deviation;
    return deviation;
  });
}
