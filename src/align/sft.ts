/**
 * @file Supervised fine-tuning, top to bottom: examples → chat template → tokens with a mask of what is learned → rows → the
 * run (`run.ts`).
 */
import type { z } from "zod";
import { counted } from "../counted.js";
import { QuernError } from "../errors.js";
import { longestOf, packedRowsOf, packTexts, type Rows, rowsOf } from "./data/batches.js";
import { type EncodedText, encodeExample } from "./data/encode.js";
import { type Example, type ExampleOf, type Form, hasEmptyAnswer, readExamples } from "./data/examples.js";
import { type Preview, previewTexts } from "./data/preview.js";
import { isLearned, truncate } from "./data/truncate.js";
import { exampleBatches } from "./example-batches.js";
import { sftTrainer } from "./losses/sft.js";
import type { LossOn } from "./options.js";
import { learningRateFor, refuseMemory } from "./plan.js";
import { openPolicy } from "./policy.js";
import { previewAlignment, runAlignment } from "./run.js";
import { sftOptions } from "./sft-options.js";
import type { AlignCalls, AlignResult, Context, Previewed, Task } from "./task.js";

export type SftOptions = z.input<typeof sftOptions> & AlignCalls;

const FORMS: readonly Form[] = ["messages", "completion", "text"];

/**
 * Fine-tunes a model on conversations, completions or texts; writes a run folder whose checkpoints are Hugging Face models.
 * @throws QuernError for data of another form, or without one learned token
 */
export function sft(options: SftOptions): Promise<AlignResult> {
  return runAlignment(
    "sft",
    sftOptions,
    options,
    ({ model, data = [], evalData = [] }) => [model, ...data, ...evalData],
    prepareSft,
  );
}

/** Returns the first examples of a run of `sft` as the model sees them. */
export const previewSft = (options: Previewed<SftOptions>, count: number): Promise<readonly Preview[]> =>
  previewAlignment(sftOptions, options, count, prepareSft);

async function prepareSft(context: Context<z.output<typeof sftOptions>>): Promise<Task> {
  const { o, base, note, signal } = context;
  if (o.data === undefined) throw new QuernError("--data is missing: the examples to learn from", { exitCode: 2 });
  const { form, examples, report } = await readExamples(o.data, FORMS, { strict: o.strict, signal });
  const isChat = examples.some(isConversation);
  note(
    `${counted(examples.length, "example")}: ${DESCRIPTIONS[form]}${report.read.files > 1 ? `, ${report.read.files} files` : ""}`,
  );
  for (const [reason, count] of Object.entries(report.skipped)) note(`skipped ${count}: ${reason}`);
  const policy = await openPolicy(base, o, { isChat, note });
  const { config } = policy;
  refuseMemory(policy);

  const lossOn: LossOn = o.lossOn ?? (form === "messages" ? "assistant" : "completion");
  if (lossOn === "completion" && form === "messages") {
    throw new QuernError("--loss-on completion needs examples with a prompt and a completion; these are messages", {
      exitCode: 2,
    });
  }

  const limit = Math.min(o.maxLength ?? DEFAULT_LENGTH, config.sequence);
  const encode = (list: readonly Example[], what: string) =>
    encodeAll(list as readonly ExampleOf<"text" | "messages" | "completion">[], {
      what,
      note,
      encode: (example) => encodeExample(example, lossOn, policy),
      shorten: (text) => truncate(text, limit, o.truncate ?? "right"),
    });
  const texts = await encode(examples, "example");
  const held = o.evalData === undefined ? null : await readExamples(o.evalData, [form], { strict: o.strict, signal });
  const heldTexts = held && (await encode(held.examples, "evaluation example"));

  const longest = longestOf([...texts, ...(heldTexts ?? [])]);
  const sequence = o.packing ? limit : longest;
  const batch = o.batch ?? 8;
  const pack = (list: readonly EncodedText[]) =>
    o.packing
      ? packTexts(
          list.map(({ ids }) => ids.length),
          sequence,
        ).map((row) => row.map((i) => list[i]))
      : list.map((text) => [text]);
  const rows = pack(texts);
  const heldRows = heldTexts && pack(heldTexts);
  const all = [...rows, ...(heldRows ?? [])];
  const layRows = (chosen: readonly (readonly EncodedText[])[]): Rows =>
    o.packing
      ? packedRowsOf(chosen, sequence)
      : rowsOf(
          chosen.map(([text]) => text),
          sequence,
        );

  return {
    model: config,
    trainer: sftTrainer(policy, { batch, sequence, packed: o.packing }),
    rows: batch,
    sequence,
    batch,
    examples: rows.length,
    identity: [texts.map(({ ids, learned }) => [Array.from(ids), Array.from(learned)]), o.packing ?? false],
    ...learningRateFor(2e-5, policy),
    reasons: {
      ...learningRateFor(2e-5, policy).reasons,
      sequence: o.packing ? "rows are packed" : "the longest example",
    },
    warnings: [],
    writeWeights: ({ program }) => policy.writeWeights(program),
    ...exampleBatches({
      ...{ policy, options: o, batch, training: rows.length, heldOut: heldRows?.length ?? null },
      rows: (numbers) => {
        const chosen = numbers.map((n) => all[n]);
        return layRows([...chosen, ...Array.from({ length: batch - chosen.length }, () => [EMPTY])]);
      },
      tokens: (n) => all[n].reduce((total, { ids }) => total + ids.length, 0),
    }),
    format: ({ program }) => policy.format(program),
    preview: (count) => previewTexts(texts, count, policy.tokenizer),
    close: async () => {},
  };
}

