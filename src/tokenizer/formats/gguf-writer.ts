/**
 * @file Writes a tokenizer as GGUF metadata, `tokenizer.*`: byte-level BPE in the form that llama.cpp reads, with special ids and
 * chat templates. Settings that the format cannot store are errors or warnings.
 */
import { QuernError } from "../../errors.js";
import type { GgufEntry } from "../../model/index.js";
import { quoted } from "../../printable.js";
import { toByteLevel } from "../encode/byte-level.js";
import type { JsonObject, Tokenizer } from "../tokenizer.js";
import { TOKEN_TYPES } from "./gguf.js";
import { chooseGgufPreTokenizer } from "./gguf-pre-tokenizer-choice.js";
import { listMerges } from "./vocabulary.js";

export interface GgufTokenizerOptions {
  /** V, the rows of the model's embedding. Ids without a token become `[PADn]`. */
  readonly size: number;
  /** Ids that end a text, from the model's files. */
  readonly endOfText: readonly number[];
  /** Id that pads batches, from the model's configuration. */
  readonly padding?: number | null;
}

export interface GgufTokenizer {
  readonly entries: readonly GgufEntry[];
  /** What the format cannot store, or llama.cpp does differently; one sentence each. */
  readonly warnings: readonly string[];
}

/** Tokens that end a turn. Of several ids that end a text, such a one is the file's end of turn. */
const TURN_ENDS = /^<\|?(im_end|eot_id|eot|end|end_of_turn|endofturn|turn_end)\|?>$/;

/** @throws QuernError for a tokenizer that has no form in GGUF */
export async function tokenizerToGguf(tokenizer: Tokenizer, options: GgufTokenizerOptions): Promise<GgufTokenizer> {
  const { size } = options;
  const pre = await chooseGgufPreTokenizer(tokenizer);
  const warnings = [...pre.warnings];
  const roles = rolesOf(tokenizer, options, warnings);
  const texts = textsOf(tokenizer, size);
  const types = typesOf(tokenizer, size, [roles.bos, roles.eos, roles.eot, roles.eom]);
  warnings.push(...lostSettings(tokenizer, size));
  const ids = (
    [
      ["bos", roles.bos],
      ["eos", roles.eos],
      ["eot", roles.eot],
      ["eom", roles.eom],
      ["unknown", roles.unknown],
      ["seperator", roles.separator],
      ["padding", roles.padding],
      ["mask", roles.mask],
    ] as const
  ).flatMap(([role, id]): GgufEntry[] => (id === undefined ? [] : [[`tokenizer.ggml.${role}_token_id`, "u32", id]]));
  return {
    entries: [
      ["tokenizer.ggml.model", "string", "gpt2"],
      ["tokenizer.ggml.pre", "string", pre.name],
      ["tokenizer.ggml.tokens", "strings", texts],
      ["tokenizer.ggml.token_type", "i32s", types],
      ["tokenizer.ggml.merges", "strings", mergesOf(tokenizer)],
      ...ids,
      ["tokenizer.ggml.add_bos_token", "bool", roles.addsBos],
      ["tokenizer.ggml.add_eos_token", "bool", roles.addsEos],
      ...templatesOf(tokenizer.parts.config?.chat_template),
    ],
    warnings,
  };
}

interface Roles {
  readonly bos?: number;
  readonly eos?: number;
  /** Further tokens that end a text: of a turn, and of a message. */
  readonly eot?: number;
  readonly eom?: number;
  readonly unknown?: number;
  readonly separator?: number;
  readonly padding?: number;
  readonly mask?: number;
  readonly addsBos: boolean;
  readonly addsEos: boolean;
}

function rolesOf(tokenizer: Tokenizer, { size, endOfText, padding }: GgufTokenizerOptions, warnings: string[]): Roles {
  const { config, before = [], after = [] } = tokenizer.parts;
  const inModel = (id: number | undefined) => (id !== undefined && id < size && tokenizer.has(id) ? id : undefined);
  const special = new Set(tokenizer.special.values());
  const named = (key: string) => {
    const value = config?.[key];
    const content = typeof value === "object" && value !== null ? (value as JsonObject).content : value;
    const id = typeof content === "string" ? inModel(tokenizer.idOf(content)) : undefined;
    return id !== undefined && special.has(id) ? id : undefined;
  };
  const own = tokenizer.endOfText;
  const ends = [...new Set(endOfText.length > 0 ? endOfText : own === undefined ? [] : [own])].filter(
    (id) => inModel(id) !== undefined,
  );
  const eosName = named("eos_token");
  const eos = eosName !== undefined && ends.includes(eosName) ? eosName : ends.at(0);
  const rest = ends.filter((id) => id !== eos);
  const eot = rest.find((id) => TURN_ENDS.test(textOf(tokenizer, id)));
  const [eom, ...more] = rest.filter((id) => id !== eot);
  if (more.length > 0) {
    const names = more.map((id) => quoted(JSON.stringify(textOf(tokenizer, id)))).join(", ");
    warnings.push(`a GGUF file names at most three tokens that end a text; ${names} is left out`);
  }
  if (before.length > 1 || after.some((id) => id !== eos) || after.length > 1) {
    const added = [...before, ...after].map((id) => quoted(JSON.stringify(textOf(tokenizer, id)))).join(", ");
    throw new QuernError(
      `the tokenizer adds ${added} to each text, which a GGUF file cannot store: it may add one token before a text, and the ` +
        "end-of-text token after it",
    );
  }
  // As in GPT-2, the token that ends a text also begins one. llama.cpp would take token 11 for a missing one.
  const bos = before.at(0) ?? named("bos_token") ?? eos;
  if (eos === undefined) warnings.push("no token ends a text; llama.cpp takes token 11 for it");
  const pad = inModel(padding ?? undefined);
  return {
    ...{ bos, eos, eot, eom },
    unknown: named("unk_token"),
    separator: named("sep_token"),
    padding: named("pad_token") ?? (pad !== undefined && special.has(pad) ? pad : undefined),
    mask: named("mask_token"),
    addsBos: before.length === 1,
    addsEos: after.length === 1,
  };
}

