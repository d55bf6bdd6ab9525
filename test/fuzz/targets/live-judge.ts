/** @file What live judging reads: prompts, answers, a reference, configurations with their template, and the log of a killed call. */
import { mkdirSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { judgeAnswers, openJudge } from "../../../src/eval/index.js";
import { type Json, jsonText, mutateJson, mutateText, several } from "../mutations.js";
import type { Random } from "../random.js";
import type { Target } from "../target.js";

const NUMBERS = [0, 1, 2, 3, 4, 5];
const PROMPTS: Json = NUMBERS.map((n) => ({ instruction: `question ${n}`, dataset: "x", level: n }));
const answers = (generator: string): Json =>
  NUMBERS.map((n) => ({ instruction: `question ${n}`, output: `${generator} ${"水".repeat(n)}`, generator }));
const REFERENCE: Json = NUMBERS.map((n) => ({
  ...{ instruction: `question ${n}`, output_1: `a ${"水".repeat(n)}`, output_2: `b ${"水".repeat(n)}` },
  ...{ generator_1: "a", generator_2: "b", annotator: "people", preference: 1 + (n % 2) },
}));
const LOG = '{"key":"x","preference":1,"raw_completion":{"text":"[[A]]"}}\n{"key":"y","dropped":"unreadable"}\n{"ke';
const CONFIG = `
mine:
  prompt_template: "template.txt"
  completions_kwargs: {model_name: "gpt-x", max_tokens: 1, temperature: 1.0, logprobs: true, top_logprobs: 5}
  fn_completion_parser: "regex_parser"
  completion_parser_kwargs: {outputs_to_match: {1: "a", 2: '(?:b)'}}
  batch_size: 1
`;
const TEMPLATE =
  "<|im_start|>system\nCompare.\n<|im_end|>\n<|im_start|>user\n{instruction} {output_1} {output_2}\n<|im_end|>";

export function open(): Target {
  return {
    make(random) {
      const json = (value: Json) =>
        jsonText(random.chance(0.3) ? several<Json>(value, random, (each) => mutateJson(each, random)) : value, random);
      return {
        "prompts.json": json(PROMPTS),
        "a.json": json(answers("a")),
        "b.json": json(answers("b")),
        "reference.json": json(REFERENCE),
        "log.jsonl": textOf(LOG, random),
        "configs.yaml": textOf(CONFIG, random),
        "template.txt": textOf(TEMPLATE, random),
      };
    },
    async read(folder, reached) {
      const at = (name: string) => join(folder, name);
      const judge = (_: string, first: string, second: string) => (first < second ? 1 : 2);
      const compare = async (reference?: string) => {
        const out = at("out");
        await rm(out, { recursive: true, force: true });
        const files = { prompts: at("prompts.json"), a: at("a.json"), b: at("b.json"), reference };
        await judgeAnswers({ ...files, judge, out, bootstrap: 5 });
      };
      const configured = async () => {
        mkdirSync(at("cache"), { recursive: true });
        const options = { cache: at("cache"), judgeUrl: "http://127.0.0.1:9/v1" };
        await (await openJudge(at("configs.yaml"), options)).close();
      };
      const resumed = async () => {
        const out = at("resumed");
        await rm(out, { recursive: true, force: true });
        mkdirSync(out);
        const record = { format: "quern output", verb: "judge", state: "unfinished", files: [] };
        await writeFile(join(out, ".quern.json"), JSON.stringify(record));
        await writeFile(join(out, "judgements.jsonl"), await readFile(at("log.jsonl")));
        await judgeAnswers({ prompts: at("prompts.json"), a: at("a.json"), b: at("b.json"), judge, out, bootstrap: 5 });
      };
      for (const work of [() => compare(), () => compare(at("reference.json")), configured, resumed]) {
        try {
          await work();
          reached();
        } catch (error) {
          if ((error as Error).name !== "QuernError") throw error;
        }
      }
    },
  };
}

const textOf = (text: string, random: Random) =>
  random.chance(0.3) ? several(text, random, (each) => mutateText(each, random)) : text;
