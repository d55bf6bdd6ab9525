/** Chat templates in Go's syntax, checked by rendering both with the same conversations. */
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ollamaTemplate } from "../../../src/infer/export/go-template.js";
import { exportModel } from "../../../src/infer/index.js";
import { openGguf } from "../../../src/model/index.js";
import { type ChatMessage, renderChat, Tokenizer, trainTokenizer } from "../../../src/tokenizer/index.js";
import { writeLlamaCppModel } from "./llama-cpp-models.js";

const trained = await trainTokenizer(["some text"], { vocabSize: 270, special: ["<|endoftext|>", "<s>"] });
function withTemplate(chat_template: string, before?: readonly number[]): Tokenizer {
  const { parts } = trained;
  return new Tokenizer({
    ...parts,
    before,
    config: { ...parts.config, chat_template, bos_token: "<s>", eos_token: "</s>" },
  });
}

/** Evaluates the part of Go's text/template that the files use, by the rules of its documentation. */
function renderGo(template: string, messages: readonly ChatMessage[]): string {
  const pieces = template.split(/\{\{((?:"(?:[^"\\]|\\.)*"|[^"}])*)\}\}/);
  type Node =
    | string
    | { readonly action: string; readonly branches: { readonly when: string; readonly body: Node[] }[] };
  let at = 0;
  const parse = (): Node[] => {
    const nodes: Node[] = [];
    for (; at < pieces.length; at++) {
      if (at % 2 === 0) {
        nodes.push(pieces[at]);
        continue;
      }
      const action = pieces[at].trim();
      if (action === "end" || action.startsWith("else")) return nodes;
      const branches: { when: string; body: Node[] }[] = [];
      if (/^(if|range) /.test(action)) {
        for (
          let when = action.replace(/^(if|range) /, "");
          ;
          when = pieces[at]
            .trim()
            .replace(/^else( if)?/, "")
            .trim()
        ) {
          at++;
          branches.push({ when, body: parse() });
          if (pieces[at].trim() === "end") break;
        }
      }
      nodes.push({ action, branches });
    }
    return nodes;
  };
  interface Scope {
    readonly dot: unknown;
    readonly variables: Map<string, unknown>;
  }
  const evaluate = (source: string, scope: Scope): unknown => {
    const tokens = source.match(/"(?:[^"\\]|\\.)*"|\$[\w.]*|[\w.]+|[()]/g) ?? [];
    let i = 0;
    const field = (value: unknown, path: string): unknown =>
      path
        .split(".")
        .filter(Boolean)
        .reduce((each, key) => {
          const held = each as Record<string, unknown>;
          return held[key] ?? held[key.toLowerCase()];
        }, value);
    const operand = (): unknown => {
      const token = tokens[i++];
      if (token === "(") {
        const inner = call();
        i++;
        return tokens[i]?.startsWith(".") ? field(inner, tokens[i++]) : inner;
      }
      if (token.startsWith('"')) return JSON.parse(token);
      if (/^\d/.test(token)) return Number(token);
      if (token.startsWith("$")) {
        const [name, ...path] = token.split(".");
        return field(name === "$" ? { Messages: messages } : scope.variables.get(name), path.join("."));
      }
      if (token.startsWith(".")) return field(scope.dot, token);
      return token;
    };
    const call = (): unknown => {
      const first = operand();
      const rest: unknown[] = [];
      while (i < tokens.length && tokens[i] !== ")") rest.push(operand());
      switch (first) {
        case "eq":
          return rest[0] === rest[1];
        case "ne":
          return rest[0] !== rest[1];
        case "not":
          return !rest[0];
        case "and":
          return rest.every(Boolean);
        case "len":
          return (rest[0] as unknown[]).length;
        case "slice":
          return (rest[0] as unknown[]).slice(rest[1] as number);
        case "index":
          return (rest[0] as unknown[])[rest[1] as number];
        default:
          if (rest.length > 0) throw new Error(`no function ${String(first)}`);
          return first;
      }
    };
    return call();
  };
  const run = (nodes: readonly Node[], scope: Scope): string =>
    nodes
      .map((node) => {
        if (typeof node === "string") return node;
        const { action, branches } = node;
        if (action.startsWith("range ")) {
          return messages
            .map((dot, i) =>
              run(branches[0].body, {
                dot,
                variables: new Map<string, unknown>([
                  ["$i", i],
                  ["$_", dot],
                ]),
              }),
            )
            .join("");
        }
        if (action.startsWith("if ")) {
          const taken = branches.find(({ when }) => when === "" || evaluate(when, scope));
          return taken === undefined ? "" : run(taken.body, scope);
        }
        const [, name, value] = /^(\$\w+) := (.*)$/s.exec(action) ?? [];
        if (name !== undefined) {
          scope.variables.set(name, evaluate(value, scope));
          return "";
        }
        return String(evaluate(action, scope));
      })
      .join("");
  return run(parse(), { dot: { Messages: messages }, variables: new Map() });
}

const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });
const system = (content: string) => ({ role: "system", content });
const CONVERSATIONS: readonly (readonly ChatMessage[])[] = [
  [user("Hello")],
  [user("A line\n\nand {{ another }} }} {"), assistant("Yes.\n"), user('$1 \\n "quoted" 水車')],
  [system("You are a miller."), user("Hello")],
  [system("S"), user("1"), assistant("2"), user("3"), assistant("4"), user("5"), assistant("6"), user("7")],
];

