/** @file Text from a model folder: the library function behind `quern generate`. */
import type { z } from "zod";
import type { CompileOptions } from "../backends/index.js";
import { QuernError } from "../errors.js";
import { checkOptions } from "../options.js";
import { createDecoder } from "./decoder.js";
import { generateOptions } from "./generate-options.js";
import { completeText } from "./text-completion.js";
import { openTextModel } from "./text-model.js";

export type GenerateTextOptions = z.input<typeof generateOptions> & {
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly signal?: AbortSignal;
  /** Called before the first piece with a sentence about each thing that may not be meant: a prompt that is cut, an odd model folder. */
  readonly onWarning?: (warning: string) => void;
};

/**
 * Continues a prompt; gives the continuation piece by piece as it is decoded, whole characters at a time. Ends at the end
 * of the text, before the first stop string, or after `tokens`. A prompt longer than the model takes loses its beginning,
 * and `onWarning` hears of it.
 * @throws QuernError for a folder that holds no model, or a tokenizer that is not the model's
 */
export async function* generateText(options: GenerateTextOptions): AsyncGenerator<string, void> {
  const { target = {}, signal, onWarning, ...rest } = options;
  const o = checkOptions(generateOptions, rest);
  const opened = await openTextModel(o.model);
  try {
    const { model, tokenizer, endOfText, beginning } = opened;
    const given = tokenizer.encode(o.prompt, { addSpecial: true });
    const prompt = given.length > 0 ? given : beginning;
    if (prompt.length === 0) {
      throw new QuernError("the prompt is empty, and this model knows no token that begins a text", { exitCode: 2 });
    }
    for (const warning of model.warnings) onWarning?.(warning);
    const longest = model.config.sequence;
    if (prompt.length > longest) {
      onWarning?.(
        `the prompt has ${prompt.length} tokens and the model takes ${longest}: the first ${prompt.length - longest} are ` +
          "left out; shorten it, or choose a model with a longer context",
      );
    }
    const decoder = createDecoder(model.config, model.readParameter, { ...target, threads: o.threads, cache: o.cache });
    try {
      yield* piecesOf((onText) => completeText(decoder, tokenizer, { ...o, prompt, endOfText }, { signal, onText }));
    } finally {
      decoder.dispose(); // also ends what is under way for a caller who has read enough
    }
  } finally {
    await opened.close();
  }
}

/** What `work` gives its callback, as it comes, until its promise is settled. */
async function* piecesOf(work: (onPiece: (piece: string) => void) => Promise<unknown>): AsyncGenerator<string, void> {
  let pieces: string[] = [];
  let wake = () => {};
  let isDone = false;
  const done = work((piece) => {
    pieces.push(piece);
    wake();
  }).finally(() => {
    isDone = true;
    wake();
  });
  done.catch(() => {}); // thrown below
  while (!isDone || pieces.length > 0) {
    if (pieces.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    const ready = pieces;
    pieces = [];
    yield* ready;
  }
  await done;
}
