/** @file Reads the annotator configurations of AlpacaEval: `configs.yaml` with a prompt template beside it. */
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileError, QuernError } from "../../../errors.js";
import { nearest, show } from "../../../options.js";
import { PythonFloat } from "../../../tokenizer/index.js";
import { parsePythonYaml } from "../../harness/python-yaml.js";
import { type CompletionParser, completionParser } from "../parsers.js";
import { type PromptTemplate, parseTemplate } from "./prompt-template.js";

export interface AnnotatorConfig {
  readonly name: string;
  readonly template: PromptTemplate;
  readonly parser: CompletionParser;
  readonly parserName: string;
  readonly parserSettings: Readonly<Record<string, unknown>>;
  /** AlpacaEval's function that asks the model, such as `openai_completions`. */
  readonly asks: string;
  /** The judging model's name, `completions_kwargs.model_name`. */
  readonly model: string | undefined;
  /** Address that the configuration names; undefined for most. */
  readonly url: string | undefined;
  /** Fields of the request, such as `max_tokens` and `top_logprobs`. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Requests at the same time, if the configuration limits them. */
  readonly concurrency: number | undefined;
  readonly requestsPerMinute: number | undefined;
  /** Names of ignored settings, for a warning. */
  readonly ignored: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

const KEYS = [
  ...["prompt_template", "fn_completions", "completions_kwargs", "fn_completion_parser", "completion_parser_kwargs"],
  ...["completion_key", "batch_size", "is_randomize_output_order", "is_shuffle", "seed", "random_seed_keys"],
  ...["is_store_missing_annotations", "annotation_column", "annotation_type", "annotator_column", "primary_keys"],
  ...["is_store_raw_completions", "processors_to_kwargs", "is_add_default_processors", "is_reapply_parsing"],
  ...["other_output_keys_to_keep", "packages_for_which_to_show_version", "default_keys"],
];
/** Settings that Quern has its own options for, or that only concern AlpacaEval's tables. */
const IGNORED = ["is_randomize_output_order", "is_shuffle", "seed", "random_seed_keys", "default_keys"];
/** Processors that AlpacaEval adds itself, and whose work Quern does too. */
const PROCESSORS = ["RandomSwitchTwoColumnsProcessor", "PaddingForBatchesProcessor"];
/** Arguments of AlpacaEval's own functions, which are not part of a request. */
const NOT_SENT = [
  ...["model_name", "num_procs", "batch_size", "requests_per_minute", "requires_chatml", "client_config_path"],
  ...["openai_api_base", "base_url", "openai_organization_ids", "openai_api_keys", "price_per_token", "is_strip"],
  ...["client_kwargs", "n_retries", "sleep_time", "max_retries"],
];

/** Returns the file of a configuration that `path` names (a file, or a folder with `configs.yaml`); undefined if it names none. */
export async function findAnnotatorConfig(path: string): Promise<string | undefined> {
  const [file] = path.split("#");
  if (/\.ya?ml$/i.test(file)) return file;
  const inside = join(file, "configs.yaml");
  const found = await stat(inside).catch(() => undefined);
  return found?.isFile() ? inside : undefined;
}

/**
 * Loads a configuration.
 * @param path `configs.yaml`, or a folder that contains it; `#NAME` chooses one of several
 * @param prompt a template that replaces the configuration's
 * @throws QuernError with the file and key: an unknown key, a missing template, a wrong parser
 */
export async function loadAnnotatorConfig(path: string, prompt?: string): Promise<AnnotatorConfig> {
  const file = await findAnnotatorConfig(path);
  if (file === undefined) throw new QuernError(`${path} has no configs.yaml`, { exitCode: 2 });
  const all = plain(parsePythonYaml(await readText(file), file));
  const name = chosenName(all, file, path.includes("#") ? path.slice(path.indexOf("#") + 1) : undefined);
  const config = (all as Readonly<Record<string, Fields>>)[name];
  if (!isFields(config)) throw new QuernError(`${name} in ${file} must be a mapping, not ${show(config)}`);
  const unknown = Object.keys(config).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    throw new QuernError(`${name} in ${file} has the unknown key ${unknown}; did you mean ${nearest(unknown, KEYS)}?`);
  }
  const wrong = (key: string, what: string) =>
    new QuernError(`${key} of ${name} in ${file} must be ${what}, not ${show(config[key])}`);
  const mapping = (key: string): Fields => {
    const value = config[key] ?? {};
    if (!isFields(value)) throw wrong(key, "a mapping");
    return value;
  };
  const processor = Object.keys(mapping("processors_to_kwargs")).find((each) => !PROCESSORS.includes(each));
  if (processor !== undefined) throw new QuernError(`${name} in ${file} needs ${processor}, which Quern does not have`);
  const batch = config.batch_size ?? 1;
  if (!Number.isInteger(batch) || (batch as number) < 1) throw wrong("batch_size", "a whole number of at least 1");
  const parserName = config.fn_completion_parser ?? "regex_parser";
  if (typeof parserName !== "string") throw wrong("fn_completion_parser", "a parser's name");
  const asks = config.fn_completions ?? "openai_completions";
  if (typeof asks !== "string") throw wrong("fn_completions", "a function's name");
  const given = mapping("completions_kwargs");
  const { model_name: model, requests_per_minute: perMinute, num_procs: processes } = given;
  const url = given.base_url ?? given.openai_api_base;
  const parserSettings = mapping("completion_parser_kwargs");
  return {
    name,
    template:
      prompt === undefined
        ? await readTemplate(config.prompt_template, file, name, batch as number)
        : parseTemplate(await readText(prompt), prompt, batch as number),
    parser: completionParser(parserName, parserSettings),
    ...{ parserName, parserSettings, asks },
    model: typeof model === "string" ? model : undefined,
    url: typeof url === "string" ? url : undefined,
    parameters: Object.fromEntries(Object.entries(given).filter(([key]) => !NOT_SENT.includes(key))),
    concurrency: typeof processes === "number" ? processes : undefined,
    requestsPerMinute: typeof perMinute === "number" ? perMinute : undefined,
    ignored: Object.keys(config).filter((key) => IGNORED.includes(key)),
  };
}

