/** @file Filters and their pipelines equal lm-eval's. */
import { expect, test } from "vitest";
import { createFilter, createPipeline, defaultPipeline } from "../../../src/eval/harness/filters.js";
import { units } from "./units.js";

interface FilterCase {
  readonly name: string;
  readonly args: Record<string, unknown>;
  readonly inputs: string[];
  readonly choices: string[] | null;
  readonly outputs: unknown[];
}

test.each(units<FilterCase[]>("filters").map((c) => [c.name, c] as const))("%s", (name, c) => {
  const documents = c.inputs.map(() => (c.choices === null ? {} : { choices: c.choices }));
  const filtered = createFilter(name, c.args)(
    c.inputs.map((text) => [text]),
    documents,
  );
  filtered.forEach((value, i) => {
    expect([c.inputs[i], value]).toEqual([c.inputs[i], [c.outputs[i]]]);
  });
});

test.each(units<{ name: string; args: object; inputs: string[][]; outputs: unknown[] }[]>("filters_of_many"))(
  "$name of several responses",
  ({ name, args, inputs, outputs }) => {
    expect(
      createFilter(name, { ...args })(
        inputs,
        inputs.map(() => ({})),
      ),
    ).toEqual(outputs);
  },
);

test("a pipeline runs its steps in order", () => {
  const pipeline = createPipeline("flexible-extract", [
    { function: "regex", regex_pattern: "-?\\d+", group_select: -1 },
    { function: "majority_vote" },
    { function: "take_first" },
  ]);
  expect(
    pipeline.apply(
      [
        ["1 2", "a 3", "so 3"],
        ["none", "x", "7"],
      ],
      [{}, {}],
    ),
  ).toEqual(["3", "[invalid]"]);
  expect(defaultPipeline().apply([["a", "b"]], [{}])).toEqual(["a"]);
});

test("a text after take_first is a list of characters", () => {
  const steps = [{ function: "take_first" }, { function: "uppercase" }];
  expect(createPipeline("x", steps).apply([["ab"]], [{}])).toEqual([["A", "B"]]);
});

test("a map with keys of other types", () => {
  const mapping_dict = new Map<unknown, unknown>([[1, "one"]]);
  expect(createFilter("map", { mapping_dict })([[1, "1"]], [{}])).toEqual([["one", null]]);
});

test("wrong calls", () => {
  expect(() => createFilter("custom", { filter_fn: "x" })).toThrow("custom calls a Python function");
  expect(() => createFilter("ACP_grammar_filter")).toThrow("is unknown; known filters: take_first");
  expect(() => createFilter("regex", { pattern: "x" })).toThrow("no argument pattern");
  expect(() => createFilter("lowercase", { x: 1 })).toThrow("no arguments");
  expect(() => createFilter("take_first_k")).toThrow("needs k");
  expect(() => createFilter("take_first_k", { k: 3 })([["a"]], [{}])).toThrow("raise repeats");
  expect(() => createFilter("regex", { group_select: 2 })([["#### 1"]], [{}])).toThrow("beyond the 1 matches");
  expect(() => createFilter("multi_choice_regex")([["a"]], [{}])).toThrow("document 0 has none");
  expect(() => createFilter("map", { mapping_dict: 3 })).toThrow("mapping_dict");
  expect(() => createPipeline("x", []).apply([], [{}])).toThrow("0 of 1 documents");
});
