/** @file Text from a model folder: the library function behind `quern generate`. */
import type { z } from "zod";
import type { CompileOptions } from "../backends/index.js";
import { QuernError } from "../errors.js";
import { checkOptions } from "../options.js";
import { createDecoder } from "./decoder.js";
import { generateOptions } from "./generate-options.js";
import { stopFinder } from "./stop-strings.js";
import { openTextModel } from "./text-model.js";

export type GenerateTextOptions = z.input<typeof generateOptions> & {
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly signal?: AbortSignal;
  /** Called before the first piece with a sentence about each thing that may not be meant: a prompt that is cut, an odd model folder. */
  readonly onWarning?: (warning: string) => void;
};

/**
 * The shortest text that a decoder is compiled for; longer ones come in powers of two. A model trained for 100,000
 * tokens need not hold the cache for them all to add a hundred, and few lengths mean few programs to build.
 */
const MIN_SEQUENCE = 256;

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
    const needed = 2 ** Math.ceil(Math.log2(Math.max(MIN_SEQUENCE, prompt.length + o.tokens)));
    const decoder = await createDecoder(model.config, model.readParameter, {
      ...target,
      sequence: Math.min(model.config.sequence, needed),
      threads: o.threads,
      cache: o.cache,
    });
    try {
      // A token may end inside a character; the stream holds its bytes back until the rest is there.
      const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
      const finder = stopFinder(o.stop);
      const { tokens, temperature, topK, topP, minP, repetitionPenalty, seed } = o;
      const sampling = { temperature, topK, topP, minP, repetitionPenalty, tokens, seed, endOfText, signal };
      for await (const id of decoder.generate(prompt, sampling)) {
        if (!tokenizer.has(id)) continue; // a row that pads the table stands for nothing
        const text = finder.push(utf8.decode(tokenizer.decodeBytes([id]), { stream: true }));
        if (text !== "") yield text;
        if (finder.found) return;
      }
      const last = finder.push(utf8.decode()) + finder.end();
      if (last !== "") yield last;
    } finally {
      decoder.dispose();
    }
  } finally {
    await opened.close();
  }
}
