/** Formats of tool calls from the template to the constraint and back: templates made up in the form of the published ones. */
import { describe, expect, it } from "vitest";
import { compileJsonSchema, vocabularyOf } from "../../../src/infer/grammar/index.js";
import type { CompiledConstraint } from "../../../src/infer/index.js";
import type { ChatRequest, ConversationMessage, Tool } from "../../../src/serve/protocol/chat-request.js";
import { templateTools } from "../../../src/serve/tools/conversation.js";
import { type ChatGrammar, planChat } from "../../../src/serve/tools/plan.js";
import { renderChat, Tokenizer, trainTokenizer } from "../../../src/tokenizer/index.js";

const trained = await trainTokenizer(["a few words to learn from, a few words"], { vocabSize: 260, threads: 1 });

const LIST = "{% for tool in tools or [] %}{{ tool | tojson }}\n{% endfor %}";
const eachMessage = (assistant: string, end: string) =>
  `${LIST}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% if m.tool_calls %}${assistant}{% endif %}${end}{% endfor %}`;
const eachCall = (call: string) => `{% for c in m.tool_calls %}${call}{% endfor %}`;
const eachArgument = (argument: string) => `{% for k, v in c.function.arguments.items() %}${argument}{% endfor %}`;
const dsml = (list: string) =>
  eachMessage(
    `<｜DSML｜${list}>\n${eachCall(
      `<｜DSML｜invoke name="{{ c.function.name }}">\n${eachArgument(
        `<｜DSML｜parameter name="{{ k }}" string="{{ 'true' if v is string else 'false' }}">{{ v if v is string else v | tojson }}</｜DSML｜parameter>\n`,
      )}</｜DSML｜invoke>\n`,
    )}</｜DSML｜${list}>`,
    "<｜end▁of▁sentence｜>",
  );

