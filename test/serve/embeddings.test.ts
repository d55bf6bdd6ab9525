/** /v1/embeddings: the mean of the final hidden states, scaled to length 1. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createEmbedder, openTextModel } from "../../src/infer/index.js";
import { SLOW_BUILD } from "../model/targets.js";
import { type Answer, startServing, type TestServing, TINY } from "./serving.js";

const PATH = "/v1/embeddings";
let server: TestServing;
beforeAll(async () => {
  server = await startServing();
}, SLOW_BUILD);
afterAll(() => server.close());

const vectors = async (body: object): Promise<number[][]> =>
  (await server.ok(PATH, body)).data.map(({ embedding }: Answer) => embedding);
const near = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).every((value, i) => Math.abs(value - b[i]) < 1e-5) && a.length === b.length;

describe("embeddings", { timeout: SLOW_BUILD }, () => {
  it("are the library's mean of hidden states, with length 1", async () => {
    const text = await openTextModel(TINY);
    const embedder = createEmbedder(text.model.config, text.model.readParameter);
    const ids = text.tokenizer.encode("the other", { addSpecial: true });
    const mean = await embedder.embed(ids);
    embedder.dispose();
    await text.close();
    const length = Math.hypot(...mean);
    const answer = await server.ok(PATH, { model: "tiny", input: "the other" });
    const [{ index, object, embedding }] = answer.data;
    expect([index, object]).toEqual([0, "embedding"]);
    expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
    expect(
      near(
        embedding,
        mean.map((value) => value / length),
      ),
    ).toBe(true);
    expect(answer.usage).toEqual({ prompt_tokens: ids.length, total_tokens: ids.length });
  });

  it("take texts and ids, one or many, and give the same alone and together", async () => {
    const texts = ["the other", "on", "hello hello hello", "the other"];
    const together = await vectors({ input: texts });
    for (const [i, input] of texts.entries()) expect(near((await vectors({ input }))[0], together[i])).toBe(true);
    expect(together[3]).toEqual(together[0]);
    const { tokens } = await server.ok("/tokenize", { content: "the other", add_special: true });
    expect(near((await vectors({ input: tokens }))[0], together[0])).toBe(true);
    expect(await vectors({ input: [tokens, tokens] })).toHaveLength(2);
    expect(await vectors({ input: [70, 71, "string", 72] })).toHaveLength(1);
    expect(await vectors({ input: ["string", [70, 71]] })).toHaveLength(2);
    expect(await vectors({ input: "" })).toHaveLength(1);
  });

  it("have the same values in base64", async () => {
    const [values] = await vectors({ input: "the other", dimensions: 32 });
    const { data } = await server
      .call(PATH, { input: "the other", encoding_format: "base64" })
      .then(({ body }) => body);
    const bytes = Buffer.from(data[0].embedding, "base64");
    expect(bytes.length).toBe(4 * values.length);
    const decoded = values.map((_, i) => bytes.readFloatLE(4 * i));
    expect(near(decoded, values)).toBe(true);
  });

  it.each<[object, string, RegExp]>([
    [{ input: undefined }, "input", /input/],
    [{ input: 5 }, "input", /input must be text/],
    [{ input: [] }, "input", /input must be text/],
    [{ input: [[]] }, "input", /empty|must/],
    [{ input: [9999] }, "input", /token id 9999/],
    [{ input: ["a", "on".repeat(300)] }, "input[1]", /input\[1\] is too large: it has \d+ tokens.*96/],
    [{ encoding_format: "hex" }, "encoding_format", /float/],
    [{ dimensions: 16 }, "dimensions", /must be 32/],
    [{ pooling: "none" }, "pooling", /unknown field pooling/],
  ])("refuses %j", async (fields, param, message) => {
    const error = await server.refused(PATH, { input: "a", ...fields });
    expect(error.message).toMatch(message);
    expect(error.param?.startsWith(param)).toBe(true);
  });
});
