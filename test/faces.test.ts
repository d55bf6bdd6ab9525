/** What a user's editor and bundler see of the package: errors in every face, tuples for tuples, descriptions of options. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, expectTypeOf, it } from "vitest";
import * as q from "../src/tensor/index.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly exports: Readonly<Record<string, unknown>>;
};
const faces = Object.keys(exports).filter((name) => name !== "./package.json");
const source = (built: string) => join(root, built.replace("./dist/", "").replace(/(\.d)?\.(ts|js)$/, ".ts"));

describe("the faces", () => {
  it("each give QuernError, all the same one", async () => {
    const { QuernError } = await import("../src/errors.js");
    for (const face of faces) {
      const { default: built } = exports[face] as { default: string };
      expect((await import(source(built))).QuernError, face).toBe(QuernError);
    }
  });

  // Where a face has another file for browsers, its types must be that file's; one that needs Node has no names there.
  it.skipIf(!JSON.stringify(exports).includes("node-only"))("have the types of what runs, in browsers too", () => {
    const inBrowsers = faces.map((face) => {
      const { browser } = exports[face] as { readonly browser?: { readonly types: string; readonly default: string } };
      if (browser === undefined) return [face, "the same"];
      expect(source(browser.types), face).toBe(source(browser.default));
      return [face, /node-only/.test(browser.default) ? "nothing" : "another"];
    });
    const {
      "./tokenizer": tokenizer,
      "./tensor": tensor,
      "./pages": pages,
      ...others
    } = Object.fromEntries(inBrowsers);
    expect([tokenizer, tensor, pages]).toEqual(["another", "the same", "the same"]);
    expect(new Set(Object.values(others))).toEqual(new Set(["nothing"]));
  });
});

it("gives a tuple of gradients for a tuple, and pieces for sizes", () => {
  const [a, b] = [q.variable("a", [4]), q.variable("b", [4])];
  const loss = q.sum(q.mul(a, b));
  const pair = q.gradients(loss, [a, b]);
  expectTypeOf(pair).toEqualTypeOf<[q.Tensor, q.Tensor]>();
  expectTypeOf(q.gradients(loss, [a, b] as q.Tensor[])).toEqualTypeOf<q.Tensor[]>();
  expectTypeOf(q.split(a, [1, 3], 0)).toEqualTypeOf<readonly [q.Tensor, q.Tensor]>();
  expect(pair).toHaveLength(2);
});

/** The declarations of every schema with its options, as they are built. */
const declared = readdirSync(join(root, "dist", "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => /options\.d\.ts$/.test(name))
  .map((name) => [name, readFileSync(join(root, "dist", "src", name), "utf8")] as const);

describe("the declarations", () => {
  it.each([
    ["infer/generate-options.d.ts", "/** Maximum tokens to generate. Default `200`. */\n    tokens:"],
    ["infer/generate-options.d.ts", "/** Cache the keys and values of earlier tokens. Default `true`. */\n    cache:"],
    ["train/pretrain/pretrain-options.d.ts", "/** Optimizer steps; instead of --minutes. */\n    steps:"],
  ])("in %s document their options", (name, text) => {
    expect(new Map(declared).get(name)).toContain(text);
  });

  it("describe every option of every schema", () => {
    const bare = declared.flatMap(([name, text]) =>
      [...text.matchAll(/^export declare const \w+: z\.ZodObject<\{\n([\s\S]*?)^\}/gm)].flatMap(([, body]) =>
        [...body.matchAll(/^(.*)\n {4}(\w+): /gm)]
          .filter(([, before]) => !before.includes("*/"))
          .map(([, , key]) => `${name}: ${key}`),
      ),
    );
    expect(declared.length).toBeGreaterThan(8);
    expect(bare).toEqual([]);
  });
});
