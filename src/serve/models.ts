/** @file The models of a server: each is loaded when a request first uses it, and unloaded when none has for a while. */
import { stat } from "node:fs/promises";
import { basename, extname, resolve } from "node:path";
import { type CompileOptions, freeMemory } from "../backends/index.js";
import { QuernError } from "../errors.js";
import {
  bytesPerSlot,
  checkKvDtype,
  createDecoder,
  createEmbedder,
  type Decoder,
  type Embedder,
  endOfTurn,
  type ModelPrograms,
  modelPrograms,
  openAdapterPrograms,
  openTextModel,
  type TextModel,
  type TypedWeights,
  typedWeights,
  type WeightType,
} from "../infer/index.js";
import { adapterBase, findModel, isAdapter, type KvDType, type ModelConfig, type StoredModel } from "../model/index.js";
import type { Tokenizer } from "../tokenizer/index.js";
import { ApiError } from "./errors.js";

export interface ModelInfo {
  readonly id: string;
  /** Seconds since 1970: when its folder or file last changed. */
  readonly created: number;
  /** Longest text in tokens, prompt and answer. */
  readonly context: number;
  /** Of an adapter, the id of its base. */
  readonly parent?: string;
  /** Whether it can chat. */
  readonly hasChatTemplate: boolean;
}

/** A model in memory. */
export interface LoadedModel extends ModelInfo {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** Ids that end a text, and those that end an answer of a conversation. */
  readonly endOfText: readonly number[];
  readonly endOfAnswer: readonly number[];
  /** Ids before a text; empty if the model has none. */
  readonly beginning: readonly number[];
  readonly decoder: Decoder;
  readonly embedder: Embedder;
}

export interface Lease {
  readonly model: LoadedModel;
  /** Ends the use; a model in use is never unloaded. */
  release(): void;
}

export interface Models {
  readonly list: readonly ModelInfo[];
  /** Loads a model if it is not in memory. Without an id it is the server's only model. @throws ApiError for an unknown id */
  use(id: string | null | undefined): Promise<Lease>;
  isLoaded(id: string): boolean;
  /** Unloads all models; requests that still run reject. */
  close(): Promise<void>;
}

export interface ModelsOptions {
  /** Each PATH or NAME=PATH. */
  readonly model: readonly string[];
  /** Each NAME=DIR. */
  readonly adapter: readonly string[];
  readonly slots: number;
  /** Longest text in tokens; undefined is the model's, or as much as fits the memory. */
  readonly context?: number;
  /** Seconds; 0 never unloads. */
  readonly idle: number;
  readonly threads?: number;
  /** How matrices are stored in memory; by default as in a .gguf file, else f32. */
  readonly weights?: WeightType;
  readonly kvDtype: KvDType;
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly onWarning: (warning: string) => void;
}

/** A model that can be loaded. */
interface Source extends ModelInfo {
  readonly path: string;
  readonly adapter?: string;
}

interface Entry {
  readonly source: Source;
  loading: Promise<Opened> | null;
  users: number;
  timer: NodeJS.Timeout | null;
}

interface Opened {
  readonly model: LoadedModel;
  readonly programs: ModelPrograms;
  close(): Promise<void>;
}

/**
 * Checks every model and adapter, without reading weights.
 * @throws QuernError for a path without a model, two models with one name, or an adapter whose base is not served
 */
