/**
 * @file The server under load: how long its event loop is blocked while 8 clients send 200 requests, how its memory changes over 2,000
 * requests, and the tokens/s of 8 streams through HTTP beside the same through the library. The clients are a process of their own.
 *   npm run bench serve -- MODEL [--requests 200 --clients 8 --prompt 300 --tokens 32 --memory 2000 --streamed 128 --rounds 5 --threads 2]
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { examineMachine } from "../src/backends/index.js";
import { completeText, createDecoder, encodePrompt, openTextModel, typedWeights } from "../src/infer/index.js";
import { serve } from "../src/serve/index.js";
import { machineLine, median } from "./measure.js";
import type { Load, LoadResult } from "./serve-clients.js";

const numbers = {
  requests: 200,
  clients: 8,
  prompt: 300,
  tokens: 32,
  memory: 2000,
  streamed: 128,
  rounds: 5,
  threads: 0,
};
const [path, ...rest] = process.argv.slice(2);
if (path === undefined) throw new Error("give the model to serve");
for (let i = 0; i < rest.length; i += 2) {
  const name = rest[i].replace(/^--/, "") as keyof typeof numbers;
  if (!(name in numbers) || !(Number(rest[i + 1]) >= 0)) throw new Error(`unknown flag ${rest[i]}`);
  numbers[name] = Number(rest[i + 1]);
}
const { requests, clients, streamed, rounds } = numbers;
const threads = numbers.threads || (await examineMachine({ measure: false })).threads;
const WORDS =
  "the sea was calm and a small boat came from the north with three men who had seen no land for weeks".split(" ");
/** A text of about this many tokens, another one for each number. */
const textOf = (length: number, number: number) =>
  Array.from({ length }, (_, i) => WORDS[(i * i + number * (i + 7)) % WORDS.length]).join(" ");

const server = await serve({ model: [`bench=${path}`], port: 0, slots: clients, threads, onWarning: console.error });
const process_ = fork(fileURLToPath(new URL("./serve-clients.js", import.meta.url)), [server.url]);
/** Has the clients send requests, and waits for all answers. */
async function send(load: Load): Promise<LoadResult> {
  const answered = once(process_, "message");
  process_.send(load);
  return (await answered)[0] as LoadResult;
}
const loadOf = (count: number, prompt: number, tokens: number, isStream: boolean): Load => ({
  clients,
  bodies: Array.from({ length: count }, (_, i) => ({
    prompt: textOf(1 + ((i * 37) % prompt), i),
    max_tokens: tokens,
    seed: i,
    temperature: 0.8,
    stream: isStream && i % 2 === 0,
  })),
});

await send(loadOf(2 * clients, 40, 4, true)); // loads and compiles
const resolution = 2;
const delay = monitorEventLoopDelay({ resolution });
delay.enable();
const loaded = await send(loadOf(requests, numbers.prompt, numbers.tokens, true));
delay.disable();
// A sample is the time between two timers, of which the resolution is no delay.
const milliseconds = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolution);
const loop = { p50: delay.percentile(50), p99: delay.percentile(99), max: delay.max };
const loop_ms = Object.fromEntries(Object.entries(loop).map(([name, value]) => [name, milliseconds(value)]));
console.log(
  `${requests} requests, ${clients} at once, ${loaded.seconds.toFixed(1)} s: event loop delayed by ` +
    `p50 ${loop_ms.p50.toFixed(1)}, p99 ${loop_ms.p99.toFixed(1)}, at most ${loop_ms.max.toFixed(1)} ms`,
);

const memory: number[] = [];
const resident = () => process.memoryUsage.rss() / 2 ** 20;
for (let done = 0, part = Math.floor(numbers.memory / 10); part > 0 && done < 10; done++) {
  await send(loadOf(part, 60, 8, true));
  memory.push(resident());
}
const change = memory.length === 0 ? 0 : memory[memory.length - 1] / memory[0] - 1;
if (memory.length > 0) {
  const shown = memory.map((each) => each.toFixed(0)).join(" ");
  console.log(`memory after each tenth of ${numbers.memory} requests: ${shown} MiB, ${(100 * change).toFixed(1)} %`);
}

// The same completions by the library, in turn.
const opened = await openTextModel(path);
const { types, source } = typedWeights(opened.model, opened.model.storedType === undefined ? "f32" : "stored");
const decoder = createDecoder(opened.model.config, source, {
  ...{ types, slots: clients, sequence: opened.model.config.sequence, cpu: { threads } },
});
const streams = loadOf(clients, 20, streamed, true).bodies.map((body) => ({ ...body, stream: true, temperature: 0 }));
const rates: Record<"library" | "http", number[]> = { library: [], http: [] };
for (let round = -1; round < rounds; round++) {
  const { seconds, tokens } = await send({ clients, bodies: streams });
  await setTimeout(1000); // the server prefills the answers that have ended
  const start = performance.now();
  let made = 0;
  let characters = 0;
  await Promise.all(
    streams.map(async ({ prompt, max_tokens, seed }) => {
      const { ids } = await encodePrompt(opened.tokenizer, opened.beginning, { prompt });
      const request = { prompt: ids, tokens: max_tokens, seed, temperature: 0, topK: 0, endOfText: opened.endOfText };
      const onText = (text: string) => {
        characters += text.length;
      };
      const [completion] = await completeText(decoder, opened.tokenizer, request, { onText });
      made += completion.tokens.length;
    }),
  );
  if (made !== tokens || characters === 0) throw new Error(`the server made ${tokens} tokens, the library ${made}`);
  if (round < 0) continue;
  rates.http.push(tokens / seconds);
  rates.library.push((1000 * made) / (performance.now() - start));
}
const [http, library] = [median(rates.http), median(rates.library)];
console.log(
  `${clients} streams of ${streamed} tokens: ${http.toFixed(0)} tokens/s through HTTP, ${library.toFixed(0)} by the library: ` +
    `${((100 * http) / library).toFixed(1)} %`,
);
console.log(await machineLine());
console.log(
  JSON.stringify({
    bench: "serve",
    ...numbers,
    threads,
    loop_ms,
    memory_mib: memory,
    memory_change: change,
    http,
    library,
  }),
);
decoder.dispose();
await opened.close();
process_.disconnect();
await server.close();
