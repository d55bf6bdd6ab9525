/** Tasks on an OpenAI-compatible server: echoed log-probabilities, completions, and conversations. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, it } from "vitest";
import { evaluate } from "../../../src/eval/evaluate.js";
import { chatAnswer, json, startServer, type TestServer } from "../../infer/faulty-server.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../fixtures/eval/harness");
const task = (name: string) => join(root, `tasks/${name}.yaml`);
const data = join(root, "data");

let server: TestServer;
afterEach(() => server.close());

it("asks for echoed log-probabilities, and prefers the likeliest choice", async () => {
  server = await startServer(({ body }, response) => {
    // One token per character; the letter B is likeliest.
    const tokens = Array.from(String(body.prompt));
    const offsets = tokens.map((_, i) => i);
    const logprobs = tokens.map((token, i) => (i === 0 ? null : token === "B" ? -0.1 : -2));
    const top = tokens.map((token, i) => (i === 0 ? null : { [token]: logprobs[i] }));
    json(response, {
      choices: [
        {
          text: tokens.join(""),
          logprobs: { tokens, token_logprobs: logprobs, text_offset: offsets, top_logprobs: top },
        },
      ],
      usage: { prompt_tokens: tokens.length, completion_tokens: 0, total_tokens: tokens.length },
    });
  });
  const { samples } = await evaluate({ model: `${server.baseUrl}#m`, tasks: [task("letters")], data });
  const list = samples.get("made_letters")!;
  expect(list).toHaveLength(4);
  for (const { target, acc, resps } of list) {
    expect(resps.map(([answer]) => Number((answer as string[])[0]))).toEqual([-4, -2.1, -4, -4]);
    expect(acc).toBe(target === "1" ? 1 : 0);
  }
  expect(server.received[0].body).toMatchObject({ model: "m", echo: true });
});

it("sends turns to a chat server, and refuses log-likelihoods there", async () => {
  server = await startServer((_, response) => json(response, chatAnswer("7")));
  const chat = { model: `${server.baseUrl}#m`, data, applyChatTemplate: true, system: "Be brief." };
  const { results } = await evaluate({ ...chat, tasks: [task("odd")], genKwargs: "max_gen_toks=5" });
  expect(results.results.made_odd["exact_match,none"]).toBeCloseTo(1 / 3, 12);
  const { body, url } = server.received[0];
  expect(url).toMatch(/chat\/completions$/);
  expect(body).toMatchObject({ max_tokens: 5, temperature: 0 });
  const roles = (body.messages as { role: string; content: string }[]).map(({ role }) => role);
  expect(roles).toEqual(["system", "user"]);
  await expect(evaluate({ ...chat, tasks: [task("letters")] })).rejects.toThrow(/gives no log-likelihood/);
});

it("names the server's refusal", async () => {
  server = await startServer((_, response) => json(response, { error: { message: "no such model" } }, 404));
  const run = evaluate({ model: `${server.baseUrl}#m`, tasks: [task("odd")], data, genKwargs: "max_gen_toks=5" });
  await expect(run).rejects.toThrow(/no such model/);
});
