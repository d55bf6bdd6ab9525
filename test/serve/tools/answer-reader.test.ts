import { describe, expect, it } from "vitest";
import type { AnswerPiece } from "../../../src/serve/tools/answer-pieces.js";
import { answerReader } from "../../../src/serve/tools/answer-reader.js";
import { CALL_FORMATS, GENERIC_FORMAT, sectionsOf, triggerOf } from "../../../src/serve/tools/call-format.js";

const formats = [...CALL_FORMATS, GENERIC_FORMAT];

/** Reads a text that arrives in pieces of the given length; adjacent text and arguments are joined. */
function read(name: string, text: string, length = 1) {
  const format = formats.find((each) => each.name === name)!;
  let ids = 0;
  const reader = answerReader(format, {
    newId: () => `id${ids++}`,
    isContinued: false,
    isTool: (tool) => ["get_weather", "get_time", "f"].includes(tool),
    isText: (_, argument) => argument === "city",
  });
  const pieces: AnswerPiece[] = [];
  for (let at = 0; at < text.length; at += length) pieces.push(...reader.push(text.slice(at, at + length)));
  pieces.push(...reader.end());
  const content = pieces.map((piece) => (piece.type === "text" ? piece.text : "")).join("");
  const calls: { name: string; arguments: unknown }[] = [];
  for (const piece of pieces) {
    if (piece.type === "call") calls[piece.call] = { name: piece.name, arguments: "" };
    if (piece.type === "arguments") calls[piece.call].arguments += piece.text;
  }
  return {
    content,
    calls: calls.map((call) => ({ ...call, arguments: JSON.parse(call.arguments as string) })),
    pieces,
  };
}

const paris = { name: "get_weather", arguments: { city: "Paris", days: 2 } };
const rome = { name: "get_time", arguments: { city: "Rome } ]\n" } };
const json = JSON.stringify;

const dsml = (list: string) =>
  `<｜DSML｜${list}>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>\n<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="get_time">\n<｜DSML｜parameter name="city" string="true">Rome } ]\n</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜${list}>`;

/** The two calls as each format writes them. */
const WRITTEN: Readonly<Record<string, string>> = {
  hermes: `<tool_call>\n${json(paris)}\n</tool_call>\n<tool_call>\n${json(rome)}\n</tool_call>`,
  "llama-3": `{"name": "get_weather", "parameters": ${json(paris.arguments)}}; {"name": "get_time", "parameters": ${json(rome.arguments)}}`,
  mistral: `[TOOL_CALLS][{"name": "get_weather", "arguments": ${json(paris.arguments)}, "id": "abcdefghi"}, {"arguments": ${json(rome.arguments)}, "name": "get_time"}]`,
  "mistral-named": `[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]${json(paris.arguments)}[TOOL_CALLS]get_time[ARGS]${json(rome.arguments)}`,
  "command-r7b": `<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "get_weather", "parameters": ${json(paris.arguments)}},\n    {"tool_call_id": "1", "tool_name": "get_time", "parameters": ${json(rome.arguments)}}\n]<|END_ACTION|>`,
  nemotron: `<TOOLCALL>[${json(paris)}, ${json(rome)}]</TOOLCALL>`,
  granite: `<|tool_call|>[${json(paris)}, ${json(rome)}]`,
  firefunction: ` functools[${json(paris)}, ${json(rome)}]`,
  "functionary-3.1": `<function=get_weather>${json(paris.arguments)}</function><function=get_time>${json(rome.arguments)}</function>`,
  "deepseek-r1": `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n\`\`\`json\n${json(paris.arguments)}\n\`\`\`<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_time\n\`\`\`json\n${json(rome.arguments)}\n\`\`\`<｜tool▁call▁end｜><｜tool▁calls▁end｜>`,
  "deepseek-v3.1": `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>${json(paris.arguments)}<｜tool▁call▁end｜><｜tool▁call▁begin｜>get_time<｜tool▁sep｜>${json(rome.arguments)}<｜tool▁call▁end｜><｜tool▁calls▁end｜>`,
  "qwen3-coder": `<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=get_time>\n<parameter=city>\nRome } ]\n\n</parameter>\n</function>\n</tool_call>`,
  glm: `<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>\n<tool_call>get_time\n<arg_key>city</arg_key>\n<arg_value>Rome } ]\n</arg_value>\n</tool_call>`,
  generic: `${json(paris)}\n${json(rome)}`,
  harmony: `<|channel|>analysis<|message|>Both cities.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>${json(paris.arguments)}<|call|><|start|>assistant to=functions.get_time<|channel|>commentary json<|message|>${json(rome.arguments)}<|call|>`,
  "functionary-3.2": `get_weather\n${json(paris.arguments)}>>>get_time\n${json(rome.arguments)}`,
  "kimi-k2": `<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>${json(paris.arguments)}<|tool_call_end|><|tool_call_begin|>functions.get_time:1<|tool_call_argument_begin|>${json(rome.arguments)}<|tool_call_end|><|tool_calls_section_end|>`,
  "deepseek-v3.2": dsml("function_calls"),
  "deepseek-v4": dsml("tool_calls"),
  "minimax-m2": `<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Paris</parameter>\n<parameter name="days">2</parameter>\n</invoke>\n<invoke name="get_time">\n<parameter name="city">Rome } ]\n</parameter>\n</invoke>\n</minimax:tool_call>`,
  "minimax-m1": `<tool_calls>\n${json(paris)}\n${json(rome)}\n</tool_calls>`,
  "seed-oss": `<seed:tool_call>\n<function=get_weather>\n<parameter=city>Paris</parameter>\n<parameter=days>2</parameter>\n</function>\n</seed:tool_call>\n<seed:tool_call>\n<function=get_time>\n<parameter=city>Rome } ]\n</parameter>\n</function>\n</seed:tool_call>`,
};

