/** @file Errors in a recipe name its file, the line and the closest valid name, and are never internal errors. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkDocuments } from "../../src/data/clean/check.js";
import { makeCorpus } from "../../src/data/index.js";
import { jsonFault } from "../../src/data/recipes/json-fault.js";
import { loadCorpus } from "../../src/data/recipes/load-corpus.js";
import { loadMix } from "../../src/data/recipes/load-mix.js";
import { loadRecipe, recipeIdentity } from "../../src/data/recipes/load-recipe.js";
import * as steps from "../../src/data/recipes/recipe-steps.js";
import { QuernError } from "../../src/errors.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quern-recipes-"));
  writeFileSync(join(folder, "in.jsonl"), `${JSON.stringify({ id: "d1", text: "Some words of a text." })}\n`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const put = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
/** Returns the error message of loading a recipe and running it on a document, or `fine` if there is none. */
async function faultOf(path: string, load: (path: string) => Promise<unknown> = loadAndRun): Promise<string> {
  try {
    await load(path);
    return "fine";
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    return error.message.replaceAll(`${folder}/`, "");
  }
}
async function loadAndRun(path: string) {
  const recipe = await loadRecipe(path);
  await recipeIdentity(recipe, path);
  for await (const _ of checkDocuments(join(folder, "in.jsonl"), { recipe: path }));
}

