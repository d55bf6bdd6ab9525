/**
 * @file The arena's HTTP server.
 *
 *     GET  /             the page
 *     POST /api/answers  {battle?, message} → JSON lines: {battle}, {side, text} …, {done: true} or {error}
 *     POST /api/votes    {battle, winner} → {model_a, model_b}
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { isAbortError, QuernError } from "../../errors.js";
import { arenaPage } from "./arena-page.js";
import { BattleError, type Battles } from "./battles.js";
import type { Winner } from "./vote-file.js";

export interface ArenaServer {
  /** Such as http://127.0.0.1:8321/. */
  readonly url: string;
  /** Ends answers that are being written, and stops listening. */
  close(): Promise<void>;
}

export interface ArenaServerOptions {
  /** 0 chooses a free port. */
  readonly port: number;
  readonly host: string;
  /** Receives errors of models, which the page does not show: they may name a model. */
  readonly onError: (message: string) => void;
}

/** Bytes of a request. */
const LARGEST_BODY = 1 << 18;
const LONGEST_MESSAGE = 32_000;
const WINNERS: readonly unknown[] = ["model_a", "model_b", "tie", "tie (bothbad)"] satisfies Winner[];
const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** A request that the server refuses. */
class RefusedRequest extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Starts the server. @throws QuernError if the port is taken */
export async function startArenaServer(battles: Battles, options: ArenaServerOptions): Promise<ArenaServer> {
  const { port, host, onError } = options;
  const html = arenaPage();
  const running = new Set<Promise<void>>();
  const stopping = new AbortController();
  const isLocal = LOOPBACK.has(host);

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // The client has left; `answer` stops then.
    response.on("error", () => {});
    response.setHeader("cache-control", "no-store");
    response.setHeader("x-content-type-options", "nosniff");
    try {
      const name = (request.headers.host ?? "").replace(/:\d+$/, "");
      // Another site could point its own name at this machine and read the page.
      if (isLocal && !LOOPBACK.has(name)) throw new RefusedRequest(403, "this server answers to its own address only");
      const path = (request.url ?? "/").split("?", 1)[0];
      if (path === "/" && (request.method === "GET" || request.method === "HEAD")) {
        response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(html);
      } else if (path === "/api/answers" || path === "/api/votes") {
        const body = await bodyOf(request);
        await (path === "/api/votes" ? vote(body, response) : answer(body, response));
      } else throw new RefusedRequest(404, "there is no such page");
    } catch (error) {
      refuse(error, response);
    }
  }

  async function vote({ battle, winner }: Body, response: ServerResponse): Promise<void> {
    if (!WINNERS.includes(winner)) throw new RefusedRequest(400, `the winner must be one of ${WINNERS.join(", ")}`);
    json(response, 200, await battles.vote(battles.find(battle), winner as Winner));
  }

  async function answer({ battle: id, message }: Body, response: ServerResponse): Promise<void> {
    if (typeof message !== "string" || message.trim() === "" || message.length > LONGEST_MESSAGE) {
      throw new RefusedRequest(400, `the message must have 1 to ${LONGEST_MESSAGE} characters`);
    }
    const battle = id === undefined || id === null ? battles.start() : battles.find(id);
    if (battle.state !== "new" && battle.state !== "answered") {
      throw new BattleError("this battle takes no message now; start a new one");
    }
    response.writeHead(200, { "content-type": "application/x-ndjson; charset=utf-8" });
    const line = (event: object) => {
      if (!response.destroyed) response.write(`${JSON.stringify(event)}\n`);
    };
    line({ battle: battle.id });
    const left = new AbortController();
    response.on("close", () => left.abort());
    const signal = AbortSignal.any([left.signal, stopping.signal]);
    try {
      await battles.answer(battle, message, { signal, onText: (side, text) => line({ side, text }) });
      line({ done: true });
    } catch (error) {
      if (!isAbortError(error)) onError(error instanceof Error ? error.message : String(error));
      line({ error: "A model failed; the server's log says why. Start a new battle." });
    }
    response.end();
  }

  function refuse(error: unknown, response: ServerResponse): void {
    if (response.headersSent || response.destroyed) response.destroy();
    else if (error instanceof RefusedRequest) json(response, error.status, { error: error.message });
    else if (error instanceof BattleError) json(response, 409, { error: error.message });
    else {
      onError(error instanceof Error ? error.message : String(error));
      json(response, 500, { error: "The server failed; its log says why." });
    }
  }

  const server = createServer((request, response) => {
    const work = handle(request, response).finally(() => running.delete(work));
    running.add(work);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "another program uses the port; give another --port" : error.message;
      reject(new QuernError(`cannot listen on ${host}:${port}: ${why}`, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
  const { port: own } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host.replace(/^\[|\]$/g, "")}]` : host}:${own}/`,
    async close() {
      stopping.abort();
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      await Promise.all(running);
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Body {
  readonly battle?: unknown;
  readonly message?: unknown;
  readonly winner?: unknown;
}

/** Reads a JSON body of the page itself: browsers let other sites send only other content types without asking. */
async function bodyOf(request: IncomingMessage): Promise<Body> {
  if (request.method !== "POST") throw new RefusedRequest(405, "use POST");
  if (!/^application\/json\b/.test(request.headers["content-type"] ?? "")) {
    throw new RefusedRequest(415, "the body must be application/json");
  }
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LARGEST_BODY) throw new RefusedRequest(413, `the body has more than ${LARGEST_BODY} bytes`);
    chunks.push(chunk);
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    if (typeof body === "object" && body !== null && !Array.isArray(body)) return body;
  } catch {
    // Refused below.
  }
  throw new RefusedRequest(400, "the body is not a JSON object");
}

function json(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(value));
}
