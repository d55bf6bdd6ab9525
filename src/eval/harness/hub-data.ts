/**
 * @file Finds the files of a task's data set on the hub as Hugging Face's datasets does: by the `configs` of its README, else in
 * the branch `refs/convert/parquet`, where the hub keeps every data set as Parquet, else by the names of its files.
 */
import { readFile } from "node:fs/promises";
import { type HubDataset, HubMissing, type HubOptions, openHubDataset } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { filePattern } from "./file-pattern.js";
import { isMapping, parsePythonYaml, type YamlMapping, type YamlValue } from "./python-yaml.js";

/** What a task file says about its data. */
export interface HubRequest {
  /** `dataset_path`. */
  readonly path: string;
  /** `dataset_name`, a configuration of the data set. */
  readonly name: string | null;
  readonly split: string;
  /** `revision` of `dataset_kwargs`. */
  readonly revision?: string;
  /** `data_files` of `dataset_kwargs`: patterns, or patterns by split. */
  readonly dataFiles?: unknown;
  readonly dataDir?: string;
}

/** Extensions of files that `readRowsOf` reads. */
const READABLE = /\.(?:parquet|jsonl|json|ndjson|csv|tsv)(?:\.gz|\.zst)?$/i;
const CONVERTED = "refs/convert/parquet";

/** The data sets of one run; each is looked up once. */
export class HubData {
  readonly #options: HubOptions;
  readonly #open = new Map<string, Promise<HubDataset>>();
  readonly #configs = new Map<HubDataset, Promise<readonly Config[]>>();

  constructor(options: HubOptions = {}) {
    this.#options = options;
  }

  /**
   * Returns the local paths of a split's files, in order; downloads those that are not in the cache.
   * @throws QuernError if the data set, configuration or split does not exist, or the hub cannot be reached
   */
  async filesOf(request: HubRequest): Promise<readonly string[]> {
    const { path, dataFiles, dataDir, revision } = request;
    const dataset = await this.#dataset(path, revision);
    const found = await this.#located(dataset, request, dataFiles, dataDir);
    return Promise.all(found.names.map((name) => found.dataset.fetch(name)));
  }

  /**
   * Returns the local path of a file, `hf://datasets/OWNER/NAME[@REVISION]/PATH`.
   * @throws QuernError if the address is not of this form, or there is no such file
   */
  async fileAt(address: string): Promise<string> {
    const found = /^hf:\/\/datasets\/([^/]+\/[^/@]+)(?:@([^/]+))?\/(.+)$/.exec(address);
    if (found === null) {
      throw new QuernError(`${quoted(address)} is not a file of a data set; write hf://datasets/OWNER/NAME/PATH`);
    }
    const dataset = await this.#dataset(found[1]!, found[2] === undefined ? undefined : decodeURIComponent(found[2]));
    return dataset.fetch(found[3]!);
  }

  #dataset(path: string, revision = "main"): Promise<HubDataset> {
    const key = `${path}@${revision}`;
    const known = this.#open.get(key) ?? openHubDataset(path, revision, this.#options);
    this.#open.set(key, known);
    return known;
  }

  async #located(
    dataset: HubDataset,
    request: HubRequest,
    dataFiles: unknown,
    dataDir: string | undefined,
  ): Promise<{ readonly dataset: HubDataset; readonly names: readonly string[] }> {
    const { path, split } = request;
    if (dataFiles !== undefined && dataFiles !== null) {
      const config = { name: "data_files", isDefault: true, splits: splitsOf(dataFiles, path), folder: dataDir ?? "" };
      return { dataset, names: namesIn(dataset, config, split, `the data_files of ${path}`) };
    }
    const known = this.#configs.get(dataset) ?? configsOf(dataset);
    this.#configs.set(dataset, known);
    const configs = await known;
    if (configs.length > 0) {
      const config = chosenConfig(configs, request);
      const names = namesIn(dataset, config, split, describe(request, config.name));
      if (names.every((name) => READABLE.test(name))) return { dataset, names };
    }
    let converted: HubDataset;
    try {
      converted = await this.#dataset(path, CONVERTED);
    } catch (error) {
      if (!(error instanceof HubMissing) || configs.length > 0) throw error;
      // Not converted: private, or new.
      const config = { name: "default", isDefault: true, splits: splitsByName(dataset), folder: "" };
      return { dataset, names: namesIn(dataset, chosenConfig([config], request), split, describe(request, null)) };
    }
    const all = convertedConfigs(converted);
    const config = chosenConfig(all, request);
    return { dataset: converted, names: namesIn(converted, config, split, describe(request, config.name)) };
  }
}

