import { serveOptions } from "../serve/serve-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Serve models with OpenAI's HTTP interface: chat and text completions, embeddings, streams, token probabilities, JSON that " +
    "fits a schema. The first line of output is the address, when the server is ready. Weights are read at a model's first " +
    "request. Ctrl-C or SIGTERM finishes the running requests and stops.",
  options: serveOptions,
  servesUntilInterrupt: true,
  computes: true,
  examples: [
    "quern serve --model runs/chat",
    "quern serve --model small=smollm2.gguf --model runs/chat --port 0",
    "quern serve --model runs/base --adapter tuned=runs/lora --host 0.0.0.0 --api-key secret",
  ],
  async run(options, { signal, print, log, named, json }) {
    const { serve } = await import("../serve/index.js");
    const server = await serve({ ...options, named, onWarning: log });
    // --json prints only the last line, but a person needs the address now.
    if (json) log(server.url);
    else print(server.url);
    for (const { id, context, parent } of server.models) {
      log(`${id}: context ${context} tokens${parent === undefined ? "" : `, adapter of ${parent}`}`);
    }
    try {
      if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    } finally {
      await server.close();
    }
    return { url: server.url, models: server.models.map(({ id }) => id) };
  },
});
