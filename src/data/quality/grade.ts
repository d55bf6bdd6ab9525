/**
 * @file Grades documents with a language model on any OpenAI-compatible server, as in FineWeb-Edu (Penedo et al. 2024).
 * The model grades a sample, and a classifier trained on it grades the rest.
 */

import { createHash } from "node:crypto";
import type { Document } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import type { OpenAIClient } from "../../infer/index.js";
import { quoted } from "../../printable.js";

export interface GraderOptions {
  readonly client: OpenAIClient;
  readonly model: string;
  readonly prompt?: string;
  readonly signal?: AbortSignal;
}

/** The default prompt. The grade is the last number of the answer. */
export const EDUCATIONAL_PROMPT =
  "You grade texts by how much a pupil could learn from them, on a scale from 0 to 5. " +
  "0: nothing to learn, or advertising. 1: a few facts among other matter. 2: touches a subject of school, without order. " +
  "3: teaches one, if not without gaps. 4: clear and well ordered, as a chapter of a schoolbook is. " +
  "5: could be used in a lesson as it is. Answer with one sentence of reasons, and then with the line: Grade: N";

/** UTF-16 units of a document that are sent. */
const MAX_CHARACTERS = 6000;
/** Requests sent before giving up on answers without a grade. */
const TRIES = 4;

/**
 * Returns the grade of a text, 0 to 5.
 *
 * @throws QuernError if the server cannot be reached, refuses, or never answers with a grade
 */
export async function gradeText(text: string, options: GraderOptions): Promise<number> {
  const { client, model, prompt = EDUCATIONAL_PROMPT, signal } = options;
  const messages = [
    { role: "system", content: prompt },
    { role: "user", content: text.slice(0, MAX_CHARACTERS).replace(/\p{Cs}/gu, "") },
  ];
  let answer = "";
  for (let tries = 0; tries < TRIES; tries++) {
    [{ text: answer }] = await client.chat({ model, temperature: 0, messages }, { signal });
    const grade = gradeIn(answer);
    if (grade !== undefined) return grade;
  }
  throw new QuernError(
    `${client.baseUrl} returned no grade from 0 to 5 in ${TRIES} answers (the last one: ${JSON.stringify(quoted(answer.slice(0, 120)))}); ` +
      "choose a model that follows instructions",
  );
}

function gradeIn(answer: string): number | undefined {
  const last = [...answer.matchAll(/\d+(?:\.\d+)?/g)].at(-1)?.[0];
  if (last === undefined) return undefined;
  return Number(last) <= 5 ? Math.round(Number(last)) : undefined;
}

/** Samples `count` documents: those with the smallest hashes, so the sample depends on neither run nor order. */
export async function sampleDocuments(documents: AsyncIterable<Document>, count: number): Promise<Document[]> {
  let chosen: { readonly hash: string; readonly document: Document }[] = [];
  const prune = () => {
    chosen.sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
    chosen = chosen.slice(0, count);
  };
  for await (const document of documents) {
    chosen.push({ hash: createHash("sha1").update(document.text).digest("hex"), document });
    if (chosen.length >= 2 * count + 100) prune();
  }
  prune();
  return chosen.map(({ document }) => document);
}