interface Config {
  readonly name: string;
  readonly isDefault: boolean;
  /** Patterns of files by split. */
  readonly splits: ReadonlyMap<string, readonly string[]>;
  /** The folder that the patterns are relative to; empty for the data set itself. */
  readonly folder: string;
}

const describe = ({ path }: HubRequest, config: string | null) =>
  `the data set ${path}${config === null || config === "default" ? "" : ` (${config})`}`;

/** Returns the configurations of the README; none if it has none. */
async function configsOf(dataset: HubDataset): Promise<readonly Config[]> {
  if (!dataset.files.some(({ name }) => name === "README.md")) return [];
  const text = (await readFile(await dataset.fetch("README.md"), "utf8")).replace(/\r\n/g, "\n");
  const front = /^---\n([\s\S]*?)\n---(?:\n|$)/.exec(text)?.[1];
  const head = front === undefined ? null : parsePythonYaml(`\n${front}`, `README.md of ${dataset.name}`);
  const listed = isMapping(head) ? (head.configs ?? []) : [];
  return ([listed].flat() as readonly YamlValue[]).flatMap((entry) => {
    const config = isMapping(entry) ? configOf(entry, dataset) : undefined;
    return config === undefined ? [] : [config];
  });
}

function configOf(entry: YamlMapping, dataset: HubDataset): Config | undefined {
  const { config_name: name, data_files: dataFiles, data_dir: dataDir, default: isDefault } = entry;
  if ((dataFiles ?? dataDir) === undefined) return undefined;
  const folder = typeof dataDir === "string" ? dataDir : "";
  const splits = dataFiles === undefined ? splitsByName(dataset, folder) : splitsOf(dataFiles, dataset.name);
  return { name: String(name ?? "default"), isDefault: isDefault === true, splits, folder };
}

/** Reads `data_files` of a README or a task file: a pattern, a list of them, or patterns by split. */
function splitsOf(dataFiles: unknown, where: string): ReadonlyMap<string, readonly string[]> {
  const wrong = new QuernError(`${where}: data_files must be patterns of files, or patterns by split`);
  const patterns = (value: unknown): readonly string[] => {
    const list = [value].flat();
    if (!list.every((each) => typeof each === "string")) throw wrong;
    return list;
  };
  if (isMapping(dataFiles)) {
    return new Map(Object.entries(dataFiles).map(([split, value]) => [split, patterns(value)]));
  }
  const list = [dataFiles].flat() as readonly unknown[];
  if (!list.some(isMapping)) return new Map([["train", patterns(list)]]);
  return new Map(
    list.map((each) => {
      if (!isMapping(each) || typeof each.split !== "string") throw wrong;
      return [each.split, patterns(each.path)];
    }),
  );
}

const KEYWORDS: Readonly<Record<string, string>> = {
  train: "train|training",
  validation: "validation|valid|dev|val",
  test: "test|testing|eval|evaluation",
};

/**
 * Finds splits by names: `data/SPLIT-00000-of-00002.…`, else by words in the names of folders, else of files. Without any, all
 * files are the split train.
 */
