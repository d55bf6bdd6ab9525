/** @file Writes a model card, the README.md of a model on the hub: data, figures, license and base model. */
import { basename } from "node:path";
import { countParameters, type ModelConfig } from "../../model/index.js";
import type { RunRecord } from "../run/run-record.js";

export interface CardFacts {
  /** `USER/NAME` */
  readonly repository: string;
  readonly config: ModelConfig;
  /** License id of the hub. */
  readonly license: string;
  /** Base model: `hf://OWNER/NAME` or a path; null if it was trained from scratch. */
  readonly base: string | null;
  readonly isAdapter: boolean;
  readonly hasChatTemplate: boolean;
  /** The record of the run; null for a folder without one. */
  readonly run: RunRecord | null;
}

/** Returns the card as Markdown, with the hub's metadata in front. */
export function modelCard(facts: CardFacts): string {
  const { repository, config, license, base, isAdapter, hasChatTemplate, run } = facts;
  const hubBase = hubName(base);
  const sources = sourcesOf(run);
  const datasets = sources.flatMap((source) => hubName(source, "hf://datasets/") ?? []);
  const metadata = [
    `license: ${license}`,
    `library_name: ${isAdapter ? "peft" : "transformers"}`,
    "pipeline_tag: text-generation",
    ...(hubBase === null ? [] : [`base_model: ${hubBase}`]),
    ...(datasets.length === 0 ? [] : ["datasets:", ...datasets.map((name) => `- ${name}`)]),
    ...["tags:", "- quern", `- ${config.family}`],
  ];
  const name = repository.slice(repository.indexOf("/") + 1);
  const algorithm = typeof run?.plan?.algorithm === "string" ? run.plan.algorithm : run === null ? null : "pretrain";
  const what = isAdapter ? "A LoRA adapter for a" : "A";
  const trained = algorithm === null ? "" : `, trained by \`quern ${algorithm}\``;
  const from = base === null ? "" : ` from ${hubBase ?? `the model ${code(basename(base))}`}`;
  const sections = [
    `---\n${metadata.join("\n")}\n---`,
    `# ${name}`,
    `${what} ${config.family} of ${whole(countParameters(config))} parameters${trained}${from}.`,
    section("Data", dataRows(run, sources)),
    section("Figures", figureRows(run)),
    section("Model", modelRows(config)),
    section("Training", trainingRows(run)),
    `## Use\n\n${usage(facts, hubBase, hasChatTemplate)}`,
    `License: ${license === "unknown" ? "not stated" : license}.`,
  ];
  return `${sections.filter((each) => each !== "").join("\n\n")}\n`;
}

type Row = readonly [what: string, value: string];

const whole = (value: number) => value.toLocaleString("en-US");
const short = (value: number) => String(Number(value.toPrecision(4)));
/** Quotes a name from a user's file for Markdown. */
const code = (text: string) => `\`${text.replace(/[`|\r\n]/g, " ")}\``;

/** Returns OWNER/NAME of an address on the hub, or null. */
function hubName(address: string | null, prefix = "hf://"): string | null {
  if (address === null || !address.startsWith(prefix)) return null;
  const [, name] = /^([\w.-]+\/[\w.-]+)/.exec(address.slice(prefix.length)) ?? [];
  return name === undefined || (prefix === "hf://" && name.startsWith("datasets/")) ? null : name;
}

/** Returns the dataset's places, from the options that name them. */
function sourcesOf(run: RunRecord | null): string[] {
  return ["text", "data", "prompts", "shards"].flatMap((key) => {
    const value = run?.config?.[key];
    return [value ?? []].flat().filter((each): each is string => typeof each === "string");
  });
}

