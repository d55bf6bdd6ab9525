/** @file What judges that read a prompt share: the template, the parser, and reading a completion of several pairs. */
import { show } from "../../../options.js";
import type { CompletionParser } from "../parsers.js";
import type { StoredCompletion } from "./completion-cache.js";
import { dropped, type Judgement, type ShownPair } from "./judge.js";
import type { PromptTemplate } from "./prompt-template.js";

/** The prompt for a judge, and the parser of its answer. */
export interface Asking {
  readonly template: PromptTemplate;
  readonly parser: CompletionParser;
  readonly parserName: string;
  readonly parserSettings: Readonly<Record<string, unknown>>;
  /** Maximum tokens of a completion. */
  readonly tokens: number;
}

/** What the judgements of a prompt depend on, for their keys. */
export const identityOfAsking = ({ template, parserName, parserSettings, tokens }: Asking) =>
  [template.messages, template.pairs, parserName, parserSettings, tokens] as const;

/** Reads the completion of a prompt. Tokens and seconds are shared by the prompt's pairs. */
export function judgementsOf(
  pairs: readonly ShownPair[],
  { template, parser }: Asking,
  { completion, seconds, cached }: { completion: StoredCompletion; seconds: number; cached: boolean },
): Judgement[] {
  const { text, logprobs, prompt_tokens, completion_tokens } = completion;
  const share = (tokens: number | null) => (tokens === null ? null : tokens / pairs.length);
  const cost = {
    promptTokens: share(prompt_tokens),
    completionTokens: share(completion_tokens),
    seconds: seconds / pairs.length,
    cached,
  };
  const raw = { text, ...(logprobs !== undefined && { logprobs }) };
  const preferences = parser(raw);
  if (preferences.length !== template.pairs) {
    const what = `${preferences.length} preferences instead of ${template.pairs} in ${show(text)}`;
    return pairs.map(() => dropped("unreadable", what, cost, raw));
  }
  return pairs.map((_, i) => {
    const preference = preferences[i];
    if (preference !== null) return { preference, drop: null, raw, ...cost };
    const end = completion.finish_reason === "length" && template.pairs === 1 ? ", cut at its maximum of tokens" : "";
    const what = text === "" ? "an empty answer" : show(text);
    return dropped("unreadable", `${what}${end}`, cost, raw);
  });
}
