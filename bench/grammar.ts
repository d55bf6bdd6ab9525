/**
 * @file JSON Schema as token masks: how many schemas of JSONSchemaBench are handled, and how long a mask takes. A schema is handled
 * if it compiles, allows its valid instances and none of its invalid ones. `test/oracle/json_schema_census.py` counts the same for
 * llguidance. Each mask is timed once, as the tokens of the instances need it, so that most masks are new.
 *   QUERN_SHARED=DIR npm run bench grammar [-- --every 1 --vocabulary 32768]
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { compileJsonSchema, grammarVocabulary } from "../src/infer/index.js";
import { trainTokenizer } from "../src/tokenizer/index.js";
import { flags, machineLine } from "./measure.js";

interface Row {
  readonly id: string;
  readonly schema: unknown;
  readonly tests: readonly { readonly valid: boolean; readonly data: unknown }[];
}

const { every, vocabulary: vocabSize } = flags({ every: 1, vocabulary: 32768 });
const shared = process.env.QUERN_SHARED;
if (shared === undefined) throw new Error("QUERN_SHARED must name the folder that contains data/json-schema");
const text = join(shared, "data", "text");
const texts = ["war-and-peace.txt", "wagahai.ja.txt", "tinyshakespeare.txt"].map((name) =>
  readFileSync(join(text, name), "utf8"),
);
const tokenizer = await trainTokenizer(texts, { vocabSize });
const rows: Row[] = gunzipSync(readFileSync(join(shared, "data", "json-schema", "schemas.jsonl.gz")))
  .toString()
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));

const end = tokenizer.endOfText ?? 0;
const vocabulary = grammarVocabulary(tokenizer, [end], tokenizer.vocabSize);
const counts = { schemas: 0, handled: 0, refused: 0, wronglyAllowed: 0, wronglyRefused: 0 };
const compileTimes: number[] = [];
const maskTimes: number[] = [];

/** Whether the tokens of a text are allowed one by one, and the end after them. */
function allows(compiled: ReturnType<typeof compileJsonSchema>, document: string): boolean {
  const open = compiled.open();
  for (const id of [...tokenizer.encode(document), end]) {
    const start = performance.now();
    const mask = open.mask();
    maskTimes.push(performance.now() - start);
    if (((mask[id >> 5] >>> (id & 31)) & 1) === 0) return false;
    open.accept(id);
  }
  return true;
}

for (let i = 0; i < rows.length; i += every) {
  const { schema, tests } = rows[i];
  counts.schemas++;
  let compiled: ReturnType<typeof compileJsonSchema>;
  const start = performance.now();
  try {
    compiled = compileJsonSchema(schema, vocabulary);
  } catch {
    counts.refused++;
    continue;
  } finally {
    compileTimes.push(performance.now() - start);
  }
  let isRight = true;
  for (const { valid, data } of tests) {
    if (allows(compiled, JSON.stringify(data)) === valid) continue;
    isRight = false;
    counts[valid ? "wronglyRefused" : "wronglyAllowed"]++;
  }
  if (isRight) counts.handled++;
}

function quantile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

const microseconds = (values: number[], share: number) => Math.round(1e6 * quantile(values, share)) / 1e3;
const { schemas, handled, refused, wronglyAllowed, wronglyRefused } = counts;
console.log(`${handled} of ${schemas} schemas handled, ${refused} refused`);
console.log(`${wronglyAllowed} invalid instances allowed, ${wronglyRefused} valid ones not allowed`);
for (const [name, values] of [
  ["mask", maskTimes],
  ["compile", compileTimes],
] as const)
  console.log(
    `${name}: p50 ${microseconds(values, 0.5)} µs, p99 ${microseconds(values, 0.99)} µs, ${values.length} times`,
  );
console.log(await machineLine());
console.log(
  JSON.stringify({
    ...counts,
    vocabulary: tokenizer.vocabSize,
    mask_us: { p50: microseconds(maskTimes, 0.5), p99: microseconds(maskTimes, 0.99) },
    compile_us: { p50: microseconds(compileTimes, 0.5), p99: microseconds(compileTimes, 0.99) },
  }),
);
