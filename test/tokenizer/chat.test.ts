import { describe, expect, it } from "vitest";
import { type ChatMessage, encodeChat, renderChat, Tokenizer, trainTokenizer } from "../../src/tokenizer/index.js";

const trained = await trainTokenizer(["user assistant system Hello there, how are you?"], {
  vocabSize: 320,
  special: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
});
const withTemplate = (chat_template: unknown) =>
  new Tokenizer({ ...trained.parts, config: { ...trained.parts.config, chat_template } });

const CHATML =
  "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
/** Renders earlier answers without their reasoning. */
const FORGETFUL =
  "{% for message in messages %}{% set content = message.content %}" +
  "{% if message.role == 'assistant' and not loop.last %}{% set content = content.split('</think>')[-1] %}{% endif %}" +
  "{{ '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const messages: ChatMessage[] = [
  { role: "system", content: "Be kind." },
  { role: "user", content: "Hello" },
  { role: "assistant", content: "<think>hm</think>Hello there" },
  { role: "user", content: "Hello there" },
  { role: "assistant", content: "<think>well</think>Bye" },
];

async function masked(
  tokenizer: Tokenizer,
  chat: readonly ChatMessage[],
  addGenerationPrompt = false,
): Promise<string> {
  const { ids, assistantMask, text } = await encodeChat(tokenizer, chat, { addGenerationPrompt });
  expect(tokenizer.decode(ids)).toBe(text);
  expect(assistantMask.length).toBe(ids.length);
  return tokenizer.decode([...ids].filter((_, i) => assistantMask[i] === 1));
}

describe("chat templates", () => {
  it("render with special tokens", async () => {
    const tokenizer = withTemplate(CHATML);
    const text = await renderChat(tokenizer, messages.slice(0, 2), { addGenerationPrompt: true });
    expect(text).toBe(
      "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    );
    const { ids } = await encodeChat(tokenizer, messages.slice(0, 2));
    expect([...ids].filter((id) => id === tokenizer.special.get("<|im_end|>")).length).toBe(2);
  });

  it("mask the assistant's turns, with their end-of-turn tokens", async () => {
    const both = "<think>hm</think>Hello there<|im_end|><think>well</think>Bye<|im_end|>";
    expect(await masked(withTemplate(CHATML), messages)).toBe(both);
    expect(await masked(withTemplate(CHATML), messages.slice(0, 4), true)).toBe(
      "<think>hm</think>Hello there<|im_end|>",
    );
    expect(await masked(withTemplate(CHATML), messages.slice(0, 2), true)).toBe("");
  });

  it("mask an answer that is rendered differently once more messages follow", async () => {
    expect(await masked(withTemplate(FORGETFUL), messages)).toBe(
      "Hello there<|im_end|><think>well</think>Bye<|im_end|>",
    );
  });

  it("mask generation blocks and nothing else", async () => {
    const marked = CHATML.replace(
      "message.content + '<|im_end|>\\n' }}",
      "'' }}{%- if message.role == 'assistant' -%}{%- generation -%}{{ message.content }}{%- endgeneration -%}" +
        "{%- else -%}{{ message.content }}{%- endif -%}{{ '<|im_end|>\\n' }}",
    );
    expect(marked).not.toBe(CHATML);
    expect(await masked(withTemplate(marked), messages)).toBe("<think>hm</think>Hello there<think>well</think>Bye");
    const text = await renderChat(withTemplate(CHATML), messages);
    expect((await encodeChat(withTemplate(marked), messages)).text).toBe(text);
  });

  it("are chosen by name", async () => {
    const tokenizer = withTemplate([
      { name: "default", template: "d" },
      { name: "tools", template: "{{ tools[0] }}{{ extra }}" },
    ]);
    expect(await renderChat(tokenizer, messages)).toBe("d");
    expect(await renderChat(tokenizer, messages, { template: "tools", tools: ["t"], variables: { extra: 1 } })).toBe(
      "t1",
    );
    await expect(renderChat(tokenizer, messages, { template: "rag" })).rejects.toThrow(/none|named rag/);
  });

  it("receive messages as in transformers: no nulls, reasoning under every name, tools and documents null", async () => {
    const shown = withTemplate(
      "{{ messages[0].content is defined }}|{{ messages[0].reasoning_content }}|{{ messages[0].thinking }}|" +
        "{{ tools is none }}|{{ documents is none }}|{{ eos_token }}|{{ sep_token is defined }}",
    );
    const chat = [{ role: "assistant", content: null, reasoning: "hm" }];
    expect(await renderChat(shown, chat)).toBe("False|hm|hm|True|True|<|endoftext|>|False");
    await expect(renderChat(shown, [])).rejects.toThrow(/no messages/);
    await expect(renderChat(shown, ["hi"] as unknown as ChatMessage[])).rejects.toThrow(/message 0/);
  });

  it("use the tool template if tools are given", async () => {
    const tokenizer = withTemplate([
      { name: "default", template: "d" },
      { name: "tool_use", template: "t{{ tools|length }}" },
    ]);
    expect(await renderChat(tokenizer, messages)).toBe("d");
    expect(await renderChat(tokenizer, messages, { tools: [{}, {}] })).toBe("t2");
  });

  it("leave the last message open", async () => {
    const open = { continueFinalMessage: true };
    const start = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n";
    const chat = (content: unknown) => [messages[1], { role: "assistant", content }];
    expect(await renderChat(withTemplate(CHATML), chat("Well, "), open)).toBe(`${start}Well, `);
    const trimming = withTemplate(CHATML.replace("message.content", "message.content|trim"));
    expect(await renderChat(trimming, chat(" Well, "), open)).toBe(`${start}Well,`);
    await expect(renderChat(withTemplate("{{ messages[0].content }}"), chat("x"), open)).rejects.toThrow(/unchanged/);
    await expect(renderChat(withTemplate(CHATML), chat(undefined), open)).rejects.toThrow(/no content/);
    const both = { ...open, addGenerationPrompt: true };
    await expect(renderChat(withTemplate(CHATML), chat("x"), both)).rejects.toThrow(/choose one/);
    await expect(encodeChat(withTemplate(CHATML), chat("x"), open)).rejects.toThrow(
      /does not support continueFinalMessage/,
    );
  });

  it("mask every id that overlaps a generation block, and reject blocks in captured text", async () => {
    const marked = withTemplate(
      "{% for m in messages %}{{ m.role }} {% generation %}{{ m.content }}{% endgeneration %}|{% endfor %}",
    );
    expect(await masked(marked, [{ role: "user", content: "Hello there" }])).toContain("Hello there");
    const captured = withTemplate("{% set x %}{% generation %}a{% endgeneration %}{% endset %}{{ x }}");
    await expect(encodeChat(captured, messages)).rejects.toThrow(/within a macro or a captured block/);
  });

  it("report errors", async () => {
    await expect(renderChat(trained, messages)).rejects.toThrow(/no chat_template/);
    await expect(renderChat(withTemplate("{% if %}"), messages)).rejects.toThrow(/cannot be parsed: line 1/);
    await expect(renderChat(withTemplate("{{ raise_exception('odd roles') }}"), messages)).rejects.toThrow(/odd roles/);
    await expect(encodeChat(withTemplate("{{ messages[2].content | length }}"), messages)).rejects.toThrow(
      /cannot be located/,
    );
  });
});