const LOOP = "{% for m in messages %}";
const CHATML = `${LOOP}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}`;
const TEMPLATES: Readonly<Record<string, string>> = {
  ChatML: CHATML,
  "ChatML with a default system message": `{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}${CHATML}`,
  "Llama 3":
    `{{ bos_token }}${LOOP}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}` +
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
  Zephyr: `${LOOP}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}`,
  "Phi 3": `${LOOP}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}`,
  "Llama 2":
    "{% set s = '' %}{% set rest = messages %}{% if messages[0].role == 'system' %}{% set s = messages[0].content %}{% set rest = messages[1:] %}{% endif %}" +
    "{% for m in rest %}{% if m.role == 'user' %}{{ bos_token }}[INST] {% if loop.first and s %}<<SYS>>\n{{ s }}\n<</SYS>>\n\n{% endif %}{{ m.content }} [/INST]" +
    "{% else %} {{ m.content }} </s>{% endif %}{% endfor %}",
  "braces around roles": `${LOOP}{{ '{' ~ m.role ~ '}' }}{{ m.content }}{{ '}}' }}{% endfor %}{% if add_generation_prompt %}{{ '{assistant}' }}{% endif %}`,
};

describe("a template for Ollama", () => {
  it.each(Object.keys(TEMPLATES))("of %s renders conversations as the chat template", async (name) => {
    const tokenizer = withTemplate(TEMPLATES[name]);
    const { template, warnings } = await ollamaTemplate(tokenizer, false);
    for (const messages of CONVERSATIONS) {
      const isTrimmed = name === "Llama 3";
      const plain = isTrimmed ? messages.map((m) => ({ ...m, content: String(m.content).trim() })) : messages;
      expect(renderGo(template, plain)).toBe(await renderChat(tokenizer, messages, { addGenerationPrompt: true }));
    }
    expect(warnings.some((each) => each.includes("white space"))).toBe(name === "Llama 3");
  });

  it("leaves an answer open that a client began", async () => {
    const { template } = await ollamaTemplate(withTemplate(CHATML), false);
    expect(renderGo(template, [user("Hi"), assistant("Well")])).toBe(
      "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nWell",
    );
  });

  it("has no beginning-of-text token if llama.cpp adds it", async () => {
    const tokenizer = withTemplate(TEMPLATES["Llama 3"], [1]);
    expect((await ollamaTemplate(tokenizer, false)).template).toMatch(/^<s>/);
    const { template } = await ollamaTemplate(tokenizer, true);
    for (const messages of [CONVERSATIONS[0], CONVERSATIONS[2]]) {
      const rendered = await renderChat(tokenizer, messages, { addGenerationPrompt: true });
      expect(`<s>${renderGo(template, messages)}`).toBe(rendered);
    }
  });

  it("leaves out system messages that the chat template rejects, with a warning", async () => {
    const source = `{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}${CHATML}`;
    const tokenizer = withTemplate(source);
    const { template, warnings } = await ollamaTemplate(tokenizer, false);
    expect(warnings).toEqual(["the chat template rejects system messages; Ollama leaves them out"]);
    expect(renderGo(template, [system("S"), user("Hi")])).toBe(
      await renderChat(tokenizer, [user("Hi")], { addGenerationPrompt: true }),
    );
  });

  it.each([
    [
      "the system message within the last user's",
      `${LOOP}{% if m.role == 'user' %}{% if loop.last and messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}<user>{{ m.content }}{% endif %}` +
        "{% if m.role == 'assistant' %}<answer>{{ m.content }}{% endif %}{% endfor %}",
    ],
    ["only the last message", "{{ messages[-1].content }}"],
    ["messages twice", `${LOOP}{{ m.content }}{{ m.content }}{% endfor %}`],
  ])("is refused for a chat template with %s", async (_, source) => {
    await expect(ollamaTemplate(withTemplate(source), false)).rejects.toThrow(
      /cannot be expressed as a template of Ollama: .*; use --gguf/,
    );
  });

  it("is written with the file, its stop texts and its context", async () => {
    const folder = await mkdtemp(join(tmpdir(), "quern-ollama-"));
    const model = await writeLlamaCppModel("llama", folder);
    const config = JSON.parse(readFileSync(join(model, "tokenizer_config.json"), "utf8"));
    writeFileSync(join(model, "tokenizer_config.json"), JSON.stringify({ ...config, chat_template: CHATML }));
    const out = join(folder, "ollama");
    const exported = await exportModel({ model, ollama: out, type: "q8_0" });
    expect(exported).toMatchObject({ gguf: join(out, "model.gguf"), modelfile: join(out, "Modelfile"), type: "q8_0" });
    const file = readFileSync(join(out, "Modelfile"), "utf8");
    const [, template] = /^FROM \.\/model\.gguf\nTEMPLATE """([\s\S]*)"""\nPARAMETER num_ctx 128\n/.exec(file) ?? [];
    expect(renderGo(template, CONVERSATIONS[2])).toMatch(/^<\|im_start\|>system\nYou are a miller\.<\|im_end\|>\n/);
    expect(file).toContain('PARAMETER stop "<|endoftext|>"\nPARAMETER stop "<|im_end|>"\n');
    const gguf = await openGguf(exported.gguf);
    expect(gguf.metadata.get("tokenizer.chat_template")).toBe(CHATML);
    await gguf.close();
    await expect(exportModel({ model, ollama: out, gguf: "x" })).rejects.toThrow(/not both/);
    await expect(exportModel({ model })).rejects.toThrow(/give/);
    await rm(folder, { recursive: true });
  });
});
