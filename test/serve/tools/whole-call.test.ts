import { describe, expect, it } from "vitest";
import { compileJsonSchema, vocabularyOf } from "../../../src/infer/grammar/index.js";
import { compileWholeCall, openingOf, PYTHON_TAG } from "../../../src/serve/tools/whole-call.js";

const KEYS = ["name", "arguments"];

describe("openingOf", () => {
  it("tells a call by its first key, however this is written", () => {
    for (const [text, opening] of [
      ['{"name":', "call"],
      [' \n{ "name" : "f"', "call"],
      ['{"arguments": {', "call"],
      [String.raw`{"\u006eam\u0065":`, "call"],
      [`${PYTHON_TAG}{"name":`, "call"],
      ["", "more"],
      ["{", "more"],
      ['{"na', "more"],
      [String.raw`{"\u00`, "more"],
      [String.raw`{"\u006ea`, "more"],
      ['{"name"', "more"],
      ["<|pyth", "more"],
      [`${PYTHON_TAG} `, "more"],
      ['{"names":', "text"],
      ['{"city', "text"],
      [String.raw`{"\u006fame":`, "text"],
      [String.raw`{"n\x`, "text"],
      ['{"name";', "text"],
      ["{}", "text"],
      ["[", "text"],
      ["Hello", "text"],
      ["<|python!", "text"],
    ] as const) {
      expect([text, openingOf(text, KEYS)]).toEqual([text, opening]);
    }
  });
});

/** Tokens: the bytes, the end, then these. */
const LONG = ['":', ' {"', '": "weather"', '": "climate"', '{"name": "climate"'];
const vocabulary = vocabularyOf(
  Array.from({ length: 257 + LONG.length }, (_, id) =>
    id < 256 ? Uint8Array.of(id) : id === 256 ? undefined : Buffer.from(LONG[id - 257]),
  ),
  [256],
);
const schema = {
  type: "object",
  properties: { name: { const: "weather" }, arguments: { type: "object" } },
  required: ["name", "arguments"],
  additionalProperties: false,
};
const compiled = compileWholeCall(
  KEYS,
  { type: "document", constraint: compileJsonSchema(schema, vocabulary) },
  { ...vocabulary, special: new Map() },
);

/** Runs pieces, each a token or a text of bytes, and returns the piece that is not allowed, or whether the text may end. */
function run(...pieces: readonly string[]): string | boolean {
  const open = compiled.open();
  for (const piece of pieces) {
    const place = LONG.indexOf(piece);
    for (const id of place >= 0 ? [257 + place] : Buffer.from(piece)) {
      if (((open.mask()[id >> 5] >>> (id & 31)) & 1) === 0) return piece;
      open.accept(id);
    }
  }
  return open.isComplete;
}

describe("compileWholeCall", () => {
  it("binds what is read as a call to the schema", () => {
    expect(run('{"name": "weather", "arguments": {}}')).toBe(true);
    expect(run(String.raw`{"\u006eame": "weather", "arguments": {}}`)).toBe(true);
    expect(run('{"arguments": {}, "name": "weather"}')).toBe(true);
    expect(run('{"name": "weather"')).toBe(false);
    expect(run(String.raw`{"\u006eame": "`, "climate")).toBe("climate");
    expect(run('{"arguments": ', "1")).toBe("1");
    expect(run('{"name', '": "weather"', ', "arguments": {}}')).toBe(true);
    expect(run('{"name', '": "climate"')).toBe('": "climate"');
    expect(run('{"name": "climate"')).toBe('{"name": "climate"');
    expect(run(" ", '{"name": "weather", "arguments": {}}')).toBe(true);
    expect(run(' {"')).toBe(' {"');
  });

  it("leaves other answers free", () => {
    for (const text of ["", "Hello", '{"names": 1}', 'The form is {"name": "climate"}', "[1]", "{}", '{"city', " \n"]) {
      expect([text, run(text)]).toEqual([text, true]);
    }
  });
});
