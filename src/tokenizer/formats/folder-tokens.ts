/**
 * @file Merges the tokens of tokenizer_config.json, special_tokens_map.json and added_tokens.json into tokenizer.json, as
 * transformers does. A new token gets the next id.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import type { AddedToken } from "../encode/added-tokens.js";
import type { JsonObject } from "../tokenizer.js";

export interface FolderFiles {
  readonly config?: unknown;
  readonly specialTokensMap?: unknown;
  readonly addedTokens?: unknown;
}

/** Names of special tokens, in the order in which transformers adds them. Other names that end in `_token` follow. */
const NAMED = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/**
 * Returns tokenizer.json with the tokens that the other files of its folder add or change, and tokenizer_config.json with
 * the entries of special_tokens_map.json.
 * @throws QuernError if a file is malformed, or declares an id that the token does not get
 */
export function withFolderTokens(
  root: JsonObject,
  files: FolderFiles,
): { readonly json: JsonObject; readonly config: JsonObject | undefined } {
  let config = files.config === undefined ? undefined : object(files.config, "tokenizer_config.json");
  const vocab = (root.model as JsonObject | undefined)?.vocab;
  const known = Array.isArray(root.added_tokens) ? (root.added_tokens as readonly unknown[]) : [];
  // `tokenizerFromJson` reports a malformed tokenizer.json.
  if (typeof vocab !== "object" || vocab === null || !known.every(isToken)) return { json: root, config };
  const tokens = new Map<string, AddedToken>(known.map((token) => [token.content, token]));
  let isChanged = false;

  const idOf = (content: string): number => {
    const own = tokens.get(content)?.id ?? (Object.hasOwn(vocab, content) ? (vocab as JsonObject)[content] : undefined);
    if (typeof own === "number") return own;
    let next = Object.keys(vocab).length;
    for (const { id } of tokens.values()) next = Math.max(next, id + 1);
    return next;
  };
  const add = (token: Omit<AddedToken, "id">, file: string, declared?: number): void => {
    const id = idOf(token.content);
    if (declared !== undefined && declared !== id) {
      throw new QuernError(
        `${file} gives the token ${shown(token.content)} the id ${declared}, but tokenizer.json gives it ${id}; make the two agree`,
      );
    }
    tokens.set(token.content, { ...token, id });
    isChanged = true;
  };

  const declared = config?.added_tokens_decoder;
  if (declared !== undefined && declared !== null) {
    const file = "added_tokens_decoder of tokenizer_config.json";
    const entries = Object.entries(object(declared, file)).map(
      ([id, token]) => [Number(id), tokenOf(token, file)] as const,
    );
    for (const [id, token] of entries.sort(([a], [b]) => a - b)) {
      const before = tokens.get(token.content);
      // A token that is special in tokenizer.json stays special.
      const whole = { ...token, special: token.special || before?.special === true };
      if (before === undefined || before.id !== id || !isSame(before, whole)) add(whole, file, id);
    }
  } else {
    if (files.specialTokensMap !== undefined) {
      const map = object(files.specialTokensMap, "special_tokens_map.json");
      config = { ...config, ...map, ...extraOfBoth(config, map) };
    }
    if (files.addedTokens !== undefined) {
      const named = new Set([
        ...NAMED.map((name) => contentOf(config?.[name])),
        ...extraTokens(config).map(({ content }) => content),
      ]);
      const entries = Object.entries(object(files.addedTokens, "added_tokens.json"));
      for (const [content, id] of entries.sort(([, a], [, b]) => Number(a) - Number(b))) {
        if (!Number.isInteger(id))
          throw new QuernError(`added_tokens.json gives ${shown(content)} an id that is not an integer`);
        if (tokens.has(content)) continue;
        const special = named.has(content);
        add({ ...PLAIN, content, normalized: !special, special }, "added_tokens.json", id as number);
      }
    }
  }

  // Without a pad_token in the other files, transformers uses the one of tokenizer.json's padding settings.
  const padding = root.padding as JsonObject | null | undefined;
  if (config !== undefined && config.pad_token === undefined && typeof padding?.pad_token === "string") {
    config = { ...config, pad_token: padding.pad_token };
  }

  const names = [
    ...NAMED,
    ...Object.keys(config ?? {}).filter((key) => key.endsWith("_token") && !NAMED.includes(key)),
  ];
  const extra = config?.extra_special_tokens;
  const isNamed = typeof extra === "object" && extra !== null && !Array.isArray(extra);
  for (const value of [...names.map((name) => config?.[name]), ...(isNamed ? Object.values(extra) : [])]) {
    const content = contentOf(value);
    if (content === undefined || content === "") continue;
    const before = tokens.get(content);
    if (before === undefined) add(specialOf(value, content), "tokenizer_config.json");
    else if (!before.special) add({ ...before, special: true }, "tokenizer_config.json");
  }
  for (const token of extraTokens(config)) if (!tokens.has(token.content)) add(token, "tokenizer_config.json");
  return {
    json: isChanged ? { ...root, added_tokens: [...tokens.values()].sort((a, b) => a.id - b.id) } : root,
    config,
  };
}

