/** @file A server with a tiny model for tests, and calls whose answers are checked against OpenAI's document. */
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { type ServeOptions, type Server, serve } from "../../src/serve/index.js";
import { COMPLETION_CHUNK, problemsOf } from "./openai-document.js";

/** A llama of two layers with a chat template and a context of 96 tokens. */
export const TINY = fileURLToPath(new URL("../oracle/fixtures/tiny-chat", import.meta.url));

// biome-ignore lint/suspicious/noExplicitAny: answers are checked against the document
export type Answer = any;

export interface Called {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Answer;
}

export interface Streamed {
  readonly chunks: readonly Answer[];
  /** Whether the last line was `[DONE]`. */
  readonly isDone: boolean;
}

export interface TestServing extends Server {
  call(path: string, body?: unknown, init?: RequestInit): Promise<Called>;
  /** Calls and expects status 200 and an answer that fits the document. */
  ok(path: string, body?: unknown): Promise<Answer>;
  /** Calls and expects this status and an error that fits the document. */
  refused(path: string, body: unknown, status?: number): Promise<Answer>;
  stream(path: string, body: object): Promise<Streamed>;
}

const SCHEMAS: Readonly<Record<string, string>> = {
  "/v1/chat/completions": "CreateChatCompletionResponse",
  "/v1/completions": "CreateCompletionResponse",
  "/v1/embeddings": "CreateEmbeddingResponse",
  "/v1/models": "ListModelsResponse",
};
const CHUNKS: Readonly<Record<string, string>> = {
  "/v1/chat/completions": "CreateChatCompletionStreamResponse",
  "/v1/completions": COMPLETION_CHUNK,
};

export async function startServing(options: Partial<ServeOptions> = {}): Promise<TestServing> {
  const server = await serve({ model: [`tiny=${TINY}`], port: 0, ...options });
  const call: TestServing["call"] = async (path, body, init) => {
    const sent = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const response = await fetch(server.url + path, { ...sent, ...init });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json");
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };
  return {
    ...server,
    call,
    async ok(path, body) {
      const answer = await call(path, body);
      expect(answer.body.error ?? null).toBeNull();
      expect(answer.status).toBe(200);
      if (path in SCHEMAS) expect(problemsOf(SCHEMAS[path], answer.body)).toEqual([]);
      return answer.body;
    },
    async refused(path, body, status = 400) {
      const answer = await call(path, body);
      expect(answer.body).toHaveProperty("error");
      expect(problemsOf("ErrorResponse", answer.body)).toEqual([]);
      expect(answer.status).toBe(status);
      return answer.body.error;
    },
    async stream(path, body) {
      const response = await fetch(server.url + path, {
        method: "POST",
        body: JSON.stringify({ ...body, stream: true }),
      });
      expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
      const lines = (await response.text()).split("\n\n").filter((line) => line !== "");
      for (const line of lines) expect(line).toMatch(/^data: /);
      const data = lines.map((line) => line.slice("data: ".length));
      const chunks = data.filter((line) => line !== "[DONE]").map((line) => JSON.parse(line) as Answer);
      for (const chunk of chunks) expect(problemsOf(CHUNKS[path], chunk)).toEqual([]);
      return { chunks, isDone: data.at(-1) === "[DONE]" };
    },
  };
}
