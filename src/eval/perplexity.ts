/** @file Measures how well a model predicts text: the library function behind `quern perplexity`. */
import type { z } from "zod";
import type { CompileOptions } from "../backends/index.js";
import { type Document, ReadLog, type ReadReport, readDocuments } from "../documents/index.js";
import { QuernError } from "../errors.js";
import { createScorer, openTextModel, overlappingWindows } from "../infer/index.js";
import { checkOptions, show } from "../options.js";
import { quoted } from "../printable.js";
import type { OnProgress } from "../progress.js";
import { perplexityOptions } from "./perplexity-options.js";

export type PerplexityOptions = z.input<typeof perplexityOptions> & {
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
};

export interface TextScore {
  readonly documents: number;
  /** Tokens predicted. */
  readonly tokens: number;
  /** UTF-8 bytes of the text. */
  readonly bytes: number;
  readonly nats_per_token: number;
  readonly bits_per_token: number;
  /** e to the power of nats per token. */
  readonly perplexity: number;
  /** Bits of all tokens divided by the bytes of the text: comparable across tokenizers. */
  readonly bits_per_byte: number;
  /** Standard error of `bits_per_byte` over documents, as a ratio of sums; null for a single document. */
  readonly bits_per_byte_error: number | null;
}

export interface PerplexityResult extends ReadReport {
  readonly model: string;
  /** One per input path, in order. */
  readonly files: readonly (TextScore & { readonly file: string })[];
  /** One per domain with a token to predict: what `by` names, else files and the parts of folders. */
  readonly domains: readonly (TextScore & { readonly domain: string })[];
  readonly total: TextScore;
  /** Warnings about the model's folder. */
  readonly warnings: readonly string[];
  /** Tokens per window, as used. */
  readonly sequence: number;
  /** Tokens from one window's start to the next, as used. */
  readonly stride: number;
}

/** Longer windows cost more attention than they improve the estimate. */
const MAX_WINDOW = 1024;
const MIN_WINDOW = 32;

interface Text {
  readonly file: number;
  readonly domain: string;
  readonly ids: Uint32Array;
  readonly given: number;
  readonly tokens: number;
  readonly bytes: number;
}

/**
 * Computes nats per token and bits per byte of files. Each document (a text file, a JSONL line, a Parquet row) is scored by
 * itself, after the model's beginning-of-text token, or else its end-of-text token. Each token is predicted once; the end of
 * the text is not predicted. Texts longer than a window are scored in overlapping windows (`overlappingWindows`). If the
 * model has neither token, the first token of each text is not scored.
 *
 * @throws QuernError for a folder without a model, a file that is not text or is empty, or windows longer than the model's
 * context
 */