function chosenName(all: unknown, file: string, wanted: string | undefined): string {
  if (!isFields(all) || Object.keys(all).length === 0) {
    throw new QuernError(`${file} must map an annotator's name to its configuration`);
  }
  const names = Object.keys(all);
  if (wanted !== undefined) {
    if (names.includes(wanted)) return wanted;
    throw new QuernError(`${file} has no ${wanted}; it has ${names.join(", ")}`, { exitCode: 2 });
  }
  if (names.length === 1) return names[0];
  // AlpacaEval names the folder after its annotator.
  const folder = basename(dirname(resolve(file)));
  if (names.includes(folder)) return folder;
  throw new QuernError(`${file} has several configurations; choose one as ${file}#NAME: ${names.join(", ")}`, {
    exitCode: 2,
  });
}

/** Reads `prompt_template`: a path from the folder of all configurations or from this one's, or the text itself. */
async function readTemplate(given: unknown, file: string, name: string, pairs: number): Promise<PromptTemplate> {
  if (typeof given !== "string") {
    throw new QuernError(`prompt_template of ${name} in ${file} must be a path or a text, not ${show(given)}`);
  }
  if (/\n|\{output_[12]\}/.test(given)) return parseTemplate(given, `of ${name} in ${file}`, pairs);
  const folder = dirname(file);
  const places = [join(dirname(resolve(folder)), given), join(folder, given), join(folder, basename(given))];
  for (const path of [...places, given]) {
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile()) return parseTemplate(await readText(path), path, pairs);
  }
  throw new QuernError(
    `${file} names the prompt ${given}, which is neither in ${folder} nor in the folder above; put it there, or give ` +
      "--judge-prompt FILE",
    { exitCode: 2 },
  );
}

async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    throw fileError(error, "read", path);
  });
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Turns values of YAML into those of JSON; keys become texts. */
function plain(value: unknown): unknown {
  if (value instanceof PythonFloat) return value.value;
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.map(([key, inner]) => [String(key), plain(inner)]));
}
