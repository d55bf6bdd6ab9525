import { describe, expect, it } from "vitest";
import type { ConversationMessage, Tool } from "../../../src/serve/protocol/chat-request.js";
import { checkToolMessages, nativeMessages, shortId, templateTools } from "../../../src/serve/tools/conversation.js";
import { planChat } from "../../../src/serve/tools/plan.js";
import { renderChat, Tokenizer, trainTokenizer } from "../../../src/tokenizer/index.js";

const trained = await trainTokenizer(["a few words to learn from, a few words"], { vocabSize: 260, threads: 1 });
const withTemplate = (template: string) =>
  new Tokenizer({ ...trained.parts, config: { ...trained.parts.config, chat_template: template } });

const LIST = "{% if tools %}{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}{% endif %}";
/** Templates made up for this test: each lists tools, renders calls and results, in the way that its name says. */
const HERMES = `${LIST}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}
{% endfor %}`;
const HERMES_TEXT = HERMES.replace(" | tojson }}}", " }}}").replace(
  "{{ c.function.arguments",
  '{{ "" + c.function.arguments',
);
const MISTRAL = `${LIST}{% for m in messages %}[{{ m.role }}{{ m.tool_call_id }}]{{ m.content }}{% if m.tool_calls %}[TOOL_CALLS][{% for c in m.tool_calls %}{{ c.function | tojson }}{{ c.id }}{% endfor %}]{% endif %}{% endfor %}`;
const GRANITE = `${LIST}Answer with <|tool_call|> and a JSON list.{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}`;
const PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}";

const weather: Tool = { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } };
const conversation: ConversationMessage[] = [
  { role: "developer", content: "Be brief." },
  { role: "user", content: "Paris?" },
  { role: "assistant", content: "", toolCalls: [{ id: "call_1", name: "get_weather", arguments: '{"city":"Paris"}' }] },
  { role: "tool", content: "12 degrees", toolCallId: "call_1" },
  { role: "user", content: "And now?" },
];
const request = {
  messages: conversation,
  tools: [weather],
  toolChoice: { mode: "none" as const, names: [weather.name] },
  parallelToolCalls: true,
  format: { type: "text" as const },
  continuesLastMessage: false,
};
const noGrammar = () => {
  throw new Error("nothing is to be constrained");
};

async function rendered(template: string): Promise<string> {
  const tokenizer = withTemplate(template);
  const { messages, tools } = await planChat(request, tokenizer, noGrammar);
  return renderChat(tokenizer, messages, { tools });
}

describe("templateTools", () => {
  it("finds out what a template does with tools", async () => {
    for (const [template, format, calls, hasResults, listsTools] of [
      [HERMES, "hermes", "object", true, true],
      [HERMES_TEXT, "hermes", "text", true, true],
      [HERMES.replace(LIST, ""), "hermes", "object", true, false],
      [MISTRAL, "mistral", "object", true, true],
      [GRANITE, "granite", "written", true, true],
      [PLAIN, "generic", "written", false, false],
    ] as const) {
      const { format: found, ...rest } = await templateTools(withTemplate(template));
      expect({ format: found.name, ...rest }).toEqual({ format, calls, hasResults, listsTools });
    }
  });
});

describe("planChat", () => {
  it("passes calls and results through the template", async () => {
    const text = await rendered(HERMES);
    expect(text).toContain('<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>');
    expect(text).toContain("<tool>12 degrees");
    expect(text).toContain("<system>Be brief.");
    expect(await rendered(HERMES_TEXT)).toContain('"arguments": {"city":"Paris"}');
  });

  it("gives Mistral ids of nine letters, the same for the call and its result", async () => {
    const text = await rendered(MISTRAL);
    const id = shortId("call_1", 9);
    expect(id).toMatch(/^[0-9a-zA-Z]{9}$/);
    expect(text.split(id)).toHaveLength(3);
    expect(shortId("abcDEF123", 9)).toBe("abcDEF123");
  });

  it("writes the calls itself if the template does not", async () => {
    expect(await rendered(GRANITE)).toContain(
      '<assistant><|tool_call|>[{"name": "get_weather", "arguments": {"city":"Paris"}}]',
    );
    expect(await rendered(PLAIN)).toBe(
      '<system>Be brief.\n<user>Paris?\n<assistant>{"name": "get_weather", "arguments": {"city":"Paris"}}\n' +
        "<user>Result of get_weather:\n12 degrees\n\nAnd now?\n",
    );
  });

  it("lists the tools in the system message if the template does not", async () => {
    const tokenizer = withTemplate(PLAIN);
    const choice = { mode: "required" as const, names: [weather.name] };
    const document = { open: () => expect.fail("opened") };
    const vocabulary = { size: 1, endOfText: [], tokenBytes: [], special: new Map() };
    const grammar = { vocabulary, compileSchema: () => document, anyObject: () => document };
    const plan = await planChat({ ...request, toolChoice: choice }, tokenizer, () => grammar);
    const text = await renderChat(tokenizer, plan.messages, { tools: plan.tools });
    expect(text).toContain("<system>Be brief.\n\nYou can call these functions.");
    expect(text).toContain('{"name":"get_weather","parameters":');
    expect(text).toContain('{"name": "the function\'s name", "arguments": {"argument": "value"}}');
    expect(plan.constraint).toBeDefined();
  });

  it("refuses two tools of one name, results without a call, and arguments that are no object", async () => {
    const tokenizer = withTemplate(HERMES);
    const refusal = (changed: object) => planChat({ ...request, ...changed }, tokenizer, noGrammar);
    await expect(refusal({ tools: [weather, weather] })).rejects.toMatchObject({
      param: "tools[1].function.name",
      status: 400,
    });
    const [, , call, result] = conversation;
    await expect(refusal({ messages: [result] })).rejects.toMatchObject({ param: "messages[0].tool_call_id" });
    const wrong = { ...call, toolCalls: [{ id: "a", name: "f", arguments: "[1]" }] };
    await expect(refusal({ messages: [wrong] })).rejects.toMatchObject({
      param: "messages[0].tool_calls[0].function.arguments",
    });
    expect(() => checkToolMessages(conversation)).not.toThrow();
  });

  it("needs no template that knows tools for a conversation without them", async () => {
    const messages: ConversationMessage[] = [{ role: "user", content: "Hi", name: "Ann" }];
    const plan = await planChat({ ...request, messages, tools: [] }, withTemplate(PLAIN), noGrammar);
    expect(plan.messages).toEqual([{ role: "user", content: "Hi", name: "Ann" }]);
    expect(plan.openReader().push("<tool_call>")).toEqual([{ type: "text", text: "<tool_call>" }]);
    expect(nativeMessages(messages, await templateTools(withTemplate(HERMES)))).toHaveLength(1);
  });
});
