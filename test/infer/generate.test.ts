/** What `quern generate` says: the same with the cache and without, whole characters, stop strings, seeds. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDecoder, type GenerateTextOptions, generateText } from "../../src/infer/index.js";
import { defineModel, initialValues, parametersOf, writeModel } from "../../src/model/index.js";
import { saveTokenizer, type Tokenizer, trainTokenizer } from "../../src/tokenizer/index.js";
import { SLOW_BUILD } from "../model/targets.js";

const model = defineModel({ layers: 2, width: 32, heads: 2, vocabSize: 290, sequence: 128 });
/** Large weights, so that some tokens are far likelier than others and the text before them matters. */
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
  ])("gives the same text with and without the cache: %j", async (sampling) => {
    const given = { ...sampling, tokens: 60 };
    const cached = await text(given);
    expect(cached.length).toBeGreaterThan(10);
    expect(await text({ ...given, cache: false })).toBe(cached);
  });

  it("gives whole characters only: the pieces are the text of all tokens together", async () => {
    const prompt = tokenizer.encode("日本 grün");
    const decoder = createDecoder(model, (name) => values.get(name)!);
    const sampling = { temperature: 1, topK: 0, seed: 1, tokens: 80, endOfText: [tokenizer.endOfText as number] };
    const [{ tokens }] = await decoder.generate({ ...sampling, prompt });
    const ids = tokens.map(({ id }) => id);
    decoder.dispose();
    const streamed = await pieces({ temperature: 1, topK: 0, seed: 1, tokens: 80 });
    expect(streamed.length).toBeGreaterThan(5);
    expect(streamed.join("")).toBe(tokenizer.decode(ids));
    for (const piece of streamed) expect(Buffer.from(piece).toString()).toBe(piece); // no half of a pair;
  });

  it("ends before a stop string, which may lie across tokens", async () => {
    const whole = await text({ temperature: 0, tokens: 40 });
    const characters = [...whole];
    const stop = characters.slice(12, 15).join("");
    const stopped = await text({ temperature: 0, tokens: 40, stop: [stop, "never said"] });
    expect(stopped).toBe(whole.slice(0, whole.indexOf(stop)));
  });

  it("refuses what means nothing", async () => {
    await expect(text({ topP: 0 })).rejects.toThrow(/topP must be more than 0, not 0/);
    await expect(text({ minP: 1.5 })).rejects.toThrow(/minP must be at most 1, not 1.5/);
    await expect(text({ repetitionPenalty: 0 })).rejects.toThrow(/repetitionPenalty must be more than 0/);
    await expect(text({ stop: [""] })).rejects.toThrow(/stop must not be empty/);
  });
});