export async function createModels(options: ModelsOptions): Promise<Models> {
  const sources = await sourcesOf(options);
  const entries = new Map(
    sources.map((source): [string, Entry] => {
      return [source.id, { source, loading: null, users: 0, timer: null }];
    }),
  );
  const bases = sources.filter(({ adapter }) => adapter === undefined);
  let isClosed = false;

  const acquire = async (entry: Entry): Promise<{ readonly opened: Opened; readonly release: () => void }> => {
    entry.users += 1;
    if (entry.timer !== null) clearTimeout(entry.timer);
    entry.timer = null;
    let isReleased = false;
    const release = () => {
      if (!isReleased) leave(entry);
      isReleased = true;
    };
    entry.loading ??= open(entry.source);
    const { loading } = entry;
    try {
      return { opened: await loading, release };
    } catch (error) {
      if (entry.loading === loading) entry.loading = null; // the next request tries again
      release();
      throw error;
    }
  };

  /** An adapter uses its base, which so stays in memory. */
  const open = async ({ adapter, parent, ...source }: Source): Promise<Opened> => {
    const base = adapter === undefined ? undefined : entries.get(parent ?? "");
    if (adapter === undefined || base === undefined) return load({ ...source, parent }, options);
    const { opened, release } = await acquire(base);
    try {
      const own = await loadAdapter({ ...source, parent, adapter }, opened, options);
      return { ...own, close: () => own.close().finally(release) };
    } catch (error) {
      release();
      throw error;
    }
  };

  const unload = async (entry: Entry) => {
    if (entry.timer !== null) clearTimeout(entry.timer);
    const { loading } = entry;
    entry.loading = null;
    entry.timer = null;
    const opened = await loading?.catch(() => null);
    await opened?.close();
  };

  const leave = (entry: Entry) => {
    entry.users -= 1;
    if (entry.users > 0 || isClosed || options.idle === 0) return;
    entry.timer = setTimeout(() => void unload(entry), options.idle * 1000);
    entry.timer.unref();
  };

  return {
    list: sources,
    isLoaded: (id) => entries.get(id)?.loading != null,
    async use(id) {
      const entry = entries.get(id ?? (bases.length === 1 ? bases[0].id : ""));
      if (entry === undefined) throw unknownModel(id, sources);
      const { opened, release } = await acquire(entry);
      return { model: opened.model, release };
    },
    async close() {
      isClosed = true;
      // Adapters first: each closes its programs before its base's.
      const all = [...entries.values()];
      await Promise.all(all.filter(({ source }) => source.adapter !== undefined).map(unload));
      await Promise.all(all.map(unload));
    },
  };
}

function unknownModel(id: string | null | undefined, sources: readonly Source[]): ApiError {
  const names = sources.map((source) => source.id).join(", ");
  if (id === undefined || id === null) {
    return new ApiError(400, `model is missing; this server has ${names}`, {
      param: "model",
      code: "missing_required_parameter",
    });
  }
  return new ApiError(404, `the model ${JSON.stringify(id)} does not exist; this server has ${names}`, {
    param: "model",
    code: "model_not_found",
  });
}

async function sourcesOf(options: ModelsOptions): Promise<Source[]> {
  const sources: Source[] = [];
  const add = async (id: string, path: string, adapter?: string, parent?: string) => {
    if (sources.some((source) => source.id === id)) {
      throw new QuernError(`two models are named ${id}; name one of them with NAME=PATH`, { exitCode: 2 });
    }
    const found = adapter ?? (await findModel(path));
    const opened = await openTextModel(path, { adapter });
    try {
      for (const warning of opened.model.warnings) options.onWarning(warning);
      if (adapter === undefined) weightsOf(opened.model, options);
      checkKvDtype(opened.model.config, options.kvDtype);
      const hasChatTemplate = opened.tokenizer.parts.config?.chat_template !== undefined;
      const created = Math.floor((await stat(found)).mtimeMs / 1000);
      const context = contextOf(opened.model.config, id, options);
      sources.push({ id, path, adapter, created, context, parent, hasChatTemplate });
    } finally {
      await opened.close();
    }
  };
  for (const given of options.model) {
    const { name, path } = await namedPath(given);
    await add(name, path);
  }
  const bases = [...sources];
  for (const given of options.adapter) {
    const at = given.indexOf("=");
    const [name, folder] = [given.slice(0, at), given.slice(at + 1)];
    if (!(await isAdapter(folder))) {
      throw new QuernError(`${folder} is no LoRA adapter: it has no adapter_config.json`, { exitCode: 2 });
    }
    const base = await baseOf(folder, bases);
    await add(name, base.path, folder, base.id);
  }
  return sources;
}

