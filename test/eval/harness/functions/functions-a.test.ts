import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { QuernError } from "../../../../src/errors.js";
import { parsePythonJson } from "../../../../src/eval/harness/documents.js";
import { TASK_FUNCTIONS, type TaskDocument, type TaskFunction } from "../../../../src/eval/harness/functions.js";
import { NumpyRandom } from "../../../../src/eval/harness/numpy-random.js";
import { type RougeScore, type RougeType, rougeInterval, rougeScore } from "../../../../src/eval/harness/rouge.js";
import type { TaskResult } from "../../../../src/eval/harness/task-function.js";
import { PythonFloat } from "../../../../src/tokenizer/index.js";
import { near } from "../units.js";

/** By function: what lm-eval's Python gives for each document, pair or list. */
type Outputs = Readonly<Record<string, readonly unknown[]>>;

/** What test/oracle/lm_eval_functions_a.py wrote with lm-eval 0.4.13. */
interface Fixture {
  readonly texts: readonly string[];
  readonly cases: readonly {
    /** A list of documents, lists of values by field, or the index of the case that has the same. */
    readonly documents?: readonly TaskDocument[] | Readonly<Record<string, readonly unknown[]>> | number;
    readonly answers?: readonly (readonly unknown[])[];
    readonly pairs?: readonly (readonly [reference: string, prediction: string])[];
    readonly items?: readonly (readonly unknown[])[];
    readonly rules?: Outputs;
    readonly datasets?: Outputs;
    readonly results?: Outputs;
    readonly metrics?: Outputs;
    readonly aggregations?: Outputs;
  }[];
  readonly squad: {
    readonly items: readonly (readonly number[])[];
    readonly values: readonly number[];
    readonly aggregations: Outputs;
  };
  readonly rouge: {
    readonly texts: readonly (readonly [string, string])[];
    readonly scores: Readonly<Record<RougeType, readonly (readonly number[])[]>>;
    readonly intervals: Readonly<Record<RougeType, readonly (readonly number[])[]>>;
    readonly draws: Readonly<Record<string, readonly number[]>>;
  };
}

function readFixture(name: string): Fixture {
  const url = new URL(`../../../fixtures/eval/${name}`, import.meta.url);
  return parsePythonJson(readFileSync(url, "utf8"), name) as Fixture;
}

const fixture = readFixture("functions-a.json");

/** Puts texts in place of their indices. */
function expanded<T>(value: T, { texts }: Fixture): T {
  const inner = (each: unknown): unknown => expanded(each, { texts } as Fixture);
  if (typeof value === "string") {
    const text = /^@\d+$/.test(value) ? texts[Number(value.slice(1))] : value;
    return (text === "@NaN" ? Number.NaN : text) as T;
  }
  if (Array.isArray(value)) return value.map(inner) as T;
  if (typeof value !== "object" || value === null || value instanceof PythonFloat) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inner(item)])) as T;
}

/** Returns the documents of a case. */
function rowsOf({ documents }: Fixture["cases"][number], from: Fixture): readonly TaskDocument[] {
  if (typeof documents === "number") return rowsOf(from.cases[documents]!, from);
  const rows = expanded(documents ?? [], from);
  if (Array.isArray(rows)) return rows as readonly TaskDocument[];
  const columns = Object.entries(rows as Readonly<Record<string, readonly unknown[]>>);
  return columns[0]![1].map((_, i) => Object.fromEntries(columns.map(([key, values]) => [key, values[i]])));
}

function functionOf<K extends TaskFunction["takes"]>(name: string, takes: K): Extract<TaskFunction, { takes: K }> {
  const found = TASK_FUNCTIONS.get(name);
  if (found?.takes !== takes) throw new Error(`${name} is no function of ${takes}`);
  return found as Extract<TaskFunction, { takes: K }>;
}

/** Returns a value as the oracle writes it before it hashes it. */
function plainNumbers(value: unknown): unknown {
  if (value instanceof PythonFloat) return value.value;
  if (Number.isNaN(value)) return "@NaN";
  if (Array.isArray(value)) return value.map(plainNumbers);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plainNumbers(item)]));
}

/** Numbers and truth values are near, texts equal; an output of over 14 characters equals its hash. */
function expectEqual(value: unknown, expected: unknown, where: string): void {
  if (typeof expected === "string" && /^#[0-9a-f]{8}$/.test(expected)) {
    const hash = createHash("sha256")
      .update(JSON.stringify(plainNumbers(value)))
      .digest("hex")
      .slice(0, 8);
    expect(`#${hash}`, `${where}: ${JSON.stringify(value)}`).toBe(expected);
  } else if (Array.isArray(expected)) {
    expect(Array.isArray(value) && value.length, where).toBe(expected.length);
    for (const [i, item] of expected.entries()) expectEqual((value as readonly unknown[])[i], item, `${where}[${i}]`);
  } else if (expected === "@NaN") expect(value, where).toBeNaN();
  else if (isNumeric(expected)) {
    expect(isNumeric(value), `${where}: ${String(value)}`).toBe(true);
    const [a, b] = [Number(value), Number(expected)];
    expect(Object.is(a, b) || near(a, b), `${where}: ${a} instead of ${b}`).toBe(true);
  } else if (typeof expected === "object" && expected !== null) {
    expect(Object.keys(value as object), where).toEqual(Object.keys(expected));
    for (const [key, item] of Object.entries(expected))
      expectEqual((value as TaskDocument)[key], item, `${where}.${key}`);
  } else expect(value, where).toBe(expected);
}

