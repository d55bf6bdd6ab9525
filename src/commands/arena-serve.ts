import { arenaServeOptions } from "../eval/arena/serve-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Serve a local page where people compare models: two unnamed models answer the same message side by side, a person votes " +
    "(A, B, tie, both bad), and the names appear. Votes are appended to a JSONL file, each on disk before its voter sees the " +
    "names; quern arena rank ranks them. Several people can vote at once. Ctrl-C stops the server.",
  options: arenaServeOptions,
  computes: true,
  examples: [
    "quern arena serve --models runs/chat smollm2.gguf --votes votes.jsonl",
    "quern arena serve --models runs/chat http://127.0.0.1:8000/v1#llama3 --port 0",
  ],
  async run(options, { signal, print, log, named, json }) {
    const { arenaServe } = await import("../eval/index.js");
    const arena = await arenaServe({ ...options, named, onError: (message) => log(`error: ${message}`) });
    const note = `arena of ${arena.models.join(", ")}: ${arena.url}`;
    // --json prints only the last line, but a person needs the address now.
    if (json) log(note);
    else print(note);
    try {
      if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    } finally {
      await arena.close();
    }
    print(`${arena.votes} votes in ${options.votes}`);
    return { url: arena.url, models: arena.models, file: options.votes, votes: arena.votes };
  },
});
