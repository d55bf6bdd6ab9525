/**
 * @file The text of the speedrun, from raw sources to clean documents: speeches, a novel and a dictionary, which are clean
 * but for their form, and raw mail, which is anything but.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type CleanResult,
  clean,
  custom,
  defineRecipe,
  gopherQuality,
  gopherRepetition,
  KEEP,
  language,
  length,
  normalise,
  personalData,
  type Step,
} from "../src/data/index.js";
import { type Document, type OnProgress, readStarterCorpus, writeFileAtomic } from "../src/documents/index.js";
import { mailText, readMail } from "./mail.js";

/** Rules made for the web are for the mail: a dictionary and a poem repeat themselves, and are no prose. */
const ofMail = (step: Step): Step => ({
  ...step,
  judge: (document) => (document.source === "mail" ? step.judge(document) : KEEP),
});

export const speedrunText = defineRecipe({
  name: "speedrun",
  steps: [
    custom("mail-text", ({ text, source }) => (source === "mail" ? { text: mailText(text) } : true)),
    normalise(),
    length({ minWords: 20 }),
    ofMail(language({ keep: ["en"], minScore: 0.45 })),
    ofMail(gopherRepetition()),
    // Mail is shorter than a web page, and has more numbers, dates and addresses.
    ofMail(gopherQuality({ minWords: 20, minAlphabeticWords: 0.7 })),
    personalData(),
  ],
});

/**
 * Fetches the raw documents once, or finds them in the cache; every package is checked by its checksum. With `fast` they
 * are one novel and a quarter of the mails.
 */
export async function readRawText({
  fast,
  ...calls
}: {
  readonly fast: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}): Promise<readonly Document[]> {
  const clean = await readStarterCorpus({ ...(fast && { sources: ["moby-dick"] as const }), ...calls });
  calls.onProgress?.({ task: "text", done: 0, unit: "mail", note: "raw mail" });
  const mail = await readMail({ ...(fast && { folders: ["easy-ham-2", "hard-ham-1"] as const }), ...calls });
  return [...clean, ...mail];
}

/** Cleans raw documents into `<run>/clean`, beside `<run>/raw`, to whose lines every clean document points. */
export async function cleanRawText(
  documents: readonly Document[],
  run: string,
  calls: { readonly signal?: AbortSignal; readonly onProgress?: OnProgress },
): Promise<CleanResult> {
  const raw = join(run, "raw");
  await mkdir(raw, { recursive: true });
  const inputs: string[] = [];
  for (const [source, own] of bySource(documents)) {
    const file = join(raw, `${source}.jsonl`);
    await writeFileAtomic(file, own.map((document) => `${JSON.stringify(document)}\n`).join(""));
    inputs.push(file);
  }
  return clean({ inputs, out: join(run, "clean"), recipe: speedrunText, ...calls });
}

function bySource(documents: readonly Document[]): Map<string, Document[]> {
  const sources = new Map<string, Document[]>();
  for (const document of documents) {
    const { source = "text" } = document;
    const own = sources.get(source);
    if (own === undefined) sources.set(source, [document]);
    else own.push(document);
  }
  return sources;
}