describe("an error in a recipe", () => {
  it.each([
    ['{"steps":[{"length":{"minWord":5}}]}', "unknown option minWord in the step length; did you mean minWords?"],
    ['{"steps":[{"length":{"minWords":"5"}}]}', "minWords must be a number of at least 0 in the step length"],
    ['{"steps":["language",{"language":{"keep":"de"}}]}', 'keep must be a list, not "de" in the step language'],
    ['{"steps":[{"url":{"softLimits":3}}]}', "unknown option softLimits in the step url; did you mean softLimit?"],
    ['{"steps":[{"gopher-repetition":{"commonestRuns":[[2,"x"]]}}]}', "commonestRuns[0] must be a number"],
    ['{"steps":[{"toxicity":{}}]}', "words must be a list of words or"],
    ['{"steps":[{"personal-data":{"types":["mail"]}}]}', "types must be one of api_key, iban"],
    [
      '{"steps":[{"quality":{"model":"m.bin","leest":1}}]}',
      "unknown option leest in the step quality; did you mean least?",
    ],
    ['{"steps":["lengt"]}', "there is no step lengt; did you mean length?"],
    ['{"steps":["constructor"]}', "there is no step constructor"],
    ['{"steps":[],"nam":"x"}', "unknown option nam; did you mean name?"],
    ['{"steps":[\n  {"length" {"minWords":5}}]}', "recipe.json:2:13"],
    ['{"steps":["length"],}', "recipe.json:1:21"],
    ['{"steps":[', "recipe.json:1:11"],
    ["[]", "it must be an object with a list of steps"],
    [`{"steps":${"[".repeat(50_000)}${"]".repeat(50_000)}}`, "the recipe recipe.json is invalid"],
    ['{"steps":[{"bad-words":{"words":{"file":"nowhere.txt"}}}]}', "cannot read nowhere.txt: there is no such file"],
  ])("in JSON: %.60s", async (text, message) => {
    expect(await faultOf(put("recipe.json", text))).toContain(message);
  });

  const use = 'import { custom, defineRecipe, length, url } from "quern/data";\n';
  it.each([
    [
      `${use}export default defineRecipe({\n  steps: [length({ minWord: 3 } as any)],\n});`,
      /^the recipe is invalid at recipe\.ts:3:\d+: unknown option minWord .*minWords\?$/,
    ],
    [
      `${use}export default defineRecipe({\n  steps: [length({ minWords: 3 }],\n});`,
      /syntax error at recipe\.ts:3:33: /,
    ],
    [
      `${use}\nnothing();\nexport default defineRecipe({ steps: [] });`,
      /^the recipe failed to run: nothing is not defined \(recipe\.ts:3:1\)$/,
    ],
    ["export default 5;", /^the recipe recipe\.ts must export a recipe, but exports a number; end it with/],
    ["export default () => ({ steps: [] });", /must export a recipe, but exports a function/],
    [
      `${use}export default { steps: [custom("mine", () => {\n  throw new Error("boo");\n})] };`,
      /^the step "mine" of the recipe failed on the document d1: boo \(recipe\.ts:3:\d+\)$/,
    ],
    [
      `${use}export default { steps: [custom("mine", async () => true)] };`,
      /step "mine" .*document d1: it returned a promise; a step must not be an async function$/,
    ],
    [
      `${use}export default { steps: [custom("mine", () => 5 as any)] };`,
      /document d1: it returned 5; it must return true, false/,
    ],
    [
      `export default { steps: [{ name: "own", settings: {}, judge() {} }] };`,
      /"own" .*document d1: it returned undefined/,
    ],
    [`export default { steps: [{ name: "own", settings: {}, judge: () => ({ keep: false }) }] };`, /without a reason/],
    [
      `const a: any = {};\na.a = a;\nexport default { steps: [{ name: "own", settings: a, judge: () => ({ keep: true }) }] };`,
      /must be plain data/,
    ],
    [
      `${use}export default defineRecipe({ steps: [length({ minWords: 1 })], words: () => {\n  throw new Error("w");\n} });`,
      /words\(\) of the recipe failed: w \(recipe\.ts:3:\d+\)$/,
    ],
    [
      `${use}export default { steps: [url({ domains: { file: "no-list.txt" } })] };`,
      /^cannot read no-list\.txt: there is no such file/,
    ],
  ])("in TypeScript: %s", async (text, message) => {
    expect(await faultOf(put("recipe.ts", text))).toMatch(message);
  });

  it("is an unknown name, even one that every object has as a property", async () => {
    for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty", "finewep"]) {
      expect(await faultOf(name)).toMatch(/^there is no recipe .*one of fineweb, fineweb-2, as-is$/);
    }
    expect(await faultOf(folder)).toMatch(/is not a regular file$/);
  });

  it("names the file of a corpus or mix; missing files of a corpus are reported before it starts", async () => {
    expect(await faultOf(put("corpus.ts", "export default 5;"), loadCorpus)).toMatch(
      /^corpus\.ts: .*must be an object, not 5/,
    );
    expect(await faultOf(put("mix.json", "[1]"), loadMix)).toMatch(/^mix\.json: .*must be an object/);
    for (const recipe of [
      { quality: { model: "none.bin" } },
      { decontaminate: { against: ["none.bin"] } },
      { shards: { tokenizer: "./none.bin" } },
    ]) {
      const corpus = put("corpus.json", JSON.stringify({ clean: "as-is", ...recipe }));
      const out = join(folder, "corpus");
      const fault = await faultOf(corpus, async (path) =>
        makeCorpus({ inputs: [join(folder, "in.jsonl")], recipe: await loadCorpus(path), out, workers: 1 }),
      );
      expect(fault).toMatch(/none\.bin/);
      expect(() => rmSync(join(out, "clean"), { recursive: true })).toThrow(/no such file/);
    }
  });

  it("is an unknown option, in every step", () => {
    const makers = { ...steps } as unknown as Record<string, (options: object) => unknown>;
    const needs = { words: ["a"], model: "m", field: "f", least: 1, against: ["a"] };
    const own: Readonly<Record<string, readonly string[]>> = {
      adult: ["words"],
      atLeast: ["field", "least"],
      badWords: ["words"],
      decontamination: ["against"],
      quality: ["model"],
      toxicity: ["words"],
    };
    const names =
      "adult atLeast badWords c4Paragraphs c4Quality decontamination finewebQuality gopherQuality gopherRepetition language length normalize personalData quality refinedWebLines toxicity url";
    for (const name of names.split(" ")) {
      const given = Object.fromEntries((own[name] ?? []).map((key) => [key, needs[key as "words"]]));
      expect(() => makers[name](given)).not.toThrow();
      expect(() => makers[name]({ ...given, nonsense: 1 })).toThrow(/unknown option nonsense in the step/);
      expect(() => makers[name]([] as object)).toThrow(/must be an object|words must be/);
    }
  });

  it("is a QuernError, however the recipe is damaged", async () => {
    let state = 1;
    const next = (n: number) => {
      state = (state * 48271) % 2147483647;
      return state % n;
    };
    const json =
      '{"name":"web","steps":["normalise",{"length":{"minWords":2}},{"url":{"words":["x"],"softLimit":2}},{"language":{"keep":["en"],"minScore":0.1}}]}';
    const typed = `${use}export default defineRecipe({\n  name: "web",\n  steps: [length({ minWords: 2 }), custom("mine", ({ text }) => text.length > 3 || "short"), url({ words: ["x"] })],\n});\n`;
    const pieces = [
      '"',
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      "null",
      "1e999",
      "-1",
      "true",
      "\n",
      "__proto__",
      "\\",
      "é",
      "steps",
      "=>",
      "()",
    ];
    for (const [name, text] of [
      ["recipe.json", json],
      ["recipe.ts", typed],
    ] as const) {
      for (let round = 0; round < 60; round++) {
        let mutated = text;
        for (let i = 0; i <= next(2); i++) {
          const [at, length] = [next(mutated.length), next(6)];
          mutated = mutated.slice(0, at) + pieces[next(pieces.length)] + mutated.slice(at + length);
        }
        expect(typeof (await faultOf(put(name, mutated)))).toBe("string");
      }
    }
  }, 30_000);
});

describe("jsonFault", () => {
  it("finds an error exactly when JSON.parse does", () => {
    let state = 7;
    const next = (n: number) => {
      state = (state * 48271) % 2147483647;
      return state % n;
    };
    const alphabet = [...'{}[],:"', "true", "null", "-0.5e3", "01", '"a"', '"\\u00e9"', '"\\x"', " ", "\n", "1"];
    for (let round = 0; round < 3000; round++) {
      const text = Array.from({ length: next(9) }, () => alphabet[next(alphabet.length)]).join("");
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      expect({ text, valid: jsonFault(text) === undefined }).toEqual({ text, valid });
    }
  });
});
