/**
 * @file The text of the speedrun, from raw sources to a corpus. Speeches, a novel and a dictionary need little
 * cleaning; raw mail needs a lot.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type CorpusResult,
  custom,
  defineCorpus,
  defineRecipe,
  type FitResult,
  gopherQuality,
  gopherRepetition,
  KEEP,
  language,
  length,
  makeCorpus,
  normalize,
  personalData,
  type Step,
} from "../src/data/index.js";
import {
  type Document,
  type GivenDocument,
  type OnProgress,
  readDocuments,
  readStarterCorpus,
  writeFileAtomic,
} from "../src/documents/index.js";
import { mailBody, ownWords, readMail } from "./mail.js";
import { fitMailClassifier } from "./mail-classifier.js";

/** Applies a step to mail only. Web filters would drop dictionaries and poems, which repeat themselves and are not prose. */
const ofMail = (step: Step): Step => ({
  ...step,
  judge: (document) => (document.source === "mail" ? step.judge(document) : KEEP),
});

export const speedrunText = defineRecipe({
  name: "speedrun",
  steps: [
    custom("own-words", ({ text, source }) => (source === "mail" ? { text: ownWords(text) } : true)),
    normalize(),
    length({ minWords: 20 }),
    ofMail(language({ keep: ["en"], minScore: 0.45 })),
    ofMail(gopherRepetition()),
    // Mail is shorter than a web page and has more numbers, dates and addresses.
    ofMail(gopherQuality({ minWords: 20, minAlphabeticWords: 0.7 })),
    personalData(),
  ],
});

/**
 * Downloads the raw documents, or reads them from the cache; every package is checked by its checksum. With `fast` they
 * are one novel and a quarter of the mails.
 */
export async function readRawText({
  fast,
  ...calls
}: {
  readonly fast: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}): Promise<{ readonly documents: readonly GivenDocument[]; readonly sortedMail: readonly GivenDocument[] }> {
  const clean = await readStarterCorpus({ ...(fast && { sources: ["moby-dick"] as const }), ...calls });
  calls.onProgress?.({ task: "text", done: 0, unit: "mail", note: "raw mail" });
  // The spam classifier needs spam to learn from, even with `fast`.
  const sortedMail = await readMail({ ...(fast && { folders: [...FAST_MAIL, "spam-2"] as const }), ...calls });
  const mail = fast
    ? sortedMail.filter(({ id = "" }) => FAST_MAIL.some((folder) => id.startsWith(folder)))
    : sortedMail;
  return { documents: [...clean, ...mail], sortedMail };
}

const FAST_MAIL = ["easy-ham-2", "hard-ham-1"] as const;

/** Held-out share: 5 %, raised to reach 200 kB, but at most 10 %. */
const heldOutShare = (bytes: number) => Math.max(0.05, Math.min(0.1, 200_000 / bytes));

export interface SpeedrunCorpus {
  readonly corpus: CorpusResult;
  readonly spamClassifier: FitResult;
  /** Held-out documents. */
  readonly heldOut: readonly GivenDocument[];
}

/**
 * Makes a corpus in `<folder>/corpus`, as `quern data corpus` does: cleans and deduplicates the documents, drops spam by a
 * classifier trained first, and removes overlaps with the held-out text. The documents' origins point into `<folder>/raw`.
 */
export async function makeSpeedrunCorpus(
  documents: readonly GivenDocument[],
  sortedMail: readonly GivenDocument[],
  folder: string,
  calls: { readonly signal?: AbortSignal; readonly onProgress?: OnProgress },
): Promise<SpeedrunCorpus> {
  const inputs = await writeRawText(documents, folder);
  const model = join(folder, "classifier", "mail.bin");
  const spamClassifier = await fitMailClassifier(sortedMail, model, calls);
  const bytes = documents.reduce((sum, { text }) => sum + text.length, 0);
  const recipe = defineCorpus({
    name: "speedrun",
    clean: speedrunText,
    deduplicate: [{ by: "document" }, { by: "near" }],
    quality: { model, least: 0.5, sources: ["mail"] },
    heldout: heldOutShare(bytes),
    decontaminate: { heldout: true, remove: "span" },
    // Every document once, shuffled; sources keep their natural proportions.
    mix: { by: "source", temperature: 1, epochs: 1 },
    // The run chooses its vocabulary from its time budget and encodes the mix itself.
    shards: false,
  });
  const corpus = await makeCorpus({ inputs, recipe, out: join(folder, "corpus"), ...calls });
  const heldOut: Document[] = [];
  for await (const document of readDocuments([corpus.heldout], calls)) heldOut.push(document);
  // Results are reported by source, so documents of one source must be adjacent.
  heldOut.sort((a, b) => ((a.source ?? "") < (b.source ?? "") ? -1 : (a.source ?? "") > (b.source ?? "") ? 1 : 0));
  return { corpus, spamClassifier, heldOut };
}

/** Writes one file per source under `<folder>/raw`. Of a mail it keeps only the body. */
export async function writeRawText(documents: readonly GivenDocument[], folder: string): Promise<string[]> {
  const raw = join(folder, "raw");
  await mkdir(raw, { recursive: true });
  const inputs: string[] = [];
  for (const [source, own] of bySource(documents)) {
    const file = join(raw, `${source}.jsonl`);
    const lines: string[] = [];
    for (const document of own) {
      const text = source === "mail" ? await mailBody(document) : document.text;
      lines.push(`${JSON.stringify({ ...document, text })}\n`);
    }
    await writeFileAtomic(file, lines.join(""));
    inputs.push(file);
  }
  return inputs;
}

function bySource(documents: readonly GivenDocument[]): Map<string, GivenDocument[]> {
  const sources = new Map<string, GivenDocument[]>();
  for (const document of documents) {
    const { source = "text" } = document;
    const own = sources.get(source);
    if (own === undefined) sources.set(source, [document]);
    else own.push(document);
  }
  return sources;
}