const DEFAULT_LENGTH = 1024;
const EMPTY: EncodedText = { ids: [0], learned: new Uint8Array(1) };

const DESCRIPTIONS: Readonly<Record<Form, string>> = {
  text: "texts",
  messages: "conversations",
  completion: "prompts with completions",
  preference: "preferences",
  unpaired: "completions with labels",
  prompt: "prompts",
};

const isConversation = (example: Example): boolean =>
  example.form === "messages" || (example.form === "completion" && typeof example.prompt !== "string");

interface EncodeAll<E> {
  readonly what: string;
  readonly note: (line: string) => void;
  readonly encode: (example: E) => Promise<EncodedText>;
  readonly shorten: (text: EncodedText) => EncodedText | null;
}

/**
 * Encodes examples; those that are too long are cut or dropped, and those without a learned token are dropped, both counted.
 * @throws QuernError where none is left
 */
async function encodeAll<E extends Example>(examples: readonly E[], { what, note, encode, shorten }: EncodeAll<E>) {
  const texts: EncodedText[] = [];
  const has = (count: number) => counted(count, `${what} has`, `${what}s have`);
  const counts = { truncated: 0, dropped: 0, unlearned: 0, blank: 0 };
  for (const example of examples) {
    const whole = await encode(example);
    const text = shorten(whole);
    if (text === null) {
      counts.dropped += 1;
      continue;
    }
    if (text !== whole) counts.truncated += 1;
    if (!isLearned(text)) {
      counts.unlearned += 1;
      continue;
    }
    if (hasEmptyAnswer(example)) counts.blank += 1;
    texts.push(text);
  }
  if (counts.truncated > 0) note(`${counted(counts.truncated, what)} truncated to the maximum length`);
  if (counts.dropped > 0) note(`${counted(counts.dropped, what)} dropped: longer than the maximum length`);
  if (counts.unlearned > 0)
    note(`${counted(counts.unlearned, what)} dropped: no token to learn (an empty answer, or one that was cut off)`);
  if (counts.blank > 0)
    note(`${has(counts.blank)} an empty answer: the only token to learn in it is the one that ends it`);
  if (texts.length > 0) return texts;
  throw new QuernError(
    `no token to learn in ${counted(examples.length, what)}; check --loss-on and --max-length, and look with --preview 3`,
    { exitCode: 2 },
  );
}
