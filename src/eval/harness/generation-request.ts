/** @file Turns `generation_kwargs` of a task file into options of a model, with the names and defaults that lm-eval knows. */
import { QuernError } from "../../errors.js";
import type { GenerationOptions } from "../../infer/index.js";
import { PythonFloat } from "../../tokenizer/index.js";
import type { YamlValue } from "./python-yaml.js";

/** lm-eval's default of `max_gen_toks`. */
const MAX_TOKENS = 256;
/** Names for the number of tokens, the first given one counts. */
const LENGTH_KEYS = ["max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"];
/** Options of beam search and batching that change nothing at these values. */
const NEUTRAL: Readonly<Record<string, unknown>> = {
  num_beams: 1,
  num_return_sequences: 1,
  repetition_penalty: 1,
  use_cache: true,
  return_full_text: false,
};

const SAMPLING: Readonly<Record<string, "topK" | "topP" | "minP" | "repetitionPenalty">> = {
  top_k: "topK",
  top_p: "topP",
  min_p: "minP",
  repetition_penalty: "repetitionPenalty",
};

export type GenerationRequest = Pick<
  GenerationOptions,
  "tokens" | "stop" | "temperature" | "topK" | "topP" | "minP" | "repetitionPenalty"
> & { readonly tokens: number; readonly temperature: number };

/**
 * Returns the options of a request. Without `do_sample`, a temperature above 0 samples; `do_sample: false` is greedy.
 * @throws QuernError for an option that Quern does not have, or of another type
 */
export function generationRequestOf(given: Readonly<Record<string, YamlValue>>): GenerationRequest {
  const number = (key: string): number | undefined => {
    const value = given[key];
    if (value === undefined || value === null) return undefined;
    const result = value instanceof PythonFloat ? value.value : Number(value);
    if (typeof value === "object" && !(value instanceof PythonFloat)) throw wrong(key, value);
    if (Number.isNaN(result)) throw wrong(key, value);
    return result;
  };
  const tokens = LENGTH_KEYS.map(number).find((value) => value !== undefined) ?? MAX_TOKENS;
  const wanted = number("temperature") ?? 0;
  const samples = given.do_sample ?? wanted > 0;
  // Hugging Face's default is 1.
  const temperature = samples !== true ? 0 : wanted > 0 ? wanted : 1;
  const options: Record<string, number> = {};
  for (const [key, value] of Object.entries(given)) {
    if (value === null || LENGTH_KEYS.includes(key) || ["until", "temperature", "do_sample"].includes(key)) continue;
    const name = SAMPLING[key];
    if (name !== undefined) options[name] = number(key)!;
    else if (!(Object.hasOwn(NEUTRAL, key) && plain(value) === NEUTRAL[key])) {
      throw new QuernError(`generation_kwargs: ${key} is an option that Quern does not have`);
    }
  }
  return { tokens, temperature, stop: stopsOf(given.until), ...options };
}

function stopsOf(until: YamlValue | undefined): readonly string[] {
  const list = until === undefined || until === null ? [] : [until].flat();
  return list
    .map((stop) => {
      if (typeof stop !== "string") throw wrong("until", stop as YamlValue);
      return stop;
    })
    .filter((stop) => stop !== "");
}

const plain = (value: YamlValue): unknown => (value instanceof PythonFloat ? value.value : value);

function wrong(key: string, value: YamlValue): QuernError {
  return new QuernError(`generation_kwargs: ${key} cannot be ${JSON.stringify(value)}`);
}
