/** @file Folders with tokenizer.json, tokenizer_config.json and added tokens, as the Rust tokenizers write them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadTokenizer, tokenizerToJson } from "../../../src/tokenizer/index.js";
import { type Json, jsonText, mutateJson, several } from "../mutations.js";
import { fixtureJson } from "../seeds.js";
import type { Files, Target } from "../target.js";

type JsonObject = { [key: string]: Json };

const TEXT = "The 12 cats – naïve café 猫 😀 <|endoftext|>\t<s> don't\r\n  stop";

export function open(): Target {
  const steps = fixtureJson("tokenizer/fixtures/tokenizer-steps.json") as { base: JsonObject; cases: JsonObject[] };
  const added = fixtureJson("tokenizer/fixtures/added-tokens.json") as JsonObject;
  const post: Json = {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [],
    special_tokens: { "<s>": { id: "<s>", ids: [0], tokens: ["<s>"] } },
  };
  return {
    make(random) {
      const { pre_tokenizer, normalizer } = random.pick(steps.cases);
      let json: JsonObject = random.chance(0.2) ? added : { ...steps.base, pre_tokenizer, normalizer };
      if (random.chance(0.3)) json = { ...json, post_processor: post };
      // The vocabulary is the bulk of the file; most mutations are about everything else.
      const { vocab, merges, ...model } = json.model as JsonObject;
      if (random.chance(0.75)) {
        const rest = several<Json>({ ...json, model }, random, (value) => mutateJson(value, random)) as JsonObject;
        const isModel = typeof rest?.model === "object" && rest.model !== null && !Array.isArray(rest.model);
        json = isModel ? { ...rest, model: { ...(rest.model as JsonObject), vocab, merges } } : rest;
      } else {
        const changed = several<Json>({ vocab, merges }, random, (value) => mutateJson(value, random));
        json = { ...json, model: { ...model, ...(changed as JsonObject) } };
      }
      const config: Json = {
        bos_token: "<s>",
        eos_token: { content: "</s>" },
        add_bos_token: true,
        chat_template: "{{ messages }}",
        added_tokens_decoder: { "0": { content: "<s>", special: true } },
        model_max_length: 1e30,
      };
      const files: Record<string, string> = { "tokenizer.json": jsonText(json, random) };
      if (random.chance(0.5))
        files["tokenizer_config.json"] = jsonText(random.chance(0.5) ? mutateJson(config, random) : config, random);
      if (random.chance(0.2))
        files["added_tokens.json"] = jsonText(mutateJson({ "<x>": 900, "<y>": 901 }, random), random);
      if (random.chance(0.2))
        files["special_tokens_map.json"] = jsonText(mutateJson({ bos_token: "<s>" }, random), random);
      return files satisfies Files;
    },
    async read(folder, reached) {
      try {
        if (typeof JSON.parse(readFileSync(join(folder, "tokenizer.json"), "utf8")).model === "object") reached();
      } catch {}
      const tokenizer = await loadTokenizer(folder);
      const ids = tokenizer.encode(TEXT);
      tokenizer.decode(ids);
      tokenizer.encodeWithOffsets(TEXT, { special: "allow" });
      tokenizer.count(TEXT.repeat(50));
      tokenizerToJson(tokenizer);
    },
    command: () => ["tokenizer", "show", "--tokenizer", ".", "--text", TEXT],
  };
}
