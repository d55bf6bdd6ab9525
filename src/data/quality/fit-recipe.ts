/** @file Recipes for classifiers: where labels come from, and the training settings. */
import { readFile, stat } from "node:fs/promises";
import type { z } from "zod";
import {
  createAtomicFile,
  type Document,
  nothingRead,
  ReadLog,
  type ReadReport,
  type ReadTextsOptions,
  readTexts,
  refuseOverlap,
  withOutput,
  writeFileAtomic,
} from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import type { TrainClassifierOptions } from "../classifier/train.js";
import { domainOf } from "../filters/url.js";
import { readLines } from "../lines.js";
import { type FitResult, fitClaim, fitInto, type Labelled } from "./fit.js";
import { type FIT_KINDS, fitOptions } from "./fit-options.js";
import { gradeText, sampleDocuments } from "./grade.js";

export interface FitRecipeOptions extends z.input<typeof fitOptions> {
  /** API key of the endpoint. */
  readonly key?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

interface Kind {
  /** The labels of the inputs `good` and `rest`, or the field with the label. */
  readonly from: readonly [good: string, rest: string] | { readonly field: string };
  /** The label whose probability is the score; null: labels are grades; undefined: the most common label. */
  readonly good?: string | null;
  readonly training: Omit<TrainClassifierOptions, "signal" | "onProgress">;
}

const KINDS: Readonly<Record<(typeof FIT_KINDS)[number], Kind>> = {
  // DCLM's classifier: words and bigrams (Li et al. 2024).
  reference: {
    from: ["good", "rest"],
    good: "good",
    training: { wordNgrams: 2, dim: 100, epoch: 5, lr: 0.1, bucket: 500_000 },
  },
  educational: {
    from: { field: "grade" },
    good: null,
    training: { wordNgrams: 2, dim: 64, epoch: 10, lr: 0.3, bucket: 500_000 },
  },
  // Character n-grams identify languages, of which there are many. The lengths and the loss are those of fastText's lid.176.
  language: {
    from: { field: "language" },
    training: { wordNgrams: 1, minn: 2, maxn: 4, dim: 16, epoch: 20, lr: 0.5, loss: "hs", bucket: 200_000 },
  },
  topic: { from: { field: "topic" }, training: { wordNgrams: 2, dim: 64, epoch: 15, lr: 0.5, bucket: 500_000 } },
  spam: {
    from: ["ham", "spam"],
    good: "ham",
    training: { wordNgrams: 2, dim: 32, epoch: 10, lr: 0.5, bucket: 200_000 },
  },
  adult: {
    from: ["clean", "adult"],
    good: "clean",
    training: { wordNgrams: 2, dim: 32, epoch: 10, lr: 0.5, bucket: 200_000 },
  },
};

/**
 * Fits a classifier by a recipe. All documents of a registered domain go to the same split.
 *
 * @throws QuernError for options that do not fit the recipe, documents without labels, or an endpoint that does not
 * respond
 */
export async function fitByRecipe(options: FitRecipeOptions): Promise<FitResult & ReadReport> {
  const { key, signal, onProgress, ...rest } = options;
  const o = checkOptions(fitOptions, rest);
  const kind = KINDS[o.kind];
  const pair = Array.isArray(kind.from);
  const needed = pair ? (["good", "rest"] as const) : (["documents"] as const);
  for (const name of needed) {
    if (o[name] === undefined)
      throw new QuernError(
        `the recipe ${o.kind} needs ${needed.map((each) => `--${each}`).join(" and ")}; --${name} is missing`,
        { exitCode: 2 },
      );
  }
  if (o.endpoint !== undefined && (o.kind !== "educational" || o.model === undefined)) {
    throw new QuernError("--endpoint works only with the recipe educational and requires --model", { exitCode: 2 });
  }
  const { good = [], rest: others = [], documents = [], labels } = o;
  const inputs = [...good, ...others, ...documents];
  if (labels !== undefined) await refuseOverlap(labels, inputs);
  const claim = fitClaim(o.out, labels === undefined ? inputs : [...inputs, labels], o.force);
  return withOutput(claim, () => fitDocuments(o, kind, { key, signal, onProgress }));
}

async function fitDocuments(
  o: Settings,
  kind: Kind,
  { key, signal, onProgress }: Calls,
): Promise<FitResult & ReadReport> {
  const { dim, epoch, lr } = o;
  const given = Object.fromEntries(Object.entries({ dim, epoch, lr }).filter(([, value]) => value !== undefined));
  const log = new ReadLog({ strict: o.strict });
  const reading = { textField: o.textField, signal, log };
  const examples = Array.isArray(kind.from)
    ? pairs(o.good ?? [], o.rest ?? [], kind.from as readonly [string, string], reading)
    : labelled(o, (kind.from as { readonly field: string }).field, { ...reading, key, onProgress });
  const list: Labelled[] = [];
  for await (const example of examples) list.push(example);
  const inputs = [...(o.good ?? []), ...(o.rest ?? []), ...(o.documents ?? [])];
  if (log.documents === 0) throw nothingRead(inputs, log.report);
  const result = await fitInto({
    examples: list,
    out: o.out,
    good: kind.good === undefined ? commonestOf(list) : kind.good,
    training: { ...kind.training, ...given },
    signal,
    onProgress,
  });
  return { ...result, ...log.report };
}

async function* pairs(
  good: readonly string[],
  rest: readonly string[],
  [goodLabel, restLabel]: readonly [string, string],
  reading: ReadTextsOptions,
): AsyncGenerator<Labelled> {
  for (const [inputs, label] of [
    [good, goodLabel],
    [rest, restLabel],
  ] as const) {
    for await (const document of readTexts(inputs, reading))
      yield { text: document.text, label, group: groupOf(document) };
  }
}

const groupOf = ({ url, text }: Document) => (url === undefined ? text : domainOf(url));

type Settings = z.output<typeof fitOptions>;
interface Calls extends ReadTextsOptions {
  readonly key?: string;
  readonly onProgress?: OnProgress;
}

async function* labelled(o: Settings, field: string, calls: Calls): AsyncGenerator<Labelled> {
  const documents = readTexts(o.documents ?? [], calls);
  const labels =
    o.labels === undefined ? new Map<string, string>() : await readLabels(o.labels, o.endpoint === undefined);
  if (o.endpoint !== undefined) {
    yield* graded(o, documents, labels, calls);
    return;
  }
  const name = o.field ?? field;
  let found = 0;
  for await (const document of documents) {
    const value = labels.get(document.id) ?? (name === "language" ? document.language : document.fields?.[name]);
    if (typeof value !== "string" && typeof value !== "number") continue;
    found += 1;
    yield { text: document.text, label: String(value).trim().replace(/\s+/g, "-"), group: groupOf(document) };
  }
  if (found === 0) {
    const where = o.labels === undefined ? `has a field "${name}"` : `is named in ${o.labels}`;
    throw new QuernError(`no document ${where}, so there are no labels to train on`, { exitCode: 2 });
  }
}

/** Documents graded concurrently. */
const AT_ONCE = 8;

/** Grades a sample of the documents. Documents with a known grade are not sent again; new grades are saved at once. */
async function* graded(
  o: Settings,
  documents: AsyncIterable<Document>,
  labels: Map<string, string>,
  { key, signal, onProgress }: Calls,
): AsyncGenerator<Labelled> {
  const { endpoint: baseUrl = "", model = "" } = o;
  const sample = await sampleDocuments(documents, o.samples);
  // Appends to the existing text, so that other content of its lines is preserved.
  let text = o.labels === undefined ? "" : await readFile(o.labels, "utf8").catch(() => "");
  if (text !== "" && !text.endsWith("\n")) text += "\n";
  const keep = async (ids: readonly string[]) => {
    if (o.labels === undefined) return;
    for (const id of ids) text += `${JSON.stringify({ id, label: labels.get(id) })}\n`;
    await writeFileAtomic(o.labels, text);
  };
  const waiting = sample.filter(({ id }) => !labels.has(id));
  const { OpenAIClient } = await import("../../infer/index.js");
  await using client = new OpenAIClient({ baseUrl, apiKey: key, concurrency: AT_ONCE });
  for (let done = 0; done < waiting.length; done += AT_ONCE) {
    const batch = waiting.slice(done, done + AT_ONCE);
    const grades = await Promise.all(batch.map(({ text }) => gradeText(text, { client, model, signal })));
    for (const [i, { id }] of batch.entries()) labels.set(id, String(grades[i]));
    await keep(batch.map(({ id }) => id));
    onProgress?.({ task: "grade", done: done + batch.length, total: waiting.length, unit: "document" });
  }
  for (const document of sample)
    yield { text: document.text, label: labels.get(document.id) ?? "", group: groupOf(document) };
}

async function readLabels(path: string, must: boolean): Promise<Map<string, string>> {
  const labels = new Map<string, string>();
  if (!must && (await stat(path).catch(() => undefined)) === undefined) {
    // Tests that the path is writable before any document is sent to the endpoint.
    await (await createAtomicFile(path)).discard();
    return labels;
  }
  let number = 0;
  for await (const line of readLines(path)) {
    number += 1;
    if (line.trim() === "") continue;
    const wrong = new QuernError(`${path}, line ${number}: expected {"id": …, "label": …}`, { exitCode: 2 });
    try {
      const { id, label, score } = JSON.parse(line) as Record<string, unknown>;
      const value = label ?? score;
      if (id === undefined || (typeof value !== "string" && typeof value !== "number")) throw wrong;
      labels.set(String(id), String(value));
    } catch {
      throw wrong;
    }
  }
  return labels;
}

function commonestOf(list: readonly Labelled[]): string {
  const counts = new Map<string, number>();
  for (const { label } of list) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))[0]?.[0] ?? "";
}