function isNumeric(value: unknown): boolean {
  return typeof value === "number" || typeof value === "boolean" || value instanceof PythonFloat;
}

/** Compares each output; where Python raises an exception, Quern refuses with an error of its own. */
async function compare(name: string, outputs: readonly unknown[], run: (i: number) => unknown): Promise<void> {
  expect(outputs.length).toBeGreaterThan(0);
  for (const [i, expected] of outputs.entries()) {
    const where = `${name}, case ${i}`;
    if (typeof expected === "object" && expected !== null && "raises" in expected) {
      await expect(async () => run(i), where).rejects.toThrow(QuernError);
    } else expectEqual(await run(i), expected, where);
  }
}

/** As evaluate.ts gives the results of requests. */
function resultOf(answer: unknown): TaskResult {
  if (Array.isArray(answer) && answer.length === 2 && typeof answer[1] === "boolean") {
    return { logLikelihood: Number(answer[0]), isGreedy: answer[1] };
  }
  return (isNumeric(answer) ? Number(answer) : answer) as TaskResult;
}

describe("functions of task files, as lm-eval's Python", () => {
  const files = [fixture, readFixture("functions-c.json")];
  for (const [from, packed] of files.flatMap((file) => file.cases.map((each) => [file, each] as const))) {
    const documents = rowsOf(packed, from);
    const answers = expanded(packed.answers ?? [], from);
    const pairs = expanded(packed.pairs ?? [], from);
    const items = expanded(packed.items ?? [], from);
    for (const [name, outputs] of Object.entries(packed.rules ?? {})) {
      it(name, () => compare(name, outputs, (i) => functionOf(name, "document").run(documents[i]!)));
    }
    for (const [name, outputs] of Object.entries(packed.datasets ?? {})) {
      it(name, async () => {
        const rows = functionOf(name, "documents").run(documents);
        expect(rows.length).toBe(outputs.length);
        await compare(name, outputs, (i) => rows[i]);
      });
    }
    for (const [name, outputs] of Object.entries(packed.results ?? {})) {
      it(name, () =>
        compare(name, outputs, (i) => functionOf(name, "results").run(documents[i]!, answers[i]!.map(resultOf))),
      );
    }
    for (const [name, outputs] of Object.entries(packed.metrics ?? {})) {
      it(name, () =>
        compare(name, outputs, (i) => {
          const [reference, prediction] = pairs[i]!;
          const given = { references: [reference], predictions: [prediction], options: {} };
          return functionOf(name, "predictions").run(given);
        }),
      );
    }
    for (const [name, outputs] of Object.entries(packed.aggregations ?? {})) {
      it(name, () => compare(name, outputs, (i) => functionOf(name, "items").run(items[i]!)));
    }
  }

  it("SQuAD 2.0's metrics", async () => {
    const packed = fixture.cases.find(
      ({ rules }) => rules !== undefined && "squadv2/task/SQuAD2.doc_to_text" in rules,
    )!;
    const documents = rowsOf(packed, fixture);
    const answers = expanded(packed.answers!, fixture);
    const { run } = functionOf("squadv2/task/SQuAD2.process_results", "results");
    const values = await Promise.all(documents.map(async (document, i) => run(document, answers[i]!.map(resultOf))));
    for (const [name, outputs] of Object.entries(fixture.squad.aggregations)) {
      const metric = name.slice(name.indexOf(".") + 1);
      await compare(name, outputs, (i) =>
        functionOf(name, "items").run(fixture.squad.items[i]!.map((document) => values[document]![metric])),
      );
    }
    for (const [i, { exact }] of values.entries()) {
      const [answer, reference] = exact as readonly TaskDocument[];
      expectEqual(answer!.no_answer_probability, fixture.squad.values[i], `document ${i}`);
      expect(reference).toEqual({ id: documents[i]!.id, answers: documents[i]!.answers });
    }
  });
});

describe("ROUGE, as rouge_score", () => {
  const { texts, scores, intervals, draws } = fixture.rouge;
  const triple = ({ precision, recall, fmeasure }: RougeScore): readonly number[] => [precision, recall, fmeasure];

  it("scores pairs of texts", () => {
    for (const [type, expected] of Object.entries(scores) as [RougeType, readonly unknown[]][]) {
      for (const [i, [reference, text]] of texts.entries()) {
        expectEqual(triple(rougeScore(type, reference, text)), expected[i], `${type} of pair ${i}`);
      }
    }
  });

  it("draws as numpy.random.choice", () => {
    const random = new NumpyRandom(7);
    for (const [count, expected] of Object.entries(draws)) {
      expect(Array.from(expected, () => random.below(Number(count)))).toEqual(expected);
    }
    expect(() => new NumpyRandom(-1)).toThrow(/seed of NumPy/);
  });

  it("gives intervals by resampling", () => {
    const random = new NumpyRandom(1234);
    for (const [type, expected] of Object.entries(intervals) as [RougeType, readonly unknown[]][]) {
      const { low, mid, high } = rougeInterval(
        texts.map(([reference, text]) => rougeScore(type, reference, text)),
        random,
      );
      expectEqual([low, mid, high].map(triple), expected, type);
    }
    expect(() => rougeInterval([], random)).toThrow(/no ROUGE scores/);
  });
});