/** Returns a token's text for messages and names. */
const textOf = (tokenizer: Tokenizer, id: number): string => Buffer.from(tokenizer.tokenBytes(id)).toString("utf8");

/** Returns the texts of all ids (V): those of the vocabulary in the byte-level alphabet, added tokens as they are. */
function textsOf(tokenizer: Tokenizer, size: number): string[] {
  const { model, plainKeys } = tokenizer.parts;
  const texts: (string | undefined)[] = Array.from({ length: size }, (_, id) =>
    model.tokens.has(id) ? (plainKeys?.get(id) ?? toByteLevel(model.tokens.get(id))) : undefined,
  );
  for (const { id, content } of tokenizer.added) if (id < size) texts[id] = content;
  const taken = new Set(texts);
  return texts.map((text, id) => {
    if (text !== undefined) return text;
    // Readers find gaps by this form. A vocabulary may have a token [PAD7], though.
    let number = id;
    while (taken.has(`[PAD${number}]`)) number += size;
    return `[PAD${number}]`;
  });
}

function typesOf(tokenizer: Tokenizer, size: number, roles: readonly (number | undefined)[]): Int32Array {
  const types = new Int32Array(size).fill(TOKEN_TYPES.unused);
  for (let id = 0; id < size; id++) if (tokenizer.has(id)) types[id] = TOKEN_TYPES.normal;
  for (const { id, special } of tokenizer.added) {
    if (id < size) types[id] = special ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined;
  }
  for (const id of roles) if (id !== undefined) types[id] = TOKEN_TYPES.control;
  return types;
}

/** Returns the merges by rank, `left right`. @throws QuernError if a merge needs an added token that is spelt differently */
function mergesOf(tokenizer: Tokenizer): string[] {
  const { model, plainKeys } = tokenizer.parts;
  const { left, right } = listMerges(model);
  const added = new Map(tokenizer.added.map(({ id, content }) => [id, content] as const));
  const keys = new Map<number, string>();
  const keyOf = (id: number): string => {
    const known = keys.get(id);
    if (known !== undefined) return known;
    const key = plainKeys?.get(id) ?? toByteLevel(model.tokens.get(id));
    if ((added.get(id) ?? key) !== key) {
      throw new QuernError(
        `the added token ${quoted(JSON.stringify(added.get(id)))} is also a part of merges, which a GGUF file cannot store`,
      );
    }
    keys.set(id, key);
    return key;
  };
  return Array.from(left, (id, rank) => `${keyOf(id)} ${keyOf(right[rank])}`);
}

/** Returns warnings about settings that are lost. */
function lostSettings(tokenizer: Tokenizer, size: number): string[] {
  const warnings: string[] = [];
  const flagged = tokenizer.added.filter(({ lstrip, rstrip, single_word }) => lstrip || rstrip || single_word);
  if (flagged.length > 0) {
    const { lstrip, rstrip, content } = flagged[0];
    const flag = lstrip ? "lstrip" : rstrip ? "rstrip" : "single_word";
    warnings.push(
      `the token ${quoted(JSON.stringify(content))} has the setting ${flag}, which a GGUF file cannot store` +
        `${flagged.length > 1 ? `; so have ${flagged.length - 1} more` : ""}`,
    );
  }
  const beyond = tokenizer.added.filter(({ id }) => id >= size);
  if (beyond.length > 0) {
    warnings.push(
      `the token ${quoted(JSON.stringify(beyond[0].content))} has id ${beyond[0].id}, but the model has ${size} tokens: it is left out` +
        `${beyond.length > 1 ? `, with ${beyond.length - 1} more` : ""}`,
    );
  }
  return warnings;
}

/** Returns the chat templates: `default`, and the others with the list of their names. */
function templatesOf(templates: unknown): GgufEntry[] {
  if (typeof templates === "string") return [["tokenizer.chat_template", "string", templates]];
  if (!Array.isArray(templates)) return [];
  const others = templates.filter(({ name }) => name !== "default");
  const main = templates.find(({ name }) => name === "default");
  return [
    ...(main === undefined ? [] : [["tokenizer.chat_template", "string", main.template] as const]),
    ...(others.length === 0 ? [] : [["tokenizer.chat_templates", "strings", others.map(({ name }) => name)] as const]),
    ...others.map(({ name, template }): GgufEntry => [`tokenizer.chat_template.${name}`, "string", template]),
  ];
}