function splitsByName(dataset: HubDataset, folder = ""): ReadonlyMap<string, readonly string[]> {
  const start = folder === "" ? "" : `${folder.replace(/\/+$/, "")}/`;
  const names = dataset.files
    .map(({ name }) => name)
    .filter((name) => name.startsWith(start) && READABLE.test(name) && !/(?:^|\/)(?:\.|__)/.test(name))
    .map((name) => name.slice(start.length));
  const shards = grouped(names, (name) => /^data\/(.+)-\d{5}-of-\d{5}/.exec(name)?.[1]);
  if (shards.size > 0) return shards;
  const splitOf = (words: string): string | undefined =>
    Object.keys(KEYWORDS).find((split) =>
      new RegExp(`(?:^|[-._ 0-9])(?:${KEYWORDS[split]})(?:[-._ 0-9]|$)`).test(words),
    );
  const inFolders = grouped(names, (name) => name.split("/").slice(0, -1).map(splitOf).find(Boolean));
  if (inFolders.size > 0) return inFolders;
  const inNames = grouped(names, (name) => splitOf(name.slice(name.lastIndexOf("/") + 1)));
  return inNames.size > 0 ? inNames : new Map([["train", names]]);
}

function grouped(names: readonly string[], splitOf: (name: string) => string | undefined) {
  const splits = new Map<string, readonly string[]>();
  for (const name of names) {
    const split = splitOf(name);
    if (split !== undefined) splits.set(split, [...(splits.get(split) ?? []), name]);
  }
  return splits;
}

/** Reads the layout of the converted branch: `CONFIG/SPLIT/0000.parquet`. */
function convertedConfigs(dataset: HubDataset): readonly Config[] {
  const configs = new Map<string, Map<string, string[]>>();
  for (const { name } of dataset.files) {
    const found = /^([^/]+)\/([^/]+)\/\d+\.parquet$/.exec(name);
    if (found === null) continue;
    const [, config, split] = found as unknown as [string, string, string];
    const splits = configs.get(config) ?? new Map<string, string[]>();
    configs.set(config, splits);
    splits.set(split, [...(splits.get(split) ?? []), name]);
  }
  return [...configs].map(([name, splits]) => ({ name, isDefault: false, splits, folder: "" }));
}

function chosenConfig(configs: readonly Config[], { path, name }: HubRequest): Config {
  const found =
    name === null
      ? (configs.find(({ isDefault }) => isDefault) ??
        configs.find((each) => each.name === "default") ??
        (configs.length === 1 ? configs[0] : undefined))
      : configs.find((each) => each.name === name);
  if (found !== undefined) return found;
  const known = configs.map((each) => quoted(each.name));
  const list = `${known.slice(0, 20).join(", ")}${known.length > 20 ? ` and ${known.length - 20} more` : ""}`;
  if (name === null) throw new QuernError(`the data set ${path} needs a dataset_name: ${list}`);
  throw new QuernError(`the data set ${path} has no configuration ${quoted(name)}; it has ${list || "none"}`);
}

function namesIn(dataset: HubDataset, { splits, folder }: Config, split: string, what: string): readonly string[] {
  const patterns = splits.get(split);
  if (patterns === undefined) {
    const partial = splits.has(`partial-${split}`) ? "; the hub converted only a part of it to Parquet" : "";
    const known = [...splits.keys()].map(quoted).join(", ");
    throw new QuernError(`${what} has no split ${quoted(split)}; it has ${known || "none"}${partial}`);
  }
  const start = folder === "" ? "" : `${folder.replace(/^\.?\/+|\/+$/g, "")}/`;
  const names = new Set<string>();
  for (const pattern of patterns) {
    const regex = filePattern(start + pattern.replace(/^\.\//, ""));
    const matching = dataset.files.map(({ name }) => name).filter((name) => regex.test(name));
    if (matching.length === 0) throw new QuernError(`${what} has no file that matches ${quoted(pattern)}`);
    for (const name of matching.sort()) names.add(name);
  }
  return [...names];
}