/** By format: its template, and its call of `weather` with Paris and 2. */
const FORMATS: Readonly<Record<string, { readonly template: string; readonly call: string; readonly text?: string }>> =
  {
    harmony: {
      template: `${LIST}{% for m in messages %}{% if m.role == "tool" %}<|start|>functions.x to=assistant<|channel|>commentary<|message|>{{ m.content | tojson }}<|end|>{% elif m.tool_calls %}{% set c = m.tool_calls[0] %}<|start|>assistant to=functions.{{ c.function.name }}<|channel|>commentary json<|message|>{{ c.function.arguments | tojson }}<|call|>{% elif m.role == "assistant" %}<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|return|>{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}`,
      text: "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant",
      call: '<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"city": "Paris", "days": 2}',
    },
    "functionary-3.2": {
      template: `${LIST}Respond with >>>\${recipient}, which is a function or >>>all.{% for m in messages %}<{{ m.role }}>{% if m.role == "assistant" %}{% if m.content %}>>>all\n{{ m.content }}{% endif %}{% for c in m.tool_calls or [] %}>>>{{ c.function.name }}\n{{ c.function.arguments }}{% endfor %}{% else %}{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}>>>{% endif %}`,
      text: "all\nHm.>>>",
      call: 'weather\n{"city": "Paris", "days": 2}',
    },
    "kimi-k2": {
      template: eachMessage(
        `<|tool_calls_section_begin|>${eachCall(
          "<|tool_call_begin|>{{ c.id }}<|tool_call_argument_begin|>{{ c.function.arguments | tojson }}<|tool_call_end|>",
        )}<|tool_calls_section_end|>`,
        "{{ m.tool_call_id }}",
      ),
      text: "Hm.",
      call: '<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>{"city": "Paris", "days": 2}<|tool_call_end|><|tool_calls_section_end|>',
    },
    "deepseek-v3.2": {
      template: dsml("function_calls"),
      text: "Hm.",
      call: '<｜DSML｜function_calls>\n<｜DSML｜invoke name="weather">\n<｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>\n<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    },
    "deepseek-v4": {
      template: dsml("tool_calls"),
      text: "Hm.",
      call: '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="weather">\n<｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>\n<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>',
    },
    "minimax-m2": {
      template: eachMessage(
        `\n<minimax:tool_call>\n${eachCall(
          `<invoke name="{{ c.function.name }}">\n${eachArgument(
            `<parameter name="{{ k }}">{{ v if v is string else v | tojson }}</parameter>\n`,
          )}</invoke>\n`,
        )}</minimax:tool_call>`,
        "[e~[",
      ),
      text: "Hm.",
      call: '<minimax:tool_call>\n<invoke name="weather">\n<parameter name="city">Paris</parameter>\n<parameter name="days">2</parameter>\n</invoke>\n</minimax:tool_call>',
    },
    "minimax-m1": {
      template: `{"name": <tool-name>, "arguments": <args-json-object>}${eachMessage(
        `<tool_calls>\n${eachCall(
          `{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\n`,
        )}</tool_calls>`,
        "<end_of_sentence>",
      )}`,
      text: "Hm.",
      call: '<tool_calls>\n{"name": "weather", "arguments": {"city": "Paris", "days": 2}}\n</tool_calls>',
    },
    "seed-oss": {
      template: eachMessage(
        eachCall(
          `<seed:tool_call>\n<function={{ c.function.name }}>\n${eachArgument(
            "<parameter={{ k }}>{{ v }}</parameter>\n",
          )}</function>\n</seed:tool_call>`,
        ),
        "<seed:eos>",
      ),
      text: "Hm.",
      call: "<seed:tool_call>\n<function=weather>\n<parameter=city>Paris</parameter>\n<parameter=days>2</parameter>\n</function>\n</seed:tool_call>",
    },
    generic: {
      template: "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}",
      call: '{"name": "weather", "arguments": {"city": "Paris", "days": 2}}',
    },
  };

const weather: Tool = {
  name: "weather",
  parameters: {
    type: "object",
    properties: { city: { type: "string" }, days: { type: "integer" } },
    required: ["city", "days"],
    additionalProperties: false,
  },
};
const conversation: ConversationMessage[] = [
  { role: "user", content: "Paris?" },
  { role: "assistant", content: "", toolCalls: [{ id: "a", name: "weather", arguments: '{"city":"Paris","days":2}' }] },
  { role: "tool", content: "mild", toolCallId: "a" },
];

/** Tokens are bytes. The last token ends the text. */
const vocabulary = vocabularyOf(
  Array.from({ length: 257 }, (_, id) => (id < 256 ? Uint8Array.of(id) : undefined)),
  [256],
);
const grammar = (): ChatGrammar => ({
  vocabulary: { ...vocabulary, special: new Map() },
  compileSchema: (schema) => compileJsonSchema(schema, vocabulary),
  anyObject: () => compileJsonSchema({ type: "object" }, vocabulary),
});

/** Whether a constraint allows a text and that it ends there. */
function allows(compiled: CompiledConstraint, text: string): boolean {
  const open = compiled.open();
  for (const id of Buffer.from(text)) {
    if (((open.mask()[id >> 5] >>> (id & 31)) & 1) === 0) return false;
    open.accept(id);
  }
  return open.isComplete;
}

describe.each(Object.entries(FORMATS))("the format %s", (name, { template, call, text }) => {
  const tokenizer = new Tokenizer({
    ...trained.parts,
    config: { ...trained.parts.config, chat_template: template },
  });
  const plan = (fields: Partial<ChatRequest> = {}) =>
    planChat(
      {
        messages: conversation,
        tools: [weather],
        toolChoice: { mode: "auto", names: ["weather"] },
        parallelToolCalls: false,
        format: { type: "text" },
        continuesLastMessage: false,
        ...fields,
      },
      tokenizer,
      grammar,
    );

  it("is recognised, and its template gets calls and results", async () => {
    const { format, hasResults } = await templateTools(tokenizer);
    expect([format.name, hasResults]).toEqual([name, name !== "generic"]);
    const { messages, tools } = await plan();
    const prompt = await renderChat(tokenizer, messages, { tools });
    expect(prompt).toMatch(/"?city"?.*Paris/s);
    expect(prompt).toContain("mild");
    if (name === "kimi-k2") expect(prompt.split("functions.weather:0")).toHaveLength(3);
  });

  it("allows its call, alone and after a text, and no call that does not fit", async () => {
    const auto = (await plan()).constraint!;
    const required = (await plan({ toolChoice: { mode: "required", names: ["weather"] } })).constraint!;
    const whole = text === undefined ? [call] : [call, text + call];
    for (const answer of whole) expect([answer, allows(auto, answer)]).toEqual([answer, true]);
    expect(allows(required, call)).toBe(true);
    for (const wrong of [call.replace("weather", "climate"), call.replace("city", "town")]) {
      expect([wrong, allows(auto, wrong)]).toEqual([wrong, false]);
      expect(allows(required, wrong)).toBe(false);
    }
    expect(allows(required, "Hm.")).toBe(false);
    const { openReader } = await plan();
    for (const answer of whole) {
      const reader = openReader();
      const pieces = [...reader.push(answer), ...reader.end()];
      expect(reader.calls).toBe(1);
      const json = pieces.map((piece) => (piece.type === "arguments" ? piece.text : "")).join("");
      expect(JSON.parse(json)).toEqual({ city: "Paris", days: 2 });
    }
  });

  it("writes documents where its text is", async () => {
    const format = { type: "json_schema", name: "", schema: { const: 1 }, strict: true } as const;
    for (const tools of [[], [weather]]) {
      const toolChoice = { mode: tools.length > 0 ? "auto" : "none", names: tools.map((each) => each.name) } as const;
      const { constraint, openReader } = await plan({ messages: [conversation[0]], tools, toolChoice, format });
      const start = { harmony: "<|channel|>final<|message|>", "functionary-3.2": "all\n" }[name] ?? "";
      expect(allows(constraint!, `${start}1`)).toBe(true);
      expect(allows(constraint!, `${start}2`)).toBe(false);
      const reader = openReader();
      const pieces = [...reader.push(`${start}1`), ...reader.end()];
      expect(pieces.map((piece) => (piece.type === "text" ? piece.text : "")).join("")).toBe("1");
    }
  });
});
