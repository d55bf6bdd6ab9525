/** @file The clients of bench/serve.ts: a process that sends completions to a server, several at once. */
import { Agent, request } from "node:http";

export interface Load {
  /** Requests at once. */
  readonly clients: number;
  readonly bodies: readonly {
    readonly prompt: string;
    readonly max_tokens: number;
    readonly seed: number;
    readonly temperature: number;
    readonly stream: boolean;
  }[];
}

export interface LoadResult {
  readonly seconds: number;
  /** Tokens of all completions. */
  readonly tokens: number;
}

const [url] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, noDelay: true });

/** Sends one request and returns the tokens of its completion. */
function complete(body: Load["bodies"][number]): Promise<number> {
  const options = body.stream ? { stream_options: { include_usage: true } } : {};
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/v1/completions`, { method: "POST", agent }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (piece: string) => {
        text += piece;
      });
      answer.on("end", () => {
        const [, tokens] = /"completion_tokens":(\d+)/.exec(text) ?? [];
        if (answer.statusCode === 200 && tokens !== undefined) resolve(Number(tokens));
        else reject(new Error(`${answer.statusCode}: ${text.slice(0, 300)}`));
      });
      answer.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(JSON.stringify({ ...body, ...options }));
  });
}

process.on("message", async ({ clients, bodies }: Load) => {
  let next = 0;
  let tokens = 0;
  const start = performance.now();
  const work = async () => {
    while (next < bodies.length) {
      const made = await complete(bodies[next++]);
      tokens += made;
    }
  };
  await Promise.all(Array.from({ length: clients }, work));
  process.send?.({ seconds: (performance.now() - start) / 1000, tokens } satisfies LoadResult);
});