/** A path on this machine says nothing to others, so only its last part is shown. */
const placeOf = (source: string) => (/^\w+:\/\//.test(source) ? source : basename(source));

function dataRows(run: RunRecord | null, sources: readonly string[]): Row[] {
  if (run === null) return [];
  const data = Object.entries(run.data ?? {}).filter(([key]) => key !== "largest_file");
  return [
    ...(sources.length === 0 ? [] : [["sources", sources.map((each) => code(placeOf(each))).join(", ")] as const]),
    ...data.map(([key, value]): Row => [key.replaceAll("_", " "), typeof value === "number" ? whole(value) : value]),
    ...numbers(run.plan, [["examples", "examples"]]),
  ];
}

function figureRows(run: RunRecord | null): Row[] {
  const result = run?.result;
  if (result === undefined) return [];
  const figures: readonly (readonly [string, number | undefined])[] = [
    ["bits per byte, held-out text", result.bits_per_byte],
    ["bits per byte of gzip", result.gzip_bits_per_byte],
    ["bits per byte of xz", result.xz_bits_per_byte],
    ["bits per byte of brotli", result.brotli_bits_per_byte],
    ["bits per byte of a 5-gram model", result.ngram_bits_per_byte],
    ["calibration error of the reward", result.calibration_error],
  ];
  return [
    ...figures.flatMap(([name, value]): Row[] => (value === undefined ? [] : [[name, short(value)]])),
    ...(result.sources ?? []).flatMap(({ source, bits_per_byte }): Row[] =>
      bits_per_byte === undefined ? [] : [[`bits per byte, ${code(placeOf(source))}`, short(bits_per_byte)]],
    ),
  ];
}

function modelRows(config: ModelConfig): Row[] {
  return [
    ["parameters", whole(countParameters(config))],
    ["layers", whole(config.layers)],
    ["width", whole(config.width)],
    ["heads", `${config.heads}, of keys and values ${config.keyValueHeads}`],
    ["vocabulary", `${whole(config.vocabSize)} tokens`],
    ["context", `${whole(config.sequence)} tokens`],
  ];
}

function trainingRows(run: RunRecord | null): Row[] {
  if (run === null) return [];
  const { machine, seed, version, git } = run;
  const processor = typeof machine === "object" ? machine.processor : machine;
  return [
    ...numbers(run.plan, [
      ["steps", "steps"],
      ["batch", "sequences per step"],
      ["sequence", "tokens per sequence"],
      ["training_tokens", "training tokens"],
    ]),
    ...(typeof run.plan?.precision === "string" ? [["precision", run.plan.precision] as const] : []),
    ...(seed === undefined ? [] : [["seed", String(seed)] as const]),
    ...(typeof processor === "string" ? [["machine", code(processor)] as const] : []),
    ...(version === undefined ? [] : [["Quern", git === undefined ? version : `${version} (${git})`] as const]),
  ];
}

/** Returns rows for the numbers of a plan, by their keys. */
function numbers(plan: RunRecord["plan"], keys: readonly (readonly [key: string, name: string])[]): Row[] {
  return keys.flatMap(([key, name]): Row[] => {
    const value = plan?.[key];
    return typeof value === "number" ? [[name, whole(value)]] : [];
  });
}

function section(title: string, rows: readonly Row[]): string {
  if (rows.length === 0) return "";
  return `## ${title}\n\n| | |\n|---|---|\n${rows.map(([what, value]) => `| ${what} | ${value} |`).join("\n")}`;
}

function usage({ repository, isAdapter }: CardFacts, base: string | null, hasChatTemplate: boolean): string {
  const verb = hasChatTemplate ? "chat" : "generate";
  const prompt = hasChatTemplate ? "" : ' --prompt "The"';
  const shell = `    quern ${verb} --model hf://${repository}${prompt}`;
  if (isAdapter) {
    const load = `    from peft import AutoPeftModelForCausalLM\n    model = AutoPeftModelForCausalLM.from_pretrained("${repository}")`;
    return base === null ? shell : `${shell}\n\n${load}`;
  }
  return (
    `${shell}\n\n    from transformers import AutoModelForCausalLM, AutoTokenizer\n` +
    `    model = AutoModelForCausalLM.from_pretrained("${repository}")\n` +
    `    tokenizer = AutoTokenizer.from_pretrained("${repository}")`
  );
}