describe("answerReader", () => {
  it("has a sample of every format", () => {
    expect(Object.keys(WRITTEN).sort()).toEqual(formats.map(({ name }) => name).sort());
  });

  for (const [name, text] of Object.entries(WRITTEN)) {
    it(`reads calls of ${name}, however the text is cut`, () => {
      for (const length of [1, 2, 3, 7, 1000]) {
        const { content, calls } = read(name, text, length);
        expect({ content: content.trim(), calls }).toEqual({ content: "", calls: [paris, rome] });
      }
    });

    const format = formats.find((each) => each.name === name)!;
    if (triggerOf(format.syntax) === "" || sectionsOf(format) !== undefined) continue;
    it(`keeps the text around calls of ${name}`, () => {
      for (const length of [1, 5, 1000]) {
        const { content, calls } = read(name, `Let me see.\n${text}`, length);
        expect({ content: content.trimEnd(), calls }).toEqual({ content: "Let me see.", calls: [paris, rome] });
      }
    });
  }

  it("announces the name before the arguments, and sends these as they come", () => {
    const { pieces } = read("hermes", WRITTEN.hermes, 4);
    const first = pieces.filter((piece) => "call" in piece && piece.call === 0);
    expect(first[0]).toEqual({ type: "call", call: 0, id: "id0", name: "get_weather" });
    expect(first.length).toBeGreaterThan(4);
  });

  it("reads arguments that are JSON in a string, and a call without arguments", () => {
    expect(read("hermes", '<tool_call>{"name":"f","arguments":"{\\"a\\": 1}"}</tool_call>').calls).toEqual([
      { name: "f", arguments: { a: 1 } },
    ]);
    expect(read("hermes", '<tool_call>{"name":"f"}</tool_call>').calls).toEqual([{ name: "f", arguments: {} }]);
    expect(read("qwen3-coder", "<tool_call>\n<function=f>\n</function>\n</tool_call>").calls).toEqual([
      { name: "f", arguments: {} },
    ]);
  });

  it("reads a list of calls in a frame for one, as SmolLM2 writes", () => {
    const text = `<tool_call>[${json(paris)}, ${json(rome)}]</tool_call>`;
    expect(read("hermes", text).calls).toEqual([paris, rome]);
  });

  it("reads Llama's call after its python tag", () => {
    const text = `<|python_tag|>{"name": "get_weather", "parameters": ${json(paris.arguments)}}`;
    expect(read("llama-3", text, text.length).calls).toEqual([paris]);
  });

  it("reads keys with escapes, in any order, and spaces between", () => {
    for (const text of [
      String.raw`{"\u006eame": "get_weather", "arguments": ${json(paris.arguments)}}`,
      String.raw`{ "n\u0061me" : "get_weather" , "argumen\u0074s": ${json(paris.arguments)} }`,
      String.raw`{"arguments": ${json(paris.arguments)}, "name": "get\u005fweather"}`,
    ]) {
      for (const length of [1, 3, 1000]) {
        expect(read("generic", text, length)).toMatchObject({ content: "", calls: [paris] });
      }
    }
  });

  it("gives Kimi's calls the ids that the model writes", () => {
    const { pieces } = read("kimi-k2", WRITTEN["kimi-k2"]);
    const ids = pieces.flatMap((piece) => (piece.type === "call" ? [piece.id] : []));
    expect(ids).toEqual(["functions.get_weather:0", "functions.get_time:1"]);
  });

  it("shows what gpt-oss writes to the user, and nothing else", () => {
    const analysis = "<|channel|>analysis<|message|>Secret <plan>.<|end|>";
    const call = `<|start|>assistant<|channel|>commentary to=functions.f<|message|><|call|>`;
    const python = "<|start|>assistant to=python<|channel|>analysis code<|message|>print(1)<|call|>";
    for (const [text, content, calls] of [
      [`${analysis}<|start|>assistant<|channel|>final<|message|>Hello <b>.<|return|>`, "Hello <b>.", []],
      ["<|channel|>final<|message|>cut off", "cut off", []],
      ["<|channel|>analysis<|message|>cut off", "", []],
      ["<|channel|>fin", "", []],
      [`<|channel|>commentary<|message|>I look.<|end|>${call}`, "I look.", [{ name: "f", arguments: {} }]],
      [analysis + python, "", []],
      ["No channel at all < |.", "No channel at all < |.", []],
    ] as const) {
      for (const length of [1, 4, 1000]) expect(read("harmony", text, length)).toMatchObject({ content, calls });
    }
  });

  it("reads Functionary's recipients", () => {
    for (const [text, content, calls] of [
      ["all\nLet me see.>>>get_time\n{}", "Let me see.", [{ name: "get_time", arguments: {} }]],
      ["all\nIs 1 >> 0 > x?", "Is 1 >> 0 > x?", []],
      ["Hello there,\nyou.", "Hello there,\nyou.", []],
      ["nothing\n{}", "nothing\n{}", []],
      ["get_time\n", "", [{ name: "get_time", arguments: {} }]],
    ] as const) {
      for (const length of [1, 4, 1000])
        expect(read("functionary-3.2", text, length)).toMatchObject({ content, calls });
    }
  });

  it("leaves text as it is if it is no call", () => {
    for (const [name, text] of [
      ["hermes", "a <tool_ball> and <tool_call> nothing"],
      ["hermes", "ends with <tool"],
      ["hermes", " spaces \n\n"],
      ["llama-3", '{"names": 1}'],
      ["llama-3", '{"name"'],
      ["generic", 'the form is {"name": "f"}'],
      ["generic", String.raw`{"\u006eames": 1}`],
      ["generic", String.raw`{"\u006`],
      ["generic", '{"name": 1, "arguments": {}}'],
      ["generic", '{"arguments": {"a": 1}}'],
      ["generic", '["name"]'],
      ["mistral", "[TOOL_CALLS] none"],
      ["functionary-3.1", "<function= never closed"],
    ] as const) {
      for (const length of [1, 1000]) expect(read(name, text, length)).toMatchObject({ content: text, calls: [] });
    }
  });

  it("keeps text after a call", () => {
    expect(read("hermes", `<tool_call>${json(paris)}</tool_call>\nDone.`)).toMatchObject({
      content: "Done.",
      calls: [paris],
    });
  });
});