/** Finds the model that an adapter adapts; if only one is served, it is that one. */
async function baseOf(folder: string, bases: readonly Source[]): Promise<Source> {
  if (bases.length === 1) return bases[0];
  const named = await adapterBase(folder);
  const wanted = named === null ? null : await findModel(named).catch(() => null);
  for (const base of bases) if (wanted !== null && resolve(await findModel(base.path)) === resolve(wanted)) return base;
  throw new QuernError(
    `${folder} is an adapter of ${named ?? "an unknown model"}, which is not served; add it with --model`,
    {
      exitCode: 2,
    },
  );
}

/** Splits NAME=PATH; without a name it is that of the folder, or of the file without its extension. */
async function namedPath(given: string): Promise<{ readonly name: string; readonly path: string }> {
  const [, name, path] = /^([^/\\=]+)=(.+)$/.exec(given) ?? [];
  const isPath = await stat(given).then(
    () => true,
    () => false,
  );
  if (name !== undefined && !isPath) return { name, path };
  const last = basename(given.startsWith("hf://") ? given.replace(/@[^/]*/, "") : resolve(given));
  return { name: /^\.gguf$/i.test(extname(last)) ? last.slice(0, -".gguf".length) : last, path: given };
}

const SHORTEST = 256;

/** The longest text: as wanted, at most the model's; by default what half of the free memory holds for all slots. */
function contextOf(config: ModelConfig, id: string, { context, slots, kvDtype, onWarning }: ModelsOptions): number {
  if (context !== undefined && context > config.sequence) {
    throw new QuernError(`--context is ${context}, but the context of ${id} is ${config.sequence}`, { exitCode: 2 });
  }
  if (context !== undefined) return context;
  let fitting = config.sequence;
  while (fitting > SHORTEST && slots * bytesPerSlot(config, fitting, kvDtype) > freeMemory() / 2)
    fitting = Math.ceil(fitting / 2);
  if (fitting < config.sequence) {
    onWarning(
      `${id}: the context is ${fitting} of ${config.sequence} tokens, what half of the free memory holds for ${slots} slots; ` +
        "--context sets it; fewer --slots or --kv-dtype f16 leave more",
    );
  }
  return fitting;
}

async function load({ path, ...info }: Source, options: ModelsOptions): Promise<Opened> {
  const text = await openTextModel(path);
  try {
    const { threads, target } = options;
    const { types, source } = weightsOf(text.model, options);
    const programs = modelPrograms(text.model.config, source, { ...target, types, cpu: { threads, ...target?.cpu } });
    return await openWith(text, programs, info, options, () => text.close());
  } catch (error) {
    await text.close();
    throw error;
  }
}

/** @throws QuernError if the weights cannot be stored as wanted */
function weightsOf(model: StoredModel, { weights }: Pick<ModelsOptions, "weights">): TypedWeights {
  return typedWeights(model, weights ?? (model.storedType === undefined ? "f32" : "stored"));
}

/** Loads an adapter beside its base, whose weights it shares. The tokenizer is the adapter's own if it has one. */
async function loadAdapter(
  { path, adapter, ...info }: Source & { readonly adapter: string },
  base: Opened,
  options: ModelsOptions,
): Promise<Opened> {
  const text = await openTextModel(path, { adapter });
  try {
    const { programs, close } = await openAdapterPrograms(adapter, text.model.config, base.programs);
    return await openWith(text, programs, info, options, close);
  } finally {
    await text.close(); // its weights are the base's
  }
}

async function openWith(
  { model: { config, readParameter }, tokenizer, endOfText, beginning }: TextModel,
  programs: ModelPrograms,
  info: ModelInfo,
  { slots, kvDtype }: Pick<ModelsOptions, "slots" | "kvDtype">,
  close: () => Promise<void>,
): Promise<Opened> {
  const sequence = info.context;
  const endOfAnswer = info.hasChatTemplate ? [...endOfText, ...(await endOfTurn(tokenizer))] : endOfText;
  const decoder = createDecoder(config, readParameter, { programs, slots, sequence, kvDtype, keepAnswers: true });
  const embedder = createEmbedder(config, readParameter, { programs, sequence });
  return {
    model: { ...info, config, tokenizer, endOfText, endOfAnswer, beginning, decoder, embedder },
    programs,
    async close() {
      decoder.dispose();
      embedder.dispose();
      await close();
    },
  };
}
