import { createInterface, type Interface } from "node:readline";
import { isAbortError, QuernError } from "../errors.js";
import { chatOptions } from "../infer/chat-options.js";
import type { Chat, ChatAnswer } from "../infer/index.js";
import { nearest } from "../options.js";
import { printable } from "../printable.js";
import { type CommandContext, defineCommand } from "./command.js";

const COMMANDS: Readonly<Record<string, string>> = {
  "/reset": "clear the conversation, but keep the system message",
  "/system TEXT": "set the system message, or remove it without TEXT",
  "/help": "list the commands",
  "/quit": "leave",
};

export default defineCommand({
  description:
    "Chat with a model through its chat template. Ctrl-C stops an answer; Ctrl-D, or Ctrl-C twice at the empty prompt, leaves. " +
    "/help lists the commands; start a message with // to send one slash. When the conversation outgrows the model's context, " +
    "the oldest turns are dropped. When standard input is piped, each non-blank line is one message and each answer is " +
    "printed on one line, with line breaks as spaces. --json prints one object per line: message, answer, finish_reason, " +
    "tokens, dropped_turns.",
  options: chatOptions,
  computes: true,
  examples: [
    "quern chat --model smollm2.gguf",
    'quern chat --model smollm2.gguf --system "Answer in one sentence." --temperature 0 < questions.txt',
    "quern chat --model llama3 --base-url http://127.0.0.1:8000/v1",
  ],
  async run(options, context) {
    const { openChat } = await import("../infer/index.js");
    await using chat = await openChat(withoutDefaults(options));
    const isTerminal = process.stdin.isTTY && process.stdout.isTTY && !context.json;
    if (isTerminal) await talk(chat, context);
    else await answerLines(chat, context);
    return null;
  },
});

/** A server receives only the options that the user gave, not the defaults of the schema. */
function withoutDefaults<O extends { readonly baseUrl?: string }>(options: O): O {
  if (options.baseUrl === undefined) return options;
  const defaults = chatOptions.parse({ model: "" }) as Readonly<Record<string, unknown>>;
  const given = Object.entries(options).filter(([key, value]) => key === "model" || value !== defaults[key]);
  return Object.fromEntries(given) as O;
}

/** Reads one message per line and prints one answer per line. */
async function answerLines(chat: Chat, { signal, json, print, log }: CommandContext): Promise<void> {
  const lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY });
  const close = () => lines.close();
  signal.addEventListener("abort", close, { once: true });
  let number = 0;
  for await (const line of lines) {
    number += 1;
    if (signal.aborted) break;
    if (line.trim() === "") continue;
    if (isCommand(line)) {
      if (runCommand(line, chat, log) === "quit") break;
      continue;
    }
    const message = messageOf(line);
    const onDropped = (turns: number) => log(droppedNote(turns));
    const answer = await chat.say(message, { signal, onDropped }).catch((error: unknown) => {
      if (!(error instanceof QuernError)) throw error;
      throw new QuernError(`message ${number}: ${error.message}`, { exitCode: error.exitCode, cause: error });
    });
    if (answer.finishReason === "aborted") break;
    if (json) process.stdout.write(`${JSON.stringify(jsonOf(message, answer))}\n`);
    else print(answer.text.trim().replace(/\s*[\n\r\v\f\u0085\u2028\u2029]\s*/g, " "));
  }
  signal.removeEventListener("abort", close);
  lines.close();
}

function jsonOf(message: string, { text, finishReason, tokens, droppedTurns }: ChatAnswer): object {
  return { message, answer: text, finish_reason: finishReason, tokens, dropped_turns: droppedTurns };
}

/** Runs a conversation on the terminal. */
async function talk(chat: Chat, { signal, write, print, log }: CommandContext): Promise<void> {
  print(`${chat.name}: /help lists the commands, Ctrl-D leaves`);
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: "> " });
  let answering: AbortController | undefined;
  let interrupts = 0;
  lines.on("SIGINT", () => {
    if (answering !== undefined) answering.abort();
    else if (lines.line !== "") clearLine(lines);
    else if (interrupts > 0) lines.close();
    else print("\npress Ctrl-C again, or Ctrl-D, to leave");
    interrupts += 1;
    if (answering === undefined && interrupts === 1) lines.prompt();
  });
  const close = () => lines.close();
  signal.addEventListener("abort", close, { once: true });
  lines.prompt();
  for await (const line of lines) {
    interrupts = 0;
    if (isCommand(line)) {
      if (runCommand(line, chat, print) === "quit") break;
    } else if (line.trim() !== "") {
      answering = new AbortController();
      const either = AbortSignal.any([signal, answering.signal]);
      try {
        const { finishReason, text } = await chat.say(messageOf(line), {
          signal: either,
          onText: (piece) => write(printable(piece)),
          onDropped: (turns) => log(droppedNote(turns)),
        });
        if (!text.endsWith("\n")) print();
        if (finishReason === "length") log("(the answer was cut off at --max-tokens or the end of the context)");
        if (finishReason === "aborted") log("(stopped)");
      } catch (error) {
        // An error in one message does not end the conversation.
        if (!(error instanceof QuernError) || isAbortError(error)) throw error;
        log(error.message);
      } finally {
        answering = undefined;
      }
    }
    if (signal.aborted) break;
    lines.prompt();
  }
  signal.removeEventListener("abort", close);
  lines.close();
  print();
}

function clearLine(lines: Interface): void {
  lines.write(null, { ctrl: true, name: "e" });
  lines.write(null, { ctrl: true, name: "u" });
}

const isCommand = (line: string) => line.startsWith("/") && !line.startsWith("//");
const messageOf = (line: string) => (line.startsWith("//") ? line.slice(1) : line);
const droppedNote = (turns: number) =>
  `(the conversation has outgrown the model's context; ${turns === 1 ? "the oldest turn was" : `the ${turns} oldest turns were`} dropped)`;

/** Runs a slash command. */
function runCommand(line: string, chat: Chat, print: (line: string) => void): "quit" | "stay" {
  const [name] = line.trim().split(/\s/, 1);
  const rest = line.trim().slice(name.length).trim();
  switch (name) {
    case "/quit":
      return "quit";
    case "/reset":
      chat.reset();
      print("(conversation reset)");
      return "stay";
    case "/system":
      chat.setSystem(rest === "" ? undefined : rest);
      print(rest === "" ? "(system message removed)" : "(system message set)");
      return "stay";
    case "/help":
      for (const [command, what] of Object.entries(COMMANDS)) print(`  ${command.padEnd(14)}${what}`);
      print(`  ${"//…".padEnd(14)}send a message that begins with a slash`);
      return "stay";
    default: {
      const names = Object.keys(COMMANDS).map((each) => each.split(" ")[0]);
      print(
        `unknown command ${name}; did you mean ${nearest(name, names)}? /help lists the commands; start a message with // to send a slash`,
      );
      return "stay";
    }
  }
}
