/** quern chat as a process: piped, and on a terminal where the program script(1) makes one. */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { chatAnswer, json, startServer } from "../infer/faulty-server.js";
import { SLOW_BUILD } from "../model/targets.js";

const root = join(import.meta.dirname, "..", "..");
const cli = join(root, "dist", "src", "cli.js");
const TINY = fileURLToPath(new URL("../oracle/fixtures/tiny-chat", import.meta.url));

function chat(input: string, ...args: string[]) {
  return new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) => {
    const child = spawn(process.execPath, [cli, "chat", ...args]);
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    child.on("close", (status) => resolve({ status, stdout, stderr }));
    child.stdin.end(input);
  });
}

describe("quern chat, piped", { timeout: SLOW_BUILD }, () => {
  it("prints one line for each message, the same in each run", async () => {
    const input = "hello\n\nthe other\r\n//slash";
    const args = ["--model", TINY, "--max-tokens", "12", "--seed", "4"];
    const { status, stdout } = await chat(input, ...args);
    expect(status).toBe(0);
    expect(stdout.split("\n")).toHaveLength(4);
    const again = await chat(input, ...args, "--json");
    const objects = again.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(objects.map(({ message }) => message)).toEqual(["hello", "the other", "/slash"]);
    for (const [i, { answer, finish_reason, tokens }] of objects.entries()) {
      expect(["stop", "length"]).toContain(finish_reason);
      expect(tokens).toBeLessThanOrEqual(12);
      const line = (answer as string).trim().replace(/\s*[\n\r\v\f\u0085\u2028\u2029]\s*/g, " ");
      if (!/[\p{Cc}]/u.test(line)) expect(stdout.split("\n")[i]).toBe(line);
    }
  });

  it("drops the oldest turns of a conversation that outgrows the context, with a note", async () => {
    const lines = Array.from({ length: 5 }, (_, i) => `message ${i} the other`).join("\n");
    const { stdout, stderr } = await chat(lines, "--model", TINY, "--max-tokens", "8", "--json");
    const dropped = stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { dropped_turns: number }).dropped_turns);
    expect(dropped[0]).toBe(0);
    expect(dropped.slice(1).reduce((sum, each) => sum + each, 0)).toBeGreaterThan(0);
    expect(stderr).toMatch(/has outgrown the model's context/);
    const long = await chat(`short\n${"on".repeat(120)}`, "--model", TINY, "--max-tokens", "8");
    expect(long.status).toBe(1);
    expect(long.stderr).toMatch(
      /^quern: message 2: the message has \d+ tokens .*, but the model's context is 96; shorten it$/m,
    );
  });

  it("reports an unknown command, and a model without a chat template", async () => {
    const { status, stderr, stdout } = await chat("/rest\n/quit\nhello\n", "--model", TINY);
    expect([status, stdout]).toEqual([0, ""]);
    expect(stderr).toMatch(/unknown command \/rest; did you mean \/reset\?/);
    const folder = mkdtempSync(join(tmpdir(), "quern-chat-"));
    cpSync(TINY, folder, { recursive: true, filter: (path) => !path.endsWith("chat_template.jinja") });
    const base = await chat("hello\n", "--model", folder);
    rmSync(folder, { recursive: true });
    expect(base.status).toBe(2);
    expect(base.stderr).toMatch(
      /has no chat template: it is a base model; continue texts with quern generate, or choose/,
    );
  });

  it("talks with a server, and sends the whole conversation and only the given options", async () => {
    const server = await startServer(({ body }, response) => {
      const messages = body.messages as { content: string }[];
      if (!body.stream) return json(response, chatAnswer("?"));
      const chunk = {
        choices: [{ delta: { content: `line one\n  re: ${messages.at(-1)?.content}` }, finish_reason: "stop" }],
      };
      response.end(`data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`);
    });
    const input = "hello\n/system be kind\nagain\n/reset\nonce more\n";
    const { stdout, status } = await chat(
      input,
      "--model",
      "m",
      "--base-url",
      server.baseUrl,
      "--top-p",
      "0.5",
      "--system",
      "be brief",
    );
    await server.close();
    expect([status, stdout]).toEqual([0, "line one re: hello\nline one re: again\nline one re: once more\n"]);
    const sent = server.received.map(({ body: { messages, ...parameters } }) => {
      expect(parameters).toEqual({ model: "m", max_tokens: 512, top_p: 0.5, stream: true });
      return (messages as { role: string; content: string }[]).map(({ role, content }) => `${role}: ${content}`);
    });
    expect(sent).toEqual([
      ["system: be brief", "user: hello"],
      ["system: be kind", "user: hello", "assistant: line one\n  re: hello", "user: again"],
      ["system: be kind", "user: once more"],
    ]);
  });
});

const hasScript = process.platform === "linux" && spawnSync("script", ["--version"]).status === 0;
describe.skipIf(!hasScript)("quern chat on a terminal", { timeout: SLOW_BUILD }, () => {
  it("streams, stops an answer by Ctrl-C, and leaves by Ctrl-D", async () => {
    // Sends a piece and then nothing until the client leaves.
    let left = 0;
    const server = await startServer(({ body }, response, index) => {
      const piece = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
      if (index > 0)
        return void response.end(`${piece(`after ${(body.messages as unknown[]).length}\u001b[2J`)}data: [DONE]\n\n`);
      response.write(piece("a beginning"));
      response.on("close", () => {
        left += 1;
      });
    });
    const command = `${process.execPath} ${cli} chat --model m --base-url ${server.baseUrl}`;
    const child = spawn("script", ["-qec", command, "/dev/null"]);
    let output = "";
    const until = async (pattern: RegExp) => {
      while (!pattern.test(output)) await new Promise((resolve) => setTimeout(resolve, 20));
      output = output.replace(pattern, "");
    };
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    const closed = new Promise<number | null>((resolve) => child.on("close", resolve));
    await until(/lists the commands[\s\S]*> /);
    child.stdin.write("hello\r");
    await until(/a beginning/);
    child.stdin.write("\x03");
    await until(/\(stopped\)[\s\S]*> /);
    child.stdin.write("/nothing\r");
    await until(/unknown command \/nothing[\s\S]*> /);
    child.stdin.write("more\r");
    // The received part of the first answer is in the conversation; control characters are escaped.
    await until(/after 3\\x1b\[2J[\s\S]*> /);
    child.stdin.write("\x04");
    expect(await closed).toBe(0);
    expect(left).toBe(1);
    await server.close();
  });
});
