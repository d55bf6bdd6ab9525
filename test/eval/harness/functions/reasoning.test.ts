import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { findFunction, type TaskDocument, type TaskResult } from "../../../../src/eval/harness/functions.js";
import { FunctionReference } from "../../../../src/eval/harness/python-yaml.js";

interface Case {
  readonly function: string;
  readonly set: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly results?: readonly (readonly unknown[])[];
  /** One output per document, or the case that has the same. */
  readonly output: number | readonly unknown[];
}

interface Fixture {
  readonly sets: Readonly<Record<string, readonly TaskDocument[]>>;
  readonly cases: readonly Case[];
}

// Written by test/oracle/lm_eval_functions_b.py from lm-eval's own functions.
const FIXTURES = [
  "functions-b.json",
  "functions-b-math.json",
  "functions-b-programs.json",
  "functions-b-languages.json",
  "functions-b-instructions.json",
];
function read(name: string): Fixture {
  const text = readFileSync(new URL(`../../../fixtures/eval/${name}`, import.meta.url), "utf8");
  const { sets, cases } = JSON.parse(text) as Fixture;
  // A row may share fields with an earlier one.
  const whole = (rows: readonly TaskDocument[]) =>
    rows.map(({ like, ...row }) => (typeof like === "number" ? { ...rows[like], ...row } : row));
  return { sets: Object.fromEntries(Object.entries(sets).map(([key, rows]) => [key, whole(rows)])), cases };
}

/** Texts that the fixture holds as hashes are hashed here too. */
function asExpected(value: unknown, expected: unknown): unknown {
  if (typeof value === "string" && typeof expected === "string" && /^#[0-9a-f]{8}$/.test(expected)) {
    return `#${createHash("sha1").update(value).digest("hex").slice(0, 8)}`;
  }
  if (Array.isArray(value))
    return value.map((item, i) => asExpected(item, (expected as readonly unknown[] | null)?.[i]));
  if (typeof value !== "object" || value === null) return value;
  const others = (expected ?? {}) as Readonly<Record<string, unknown>>;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asExpected(item, others[key])]));
}

/** Log-likelihoods are pairs in Python. */
const asResult = (result: unknown): TaskResult =>
  Array.isArray(result) && typeof result[0] === "number"
    ? { logLikelihood: result[0], isGreedy: result[1] as boolean }
    : (result as TaskResult);

async function outputOf(
  { function: key, options = {}, results }: Case,
  documents: readonly TaskDocument[],
): Promise<readonly unknown[]> {
  const split = key.lastIndexOf("/");
  const found = findFunction(new FunctionReference(`/tasks/${key.slice(0, split)}/task.yaml`, key.slice(split + 1)));
  switch (found?.takes) {
    case "documents":
      return found.run(documents).map((document, _, made) => {
        const before = documents.find(({ id }) => id === document.id);
        const isNew = ([name, value]: [string, unknown]) =>
          name === "id" ? made.length < documents.length : JSON.stringify(before?.[name]) !== JSON.stringify(value);
        return Object.fromEntries(Object.entries(document).filter(isNew));
      });
    case "document":
      return documents.map((document) => found.run(document));
    case "results":
      return Promise.all(documents.map(async (document, i) => found.run(document, results![i].map(asResult))));
    case "responses":
      return found.create(options)(results!, documents);
    case "items":
      return results!.map((items) => found.run(items));
    case "nothing":
      return found.run() as readonly unknown[];
    default:
      throw new Error(`Quern has no ${key}`);
  }
}

describe.each(FIXTURES)("task functions equal lm-eval's own: %s", (name) => {
  const { sets, cases } = read(name);

  it("on twenty documents and more", () => {
    for (const { set } of cases) expect(sets[set].length).toBeGreaterThanOrEqual(20);
  });

  it.each(cases.map((each, i) => [`${each.function} (${i})`, each] as const))("%s", async (_, each) => {
    const expected = typeof each.output === "number" ? cases[each.output].output : each.output;
    expect(asExpected(await outputOf(each, sets[each.set]), expected)).toEqual(expected);
  });
});
