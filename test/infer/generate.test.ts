/** Output of `quern generate`: with and without the cache, whole characters, stop strings, seeds. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDecoder, type GenerateTextOptions, generate, generateText } from "../../src/infer/index.js";
import { defineModel, initialValues, parametersOf, writeModel } from "../../src/model/index.js";
import { saveTokenizer, type Tokenizer, trainTokenizer } from "../../src/tokenizer/index.js";
import { SLOW_BUILD } from "../model/targets.js";

const model = defineModel({ layers: 2, width: 32, heads: 2, vocabSize: 290, sequence: 128 });
/** Large weights, so that some tokens are far likelier than others and depend on the text before them. */
const values = new Map(
  parametersOf(model).map((parameter) => {
    const norm = parameter.shape.length === 1;
    return [parameter.name, initialValues(parameter, 3).map((value) => (norm ? 1 : value * 8))];
  }),
);

let folder: string;
let tokenizer: Tokenizer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-generate-"));
  tokenizer = await trainTokenizer(["grün, größer, 日本語, 日本, 👋🏽 👋"], { vocabSize: 290 });
  await writeModel(folder, model, (name) => values.get(name)!, { endOfText: tokenizer.endOfText ?? null });
  await saveTokenizer(tokenizer, folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function pieces(options: Partial<GenerateTextOptions>): Promise<string[]> {
  const found: string[] = [];
  for await (const piece of generateText({ model: folder, prompt: "日本 grün", ...options })) found.push(piece);
  return found;
}
const text = async (options: Partial<GenerateTextOptions>) => (await pieces(options)).join("");

describe("generateText", { timeout: SLOW_BUILD }, () => {
  it.each([
    { temperature: 0 },
    { temperature: 0, repetitionPenalty: 1.3 },
    { temperature: 1, topK: 0, seed: 4 },
    { temperature: 0.9, topK: 20, topP: 0.9, minP: 0.05, repetitionPenalty: 1.2, seed: 2 },
  ])("generates the same text with and without the cache: %j", async (sampling) => {
    const given = { ...sampling, tokens: 60 };
    const cached = await text(given);
    expect(cached.length).toBeGreaterThan(10);
    expect(await text({ ...given, cache: false })).toBe(cached);
  });

  it("repeats tokens less with a frequency or presence penalty", async () => {
    const distinct = async (penalties: Partial<GenerateTextOptions>) => {
      const { results } = await generate({ model: folder, prompt: "日本", temperature: 0, tokens: 60, ...penalties });
      return new Set(results[0].completions[0].ids).size;
    };
    const free = await distinct({});
    expect(await distinct({ frequencyPenalty: 2 })).toBeGreaterThan(free);
    expect(await distinct({ presencePenalty: 2 })).toBeGreaterThanOrEqual(free);
    await expect(distinct({ presencePenalty: 3 })).rejects.toThrow("presencePenalty");
  });

  it("completes JSON documents under a schema, within the token limit", async () => {
    const path = join(folder, "schema.json");
    const schema = {
      type: "object",
      properties: { name: { type: "string" }, tags: { type: "array", items: { enum: ["a", "grün", 3] } } },
      required: ["name", "tags"],
      additionalProperties: false,
    };
    await writeFile(path, JSON.stringify(schema));
    for (const tokens of [24, 40, 100]) {
      const options = { model: folder, prompt: "日本", schema: path, temperature: 1, topK: 0, n: 6, tokens };
      const { results } = await generate(options);
      for (const { text, ids } of results[0].completions) {
        const found = JSON.parse(text) as { name: string; tags: unknown[] };
        expect(Object.keys(found).sort()).toEqual(["name", "tags"]);
        expect(typeof found.name).toBe("string");
        for (const tag of found.tags) expect(schema.properties.tags.items.enum).toContain(tag);
        expect(ids.length).toBeLessThanOrEqual(tokens);
      }
    }
    await writeFile(path, JSON.stringify({ $dynamicRef: "#x" }));
    const refused = generate({ model: folder, prompt: "日本", schema: path });
    await expect(refused).rejects.toMatchObject({ exitCode: 2, message: expect.stringContaining("$ref") });
    await writeFile(path, "{");
    await expect(generate({ model: folder, prompt: "日本", schema: path })).rejects.toMatchObject({ exitCode: 2 });
  });

  it("yields whole characters only, which join to the text of all tokens", async () => {
    const prompt = tokenizer.encode("日本 grün");
    const decoder = createDecoder(model, (name) => values.get(name)!);
    const sampling = { temperature: 1, topK: 0, seed: 1, tokens: 80, endOfText: [tokenizer.endOfText as number] };
    const [{ tokens }] = await decoder.generate({ ...sampling, prompt });
    const ids = tokens.map(({ id }) => id);
    decoder.dispose();
    const streamed = await pieces({ temperature: 1, topK: 0, seed: 1, tokens: 80 });
    expect(streamed.length).toBeGreaterThan(5);
    expect(streamed.join("")).toBe(tokenizer.decode(ids));
    for (const piece of streamed) expect(Buffer.from(piece).toString()).toBe(piece); // no lone surrogates
  });

  it("ends before a stop string, which may span tokens", async () => {
    const whole = await text({ temperature: 0, tokens: 40 });
    const characters = [...whole];
    const stop = characters.slice(12, 15).join("");
    const stopped = await text({ temperature: 0, tokens: 40, stop: [stop, "never said"] });
    expect(stopped).toBe(whole.slice(0, whole.indexOf(stop)));
  });

  it("ends generation when its caller stops reading", async () => {
    for await (const _ of generateText({ model: folder, prompt: "日本", tokens: 10_000 })) break;
  });

  it("rejects invalid options", async () => {
    await expect(text({ topP: 0 })).rejects.toThrow(/topP must be more than 0, not 0/);
    await expect(text({ minP: 1.5 })).rejects.toThrow(/minP must be at most 1, not 1.5/);
    await expect(text({ repetitionPenalty: 0 })).rejects.toThrow(/repetitionPenalty must be more than 0/);
    await expect(text({ stop: [""] })).rejects.toThrow(/stop must not be empty/);
  });
});

describe("generate", { timeout: SLOW_BUILD }, () => {
  const common = { tokens: 12, temperature: 1, seed: 5 };
  const prompts = ["日", "grün ".repeat(9), "", "größer, 日本語"];

  it("returns for each prompt and seed the text of a call with --n 1", async () => {
    const path = join(folder, "prompts.jsonl");
    await writeFile(path, prompts.map((prompt) => `${JSON.stringify({ prompt })}\n`).join(""));
    const order: number[] = [];
    const onResult = (_: unknown, index: number) => order.push(index);
    const { results, warnings } = await generate({ model: folder, prompts: path, n: 3, ...common, onResult });
    expect(order).toEqual([0, 1, 2, 3]);
    expect(warnings).toEqual([]);
    for (const [i, prompt] of prompts.entries()) {
      expect(results[i].prompt).toBe(prompt);
      for (const [k, completion] of results[i].completions.entries()) {
        const alone = await generate({ model: folder, prompt, ...common, seed: common.seed + k });
        expect(completion).toEqual(alone.results[0].completions[0]);
        expect(tokenizer.decode(completion.ids.filter((id) => tokenizer.has(id)))).toBe(completion.text);
        const sum = completion.token_logprobs.reduce((total, each) => total + each, 0);
        expect(completion.logprob).toBeCloseTo(sum, 9);
      }
    }
  });

  it("renders messages with the chat template", async () => {
    const chat = join(folder, "chat");
    const template =
      "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}{% if add_generation_prompt %}>{% endif %}";
    await writeModel(chat, model, (name) => values.get(name)!, { endOfText: tokenizer.endOfText ?? null });
    await saveTokenizer(tokenizer, chat);
    const configPath = join(chat, "tokenizer_config.json");
    await writeFile(configPath, JSON.stringify({ ...tokenizer.parts.config, chat_template: template }));
    const path = join(folder, "messages.jsonl");
    const messages = [{ role: "user", content: "日本" }];
    await writeFile(path, JSON.stringify({ messages }));
    const { results } = await generate({ model: chat, prompts: path, ...common });
    expect(results[0].prompt).toBe("[user] 日本>");
    const same = await generate({ model: chat, prompt: "[user] 日本>", ...common });
    expect(results).toEqual(same.results);
    await expect(generate({ model: folder, prompts: path })).rejects.toThrow(
      /messages.jsonl, line 1, cannot be used: .*no chat_template/,
    );
  });

  it("lists the likeliest next tokens from the raw logits", async () => {
    const greedy = await generate({ model: folder, prompt: "日本", tokens: 1, temperature: 0, topLogits: 300 });
    const [{ completions, top_logits: top = [] }] = greedy.results;
    expect(top).toHaveLength(290);
    expect(top[0].id).toBe(completions[0].ids[0]);
    expect(top[0].logprob).toBeCloseTo(completions[0].logprob, 9);
    expect(top.reduce((total, { logprob }) => total + Math.exp(logprob), 0)).toBeCloseTo(1, 5);
    expect(top.map(({ logit }) => logit)).toEqual(top.map(({ logit }) => logit).sort((a, b) => b - a));
    const sharp = { temperature: 0.1, topK: 1, repetitionPenalty: 3, topLogits: 2, completions: false };
    const [alone] = (await generate({ model: folder, prompt: "日本", ...sharp })).results;
    expect(alone).toEqual({ prompt: "日本", completions: [], top_logits: top.slice(0, 2) });
  });

  it("reports why a completion ended", async () => {
    const [{ completions }] = (await generate({ model: folder, prompt: "日本", ...common })).results;
    expect(completions[0].finish_reason).toBe("length");
    const stop = [...completions[0].text].slice(2, 4).join("");
    const stopped = (await generate({ model: folder, prompt: "日本", ...common, stop: [stop] })).results[0]
      .completions[0];
    expect(stopped.finish_reason).toBe("stop");
    expect(stopped.text).toBe(completions[0].text.slice(0, completions[0].text.indexOf(stop)));
    expect(completions[0].ids.slice(0, stopped.ids.length)).toEqual(stopped.ids);
  });

  it("rejects no prompt, both kinds of prompts, and seeds beyond exact integers", async () => {
    await expect(generate({ model: folder })).rejects.toThrow("neither prompt nor prompts is given; give one of them");
    await expect(generate({ model: folder, prompt: "a", prompts: "b" })).rejects.toThrow("both prompt and prompts");
    await expect(generate({ model: folder, prompt: "a", n: 0 })).rejects.toThrow("n must be at least 1, not 0");
    await expect(generate({ model: folder, prompt: "a", seed: 2 ** 53 - 1 })).rejects.toThrow("seed + n");
  });

  it("warns about truncated prompts", async () => {
    const path = join(folder, "long.jsonl");
    await writeFile(path, `{"prompt": "a"}\n{"prompt": "${"a".repeat(200)}"}\n`);
    const { warnings } = await generate({ model: folder, prompts: path, tokens: 2 });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/line 2, has 200 tokens, but the model's limit is 128: the first 72 are dropped/);
  });
});
