/** The ids of tokens in answers, and answers that go on after given ids. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SLOW_BUILD } from "../model/targets.js";
import { type Answer, startServing, type TestServing } from "./serving.js";

const CHAT = "/v1/chat/completions";
const TEXT = "/v1/completions";
const messages = [{ role: "user", content: "the other" }];
const greedy = { model: "tiny", temperature: 0, max_tokens: 12, return_token_ids: true };
const chat = { ...greedy, messages, logprobs: true, top_logprobs: 3 };
const text = { ...greedy, prompt: "the other", logprobs: 3 };

let server: TestServing;
beforeAll(async () => {
  server = await startServing();
}, SLOW_BUILD);
afterAll(() => server.close());

const tokensOf = (answer: Answer): Answer[] => answer.choices[0].logprobs.content;
const idsOf = (answer: Answer): number[] => tokensOf(answer).map(({ id }) => id);

describe("token ids", { timeout: SLOW_BUILD }, () => {
  it.each([
    [CHAT, chat],
    [TEXT, text],
  ])("%s returns them, and goes on after them as if it had never stopped", async (path, body) => {
    const whole = await server.ok(path, body);
    const ids = idsOf(whole);
    expect(ids.length).toBeGreaterThan(6);
    for (const { id, logprob, ends, top_logprobs: top } of tokensOf(whole)) {
      expect([top[0].id, top[0].logprob, ends]).toEqual([id, logprob, false]);
      expect(top).toHaveLength(3);
      for (const each of top) expect(each.ends).toBe(each.id === 2);
    }
    const rest = await server.ok(path, { ...body, continue_token_ids: ids.slice(0, 5), max_tokens: ids.length - 5 });
    expect(idsOf(rest)).toEqual(ids.slice(5));
    expect(rest.usage.prompt_tokens).toBe(whole.usage.prompt_tokens + 5);
    const { chunks } = await server.stream(path, body);
    expect(chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? []).map(({ id }: Answer) => id)).toEqual(
      ids,
    );
  });

  it("go on after a token that the model would not have chosen", async () => {
    const [, second] = tokensOf(await server.ok(CHAT, chat))[0].top_logprobs;
    const other = await server.ok(CHAT, { ...chat, continue_token_ids: [second.id] });
    const [first] = idsOf(await server.ok(CHAT, chat));
    expect(second.id).not.toBe(first);
    const prompt = (await server.ok(CHAT, chat)).usage.prompt_tokens;
    expect(other.usage.prompt_tokens).toBe(prompt + 1);
  });

  it("are not there unless they are wanted", async () => {
    const answer = await server.ok(CHAT, { ...chat, return_token_ids: undefined });
    expect(tokensOf(answer)[0]).not.toHaveProperty("id");
    expect(tokensOf(answer)[0].top_logprobs[0]).not.toHaveProperty("id");
  });

  it.each([
    [CHAT, { ...chat, continue_token_ids: [268] }, "continue_token_ids", /268.*0 to 267/],
    [TEXT, { ...text, continue_token_ids: [268] }, "continue_token_ids", /268.*0 to 267/],
    [CHAT, { ...chat, logprobs: undefined, top_logprobs: undefined }, "return_token_ids", /logprobs/],
    [TEXT, { ...text, logprobs: undefined }, "return_token_ids", /logprobs/],
    [TEXT, { ...text, echo: true }, "return_token_ids", /echo/],
    [
      CHAT,
      { ...chat, continue_token_ids: [5], response_format: { type: "json_object" } },
      "continue_token_ids",
      /response_format/,
    ],
  ])("%s refuses wrong ones %#", async (path, body, param, message) => {
    const error = await server.refused(path, body);
    expect(error.param).toBe(param);
    expect(error.message).toMatch(message);
  });
});
