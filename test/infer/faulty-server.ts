/** @file A local HTTP server for tests, which answers through a callback and records the requests. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Received {
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Record<string, unknown>;
}

export interface TestServer {
  /** Up to and including `/v1`. */
  readonly baseUrl: string;
  readonly received: Received[];
  close(): Promise<void>;
}

export type Answer = (request: Received, response: ServerResponse, index: number) => void | Promise<void>;

export async function startServer(answer: Answer): Promise<TestServer> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => {
      text += chunk;
    });
    request.on("end", () => {
      const each = { url: request.url ?? "", headers: request.headers, body: JSON.parse(text) };
      const index = received.push(each) - 1;
      void answer(each, response, index);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    received,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

export const json = (response: ServerResponse, value: unknown, status = 200, headers: Record<string, string> = {}) =>
  void response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));

/** A response of `/chat/completions`, with fields that clients ignore. */
export const chatAnswer = (content: string, finish = "stop") => ({
  id: "x",
  object: "chat.completion",
  system_fingerprint: null,
  choices: [{ index: 0, message: { role: "assistant", content, refusal: null }, finish_reason: finish, extra: {} }],
  usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
});
