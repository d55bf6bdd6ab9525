/**
 * @file The chat template of a run: the model's own, one of these by name, or a Jinja file. A base model gets ChatML. The
 * tokens that a template needs are added to the tokenizer, and the model's tables get a row for each (`model-tables.ts`).
 */
import { readFile } from "node:fs/promises";
import { fileError, QuernError } from "../../errors.js";
import { nearest } from "../../options.js";
import {
  type AddedToken,
  type JsonObject,
  type Tokenizer,
  tokenizerFromJson,
  tokenizerToJson,
} from "../../tokenizer/index.js";

interface ChatFormat {
  readonly template: string;
  /** Special tokens of the template, which become one id each. */
  readonly special: readonly string[];
  /** The token that ends an answer. */
  readonly endOfTurn: string;
}

const answer = (end: string) => `{% generation %}{{ message['content'] }}${end}{% endgeneration %}`;

/** Each template marks what the assistant says. */
export const CHAT_FORMATS: Readonly<Record<string, ChatFormat>> = {
  chatml: {
    template:
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}" +
      `{% if message['role'] == 'assistant' %}${answer("<|im_end|>")}{{ '\\n' }}` +
      "{% else %}{{ message['content'] + '<|im_end|>\\n' }}{% endif %}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    special: ["<|im_start|>", "<|im_end|>"],
    endOfTurn: "<|im_end|>",
  },
  zephyr: {
    template:
      "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' }}" +
      `{% if message['role'] == 'assistant' %}${answer("<|endoftext|>")}{{ '\\n' }}` +
      "{% else %}{{ message['content'] + '<|endoftext|>\\n' }}{% endif %}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
    special: ["<|endoftext|>"],
    endOfTurn: "<|endoftext|>",
  },
  alpaca: {
    template:
      "{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}" +
      "{% elif message['role'] == 'user' %}{{ '### Instruction:\\n' + message['content'] + '\\n\\n' }}" +
      `{% else %}{{ '### Response:\\n' }}${answer("<|endoftext|>")}{{ '\\n\\n' }}{% endif %}{% endfor %}` +
      "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}",
    special: ["<|endoftext|>"],
    endOfTurn: "<|endoftext|>",
  },
};

export interface ChatTokenizer {
  readonly tokenizer: Tokenizer;
  /** Tokens that were added for the template. */
  readonly added: readonly { readonly id: number; readonly content: string }[];
  /** Name or file of the template; null for the model's own, or none. */
  readonly template: string | null;
}

/**
 * Returns the tokenizer with the chat template of a run.
 * @param choice name or file of a template; undefined for the model's own, or ChatML if it has none and `isChat`
 * @param isChat whether the data has conversations
 * @throws QuernError for an unknown name, or a file that cannot be read
 */
export async function withTemplate(
  tokenizer: Tokenizer,
  choice: string | undefined,
  isChat: boolean,
): Promise<ChatTokenizer> {
  const own = tokenizer.parts.config?.chat_template;
  if (choice === undefined && (own !== undefined || !isChat)) return { tokenizer, added: [], template: null };
  const name = choice ?? "chatml";
  const format = Object.hasOwn(CHAT_FORMATS, name) ? CHAT_FORMATS[name] : null;
  const template = format?.template ?? (await readTemplate(name));
  const missing = (format?.special ?? []).filter((content) => tokenizer.idOf(content) === undefined);
  const added = missing.map((content, i) => ({ id: tokenizer.vocabSize + i, content }));
  const config = { ...tokenizer.parts.config, chat_template: template, ...(format && { eos_token: format.endOfTurn }) };
  return { tokenizer: await withTokens(tokenizer, added, config), added, template: name };
}

async function readTemplate(path: string): Promise<string> {
  if (!/[./\\]/.test(path)) {
    const near = nearest(path, Object.keys(CHAT_FORMATS));
    throw new QuernError(
      `there is no chat template "${path}"; did you mean "${near}"? Known are ${Object.keys(CHAT_FORMATS).join(", ")}, ` +
        "or give a Jinja file",
      { exitCode: 2 },
    );
  }
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw fileError(error, "read", path);
  }
}

/** The tokenizer with further special tokens and another configuration. */
async function withTokens(
  tokenizer: Tokenizer,
  tokens: ChatTokenizer["added"],
  config: JsonObject,
): Promise<Tokenizer> {
  const json = JSON.parse(tokenizerToJson(tokenizer)) as JsonObject;
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const added = tokens.map((token): AddedToken => ({ ...token, ...flags }));
  return tokenizerFromJson({ ...json, added_tokens: [...tokenizer.added, ...added] }, config);
}

/**
 * The token that ends a completion: `eos_token` of the tokenizer's configuration, as other programs read it, otherwise the
 * end of the text.
 */
export function endOfCompletion(tokenizer: Tokenizer): number | undefined {
  const eos = tokenizer.parts.config?.eos_token as string | JsonObject | null | undefined;
  const content = typeof eos === "string" ? eos : eos?.content;
  return (typeof content === "string" ? tokenizer.idOf(content) : undefined) ?? tokenizer.endOfText;
}
