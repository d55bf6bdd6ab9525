/** @file `/v1/responses` and `/v1/messages` over HTTP: the same answers as chat completions, in other forms. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SLOW_BUILD } from "../model/targets.js";
import { problemsOf } from "./openai-document.js";
import { type Answer, startServing, type TestServing } from "./serving.js";

let server: TestServing;
beforeAll(async () => {
  server = await startServing();
}, SLOW_BUILD);
afterAll(() => server.close());

/** Events by name, as a client reads them. */
async function events(path: string, body: object): Promise<readonly Answer[]> {
  const response = await fetch(server.url + path, { method: "POST", body: JSON.stringify({ ...body, stream: true }) });
  expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
  const blocks = (await response.text()).split("\n\n").filter((block) => block !== "");
  return blocks.map((block) => {
    const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(block)!;
    const event = JSON.parse(data) as Answer;
    expect(event.type).toBe(name);
    return event;
  });
}

const chat = (body: object) => server.ok("/v1/chat/completions", { model: "tiny", temperature: 0, ...body });

describe("/v1/responses", { timeout: SLOW_BUILD }, () => {
  const base = { model: "tiny", instructions: "on", input: "the other", temperature: 0, max_output_tokens: 20 };

  it("answers as chat completions do", async () => {
    const response = await server.ok("/v1/responses", base);
    expect(problemsOf("Response", response)).toEqual([]);
    const messages = [
      { role: "system", content: "on" },
      { role: "user", content: "the other" },
    ];
    const answer = await chat({ messages, max_tokens: 20 });
    expect(response.output[0].content[0].text).toBe(answer.choices[0].message.content);
    expect(response.usage.total_tokens).toBe(answer.usage.total_tokens);
    expect(response).toMatchObject({ object: "response", model: "tiny", instructions: "on", max_output_tokens: 20 });
  });

  it("streams typed events with log-probabilities", async () => {
    const whole = await server.ok("/v1/responses", base);
    const include = ["message.output_text.logprobs"];
    const stream = await events("/v1/responses", { ...base, include, top_logprobs: 2 });
    for (const event of stream) expect(problemsOf("ResponseStreamEvent", event)).toEqual([]);
    expect(stream.map(({ sequence_number }) => sequence_number)).toEqual(stream.map((_, index) => index));
    const deltas = stream.filter(({ type }) => type === "response.output_text.delta");
    expect(deltas.map(({ delta }) => delta).join("")).toBe(whole.output[0].content[0].text);
    expect(deltas.flatMap(({ logprobs }) => logprobs)[0].top_logprobs).toHaveLength(2);
    const { response } = stream.at(-1);
    expect(response.status).toBe(whole.status);
    expect(response.output[0].content[0].logprobs.length).toBeGreaterThan(0);
  });

  it("refuses in OpenAI's form", async () => {
    expect(await server.refused("/v1/responses", { ...base, previous_response_id: "x" })).toMatchObject({
      param: "previous_response_id",
    });
    expect(await server.refused("/v1/responses", { ...base, input: "on ".repeat(200) })).toMatchObject({
      code: "context_length_exceeded",
      param: "input",
    });
  });
});

describe("/v1/messages", { timeout: SLOW_BUILD }, () => {
  const base = {
    model: "tiny",
    max_tokens: 20,
    temperature: 0,
    system: "on",
    messages: [{ role: "user", content: "the other" }],
  };

  it("answers as chat completions do", async () => {
    const message = await server.ok("/v1/messages", base);
    const answer = await chat({ messages: [{ role: "system", content: "on" }, ...base.messages], max_tokens: 20 });
    const [{ message: own, finish_reason }] = answer.choices;
    expect(message.content[0].text).toBe(own.content);
    expect(message.stop_reason).toBe(finish_reason === "length" ? "max_tokens" : "end_turn");
    const { input_tokens, cache_read_input_tokens, output_tokens } = message.usage;
    expect(input_tokens + cache_read_input_tokens).toBe(answer.usage.prompt_tokens);
    expect(output_tokens).toBe(answer.usage.completion_tokens);
  });

  it("streams the same text, and stops at a sequence", async () => {
    const whole = await server.ok("/v1/messages", base);
    const stream = await events("/v1/messages", base);
    const text = stream.map(({ delta }) => delta?.text ?? "").join("");
    expect(text).toBe(whole.content[0].text);
    expect(stream[0].type).toBe("message_start");
    expect(stream.at(-1).type).toBe("message_stop");
    const stop = text.slice(3, 6);
    const cut = await server.ok("/v1/messages", { ...base, stop_sequences: [stop] });
    expect(cut).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: stop });
    expect(cut.content[0].text).toBe(text.slice(0, text.indexOf(stop)));
  });

  it("refuses in Anthropic's form", async () => {
    for (const [body, status, type] of [
      [{ ...base, max_tokens: undefined }, 400, "invalid_request_error"],
      [{ ...base, model: "other" }, 404, "not_found_error"],
    ] as const) {
      const answer = await server.call("/v1/messages", body);
      expect(answer.status).toBe(status);
      expect(answer.body).toMatchObject({ type: "error", error: { type } });
      expect(typeof answer.body.error.message).toBe("string");
    }
  });
});