export async function perplexity(options: PerplexityOptions): Promise<PerplexityResult> {
  const { target = {}, signal, onProgress, ...rest } = options;
  const o = checkOptions(perplexityOptions, rest);
  const { model, tokenizer, beginning, folder, close } = await openTextModel(o.model);
  try {
    const most = o.sequence ?? Math.min(MAX_WINDOW, model.config.sequence);
    if (most > model.config.sequence) {
      throw new QuernError(
        `a window of ${most} tokens is longer than the model's ${model.config.sequence}; give a smaller --sequence`,
        { exitCode: 2 },
      );
    }
    if (o.stride !== undefined && o.stride > most) {
      throw new QuernError(
        `a stride of ${o.stride} tokens would skip tokens between windows of ${most}; give a smaller --stride`,
        {
          exitCode: 2,
        },
      );
    }
    const log = new ReadLog({ strict: o.strict });
    const texts: Text[] = [];
    for (const [file, path] of o.files.entries()) {
      const before = texts.length;
      const reader = readDocuments([path], {
        ...{ textField: o.textField, strict: o.strict, fields: o.by !== undefined, signal },
      });
      for await (const document of reader) {
        const { text } = document;
        const ids = Uint32Array.from([...beginning, ...tokenizer.encode(text)]);
        const given = Math.max(1, beginning.length);
        const domain = o.by === undefined ? partOf(path, document) : fieldOf(document, o.by);
        const tokens = Math.max(0, ids.length - given);
        texts.push({ file, domain, ids, given, tokens, bytes: Buffer.byteLength(text) });
      }
      log.merge(reader.report);
      const tokens = texts.slice(before).reduce((sum, text) => sum + text.tokens, 0);
      if (tokens === 0)
        throw new QuernError(`${path} contains no token to predict; give a longer text`, { exitCode: 2 });
    }
    // Short texts use a short window, since padding is computed and discarded.
    const longest = texts.reduce((most, { ids }) => Math.max(most, ids.length - 1), 0);
    const fitting = 2 ** Math.ceil(Math.log2(Math.max(MIN_WINDOW, longest)));
    const sequence = Math.min(most, fitting);
    const stride = Math.min(sequence, o.stride ?? Math.ceil(most / 2));
    const scorer = createScorer(model.config, model.readParameter, {
      ...target,
      cpu: { threads: o.threads, ...target?.cpu },
      sequence,
    });
    try {
      const total = texts.reduce((sum, { tokens }) => sum + tokens, 0);
      let done = 0;
      const onScored = (tokens: number) => {
        done = Math.min(total, done + tokens);
        onProgress?.({ task: "score", done, total, unit: "token" });
      };
      const nats = texts.map(() => 0);
      const windows = texts.flatMap(({ ids, given }, text) =>
        Array.from(overlappingWindows(ids.length, { given, sequence, stride }), (span) => ({ ids, text, ...span })),
      );
      // Sums in float64, since a long text adds up millions of small numbers.
      const onWindow = ({ text }: { readonly text: number }, losses: Float32Array) => {
        nats[text] = losses.reduce((sum, loss) => sum + loss, nats[text]);
      };
      await scorer.score(windows, { signal, onScored, onWindow });
      if (!nats.every(Number.isFinite)) {
        throw new QuernError(
          `the losses of ${folder} are NaN or infinite: its weights are damaged, or training diverged`,
        );
      }
      const costs = texts.map((text, i) => ({ ...text, nats: nats[i] }));
      return {
        model: folder,
        files: o.files.map((file, i) => ({ file, ...scoreOf(costs.filter((cost) => cost.file === i)) })),
        domains: [...new Set(costs.map(({ domain }) => domain))].flatMap((domain) => {
          const score = scoreOf(costs.filter((cost) => cost.domain === domain));
          return score.tokens === 0 ? [] : [{ domain, ...score }];
        }),
        total: scoreOf(costs),
        warnings: model.warnings,
        sequence,
        stride,
        ...log.report,
      };
    } finally {
      scorer.dispose();
    }
  } finally {
    await close();
  }
}

/** The file itself, or the file or folder directly in a folder that a document is from. */
function partOf(path: string, { origin }: Document): string {
  const folder = path.endsWith("/") ? path : `${path}/`;
  if (!origin.archive.startsWith(folder)) return path;
  return folder + origin.archive.slice(folder.length).split("/")[0];
}

function fieldOf(document: Document, key: string): string {
  const value = document.fields?.[key] ?? (document as unknown as Record<string, unknown>)[key];
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value);
  throw new QuernError(
    `the document ${document.id} has no ${quoted(key)} that could name its domain${value === undefined ? "" : `, but ${show(value)}`}`,
  );
}

function scoreOf(costs: readonly (Pick<Text, "tokens" | "bytes"> & { readonly nats: number })[]): TextScore {
  const sum = (key: "tokens" | "bytes" | "nats") => costs.reduce((total, cost) => total + cost[key], 0);
  const [tokens, bytes, nats] = [sum("tokens"), sum("bytes"), sum("nats")];
  const n = costs.length;
  const bitsPerByte = nats / Math.LN2 / bytes;
  // The variance of a ratio of sums, to first order (Cochran 1977, "Sampling Techniques", chapter 6).
  const squares = costs.reduce((total, cost) => total + (cost.nats / Math.LN2 - bitsPerByte * cost.bytes) ** 2, 0);
  return {
    documents: n,
    tokens,
    bytes,
    nats_per_token: nats / tokens,
    bits_per_token: nats / tokens / Math.LN2,
    perplexity: Math.exp(nats / tokens),
    bits_per_byte: bitsPerByte,
    bits_per_byte_error: n < 2 ? null : Math.sqrt((squares * n) / (n - 1)) / bytes,
  };
}
