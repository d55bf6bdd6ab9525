/** @file How well a model knows texts that it may never have seen: the library function behind `quern perplexity`. */
import type { z } from "zod";
import type { CompileOptions } from "../backends/index.js";
import { ReadLog, type ReadReport, readDocuments } from "../documents/index.js";
import { QuernError } from "../errors.js";
import { createScorer, openTextModel, overlappingWindows } from "../infer/index.js";
import { checkOptions } from "../options.js";
import type { OnProgress } from "../progress.js";
import { perplexityOptions } from "./perplexity-options.js";

export type PerplexityOptions = z.input<typeof perplexityOptions> & {
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
};

export interface TextScore {
  /** Tokens predicted. */
  readonly tokens: number;
  /** UTF-8 bytes of the text. */
  readonly bytes: number;
  readonly nats_per_token: number;
  readonly bits_per_token: number;
  /** e to the nats a token. */
  readonly perplexity: number;
  /** The bits of all tokens over the bytes of the text: comparable across tokenizers. */
  readonly bits_per_byte: number;
}

export interface PerplexityResult extends ReadReport {
  readonly model: string;
  /** One for each path given, in that order. */
  readonly files: readonly (TextScore & { readonly file: string })[];
  readonly total: TextScore;
  /** What is unusual about the model's folder, a sentence each. */
  readonly warnings: readonly string[];
  /** Windows, as they were used. */
  readonly sequence: number;
  readonly stride: number;
}

/** Attention over more costs more than it tells here. */
const LONGEST_WINDOW = 1024;
const SHORTEST_WINDOW = 32;

interface Text {
  readonly file: number;
  readonly ids: Uint32Array;
  readonly given: number;
  readonly tokens: number;
  readonly bytes: number;
}

/**
 * Nats a token and bits a byte of files. Each document (a text file, a JSONL line, a Parquet row) is judged by itself: what
 * begins a text stands before it (`bos`, or the end-of-text token), its tokens are predicted once each, and the end of the
 * text is not. Texts longer than a window are judged in windows that overlap; `Scorer` says how. A model that knows no
 * beginning cannot predict a text's first token, which then is left out.
 *
 * @throws QuernError for a folder that holds no model, a file that is no text, an empty one, windows the model cannot take
 */
export async function perplexity(options: PerplexityOptions): Promise<PerplexityResult> {
  const { target = {}, signal, onProgress, ...rest } = options;
  const o = checkOptions(perplexityOptions, rest);
  const { model, tokenizer, beginning, folder, close } = await openTextModel(o.model);
  try {
    const most = o.sequence ?? Math.min(LONGEST_WINDOW, model.config.sequence);
    if (most > model.config.sequence) {
      throw new QuernError(
        `a window of ${most} tokens is longer than the model's ${model.config.sequence}; give a smaller --sequence`,
        { exitCode: 2 },
      );
    }
    if (o.stride !== undefined && o.stride > most) {
      throw new QuernError(`a stride of ${o.stride} tokens would leave out some between windows of ${most}`, {
        exitCode: 2,
      });
    }
    const log = new ReadLog({ strict: o.strict });
    const texts: Text[] = [];
    for (const [file, path] of o.files.entries()) {
      const before = texts.length;
      const reader = readDocuments([path], { textField: o.textField, strict: o.strict, signal });
      for await (const { text } of reader) {
        const ids = Uint32Array.from([...beginning, ...tokenizer.encode(text)]);
        const given = Math.max(1, beginning.length);
        texts.push({ file, ids, given, tokens: Math.max(0, ids.length - given), bytes: Buffer.byteLength(text) });
      }
      log.merge(reader.report);
      const tokens = texts.slice(before).reduce((sum, text) => sum + text.tokens, 0);
      if (tokens === 0) throw new QuernError(`${path} holds no token to predict; give a longer text`, { exitCode: 2 });
    }
    // Short texts want a short window: what pads it is computed and thrown away.
    const longest = texts.reduce((most, { ids }) => Math.max(most, ids.length - 1), 0);
    const fitting = 2 ** Math.ceil(Math.log2(Math.max(SHORTEST_WINDOW, longest)));
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
      // Sums in float64: a long text adds up millions of small numbers.
      const onWindow = ({ text }: { readonly text: number }, losses: Float32Array) => {
        nats[text] = losses.reduce((sum, loss) => sum + loss, nats[text]);
      };
      await scorer.score(windows, { signal, onScored, onWindow });
      if (!nats.every(Number.isFinite)) {
        throw new QuernError(`the losses of ${folder} are not numbers: its weights are damaged, or training diverged`);
      }
      const costs = texts.map((text, i) => ({ ...text, nats: nats[i] }));
      return {
        model: folder,
        files: o.files.map((file, i) => ({ file, ...scoreOf(costs.filter((cost) => cost.file === i)) })),
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

function scoreOf(costs: readonly (Pick<Text, "tokens" | "bytes"> & { readonly nats: number })[]): TextScore {
  const sum = (key: "tokens" | "bytes" | "nats") => costs.reduce((total, cost) => total + cost[key], 0);
  const [tokens, bytes, nats] = [sum("tokens"), sum("bytes"), sum("nats")];
  return {
    tokens,
    bytes,
    nats_per_token: nats / tokens,
    bits_per_token: nats / tokens / Math.LN2,
    perplexity: Math.exp(nats / tokens),
    bits_per_byte: nats / Math.LN2 / bytes,
  };
}