const PLAIN = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true } as const;
const FLAGS = ["single_word", "lstrip", "rstrip", "normalized", "special"] as const;

function isToken(value: unknown): value is AddedToken {
  const token = value as Partial<AddedToken> | null;
  return typeof token === "object" && typeof token?.content === "string" && typeof token.id === "number";
}

function isSame(a: Omit<AddedToken, "id">, b: Omit<AddedToken, "id">): boolean {
  return FLAGS.every((flag) => (a[flag] ?? false) === b[flag]);
}

/** Reads an entry of added_tokens_decoder, with transformers' defaults for missing flags. */
function tokenOf(value: unknown, file: string): Omit<AddedToken, "id"> {
  const token = object(value, `a token in ${file}`);
  if (typeof token.content !== "string" || token.content === "")
    throw new QuernError(`a token in ${file} has no content`);
  const flag = (name: (typeof FLAGS)[number], fallback: boolean): boolean => {
    const set = token[name] ?? fallback;
    if (typeof set === "boolean") return set;
    throw new QuernError(`the token ${shown(token.content as string)} in ${file}: ${name} must be true or false`);
  };
  const special = flag("special", false);
  return {
    content: token.content,
    single_word: flag("single_word", false),
    lstrip: flag("lstrip", false),
    rstrip: flag("rstrip", false),
    normalized: flag("normalized", !special),
    special,
  };
}

function specialOf(value: unknown, content: string): Omit<AddedToken, "id"> {
  if (typeof value === "string") return { ...PLAIN, content };
  return tokenOf({ ...(value as JsonObject), special: true }, "tokenizer_config.json");
}

/**
 * Merges the unnamed special tokens of tokenizer_config.json and special_tokens_map.json. The lists are joined if the latter
 * uses the key `extra_special_tokens`. Under the older key `additional_special_tokens`, its list is replaced by the former's.
 */
function extraOfBoth(config: JsonObject | undefined, map: JsonObject): JsonObject {
  const named = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);
  const own = [config?.extra_special_tokens, config?.additional_special_tokens].filter(
    (list) => list !== undefined && !named(list),
  );
  const lists = own.filter((list) => Array.isArray(list) && list.length > 0);
  const first = lists[0] ?? own[0];
  if (Array.isArray(map.extra_special_tokens)) {
    return {
      extra_special_tokens: [first ?? [], map.extra_special_tokens].flat(),
      additional_special_tokens: undefined,
    };
  }
  return first === undefined ? {} : { extra_special_tokens: first, additional_special_tokens: undefined };
}

/** Returns the unnamed special tokens: extra_special_tokens, formerly called additional_special_tokens. */
function extraTokens(config: JsonObject | undefined): readonly Omit<AddedToken, "id">[] {
  const extra = config?.extra_special_tokens;
  const list = Array.isArray(extra) && extra.length > 0 ? extra : config?.additional_special_tokens;
  if (!Array.isArray(list)) return [];
  return list.flatMap((value: unknown) => {
    const content = contentOf(value);
    return content === undefined || content === "" ? [] : [specialOf(value, content)];
  });
}

function contentOf(value: unknown): string | undefined {
  const content = typeof value === "object" && value !== null ? (value as JsonObject).content : value;
  return typeof content === "string" ? content : undefined;
}

function object(value: unknown, what: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new QuernError(`${what} is not a JSON object`);
}

function shown(token: string): string {
  return `"${quoted(token.length > 60 ? `${token.slice(0, 60)}…` : token)}"`;
}
