/** response_format and tools: answers that fit their schema whatever the model, and schemas that are refused. */
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SLOW_BUILD } from "../model/targets.js";
import { type Answer, startServing, type TestServing } from "./serving.js";

const PATH = "/v1/chat/completions";
const base = { model: "tiny", messages: [{ role: "user", content: "on" }], max_tokens: 40 };
const schema = {
  type: "object",
  properties: { name: { type: "string", maxLength: 8 }, size: { type: "integer" }, kind: { enum: ["a", "b"] } },
  required: ["name", "size", "kind"],
  additionalProperties: false,
};
const format = (given: object) => ({
  type: "json_schema",
  json_schema: { name: "thing", strict: true, schema: given },
});
const fits = new Ajv2020().compile(schema);

let server: TestServing;
beforeAll(async () => {
  server = await startServing();
}, SLOW_BUILD);
afterAll(() => server.close());

describe("response_format", { timeout: SLOW_BUILD }, () => {
  it("gives documents of the schema, whatever the seed, whole and as a stream", async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const fields = { ...base, seed, max_tokens: 70, response_format: format(schema) };
      const { choices } = await server.ok(PATH, fields);
      expect(fits(JSON.parse(choices[0].message.content))).toBe(true);
      const { chunks } = await server.stream(PATH, fields);
      const streamed = chunks.flatMap(({ choices }) => choices.map(({ delta }: Answer) => delta.content ?? ""));
      expect(streamed.join("")).toBe(choices[0].message.content);
    }
  });

  it("completes the document at the token limit", async () => {
    const const_ = { ...base, max_tokens: 10, response_format: format({ const: "foooooo" }) };
    expect((await server.ok(PATH, const_)).choices[0].message.content).toBe('"foooooo"');
    for (const seed of [1, 2, 3, 4, 5]) {
      const { choices } = await server.ok(PATH, {
        ...base,
        seed,
        max_tokens: 5,
        response_format: { type: "json_object" },
      });
      expect(typeof JSON.parse(choices[0].message.content)).toBe("object");
    }
  });

  it("refuses schemas that it cannot keep, naming the place", async () => {
    for (const wrong of [{ type: "hiccup" }, { type: 123 }, false]) {
      const error = await server.refused(PATH, { ...base, response_format: format(wrong as object) });
      expect(error.param).toBe("response_format.json_schema.schema");
      expect(error.code).toBe("invalid_json_schema");
    }
  });
});

describe("tools", { timeout: SLOW_BUILD }, () => {
  const parameters = { type: "object", properties: { city: { enum: ["Bonn", "Rom"] } }, required: ["city"] };
  const tools = [
    { type: "function", function: { name: "weather", description: "The weather.", parameters } },
    { type: "function", function: { name: "time", parameters: { type: "object", properties: {} } } },
  ];
  const asked = { ...base, tools: tools.slice(0, 1), messages: [{ role: "user", content: "on" }] };

  it.each<[object, RegExp]>([
    [{ tool_choice: { type: "function", function: { name: "other" } } }, /"other", which is not in tools/],
    [{ tools: [...tools, tools[0]] }, /each its own name/],
    [{ tools: [{ type: "function", function: { name: "a b" } }] }, /1 to 64 letters/],
    [{ messages: [{ role: "tool", content: "x", tool_call_id: "none" }] }, /call/],
  ])("refuses %j", async (fields, message) => {
    expect((await server.refused(PATH, { ...asked, ...fields })).message).toMatch(message);
  });
});
