/**
 * @file Grades of documents by a language model behind any OpenAI-compatible server, as FineWeb-Edu did
 * (Penedo et al. 2024): some documents are graded by it, and a classifier learns to grade the rest.
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

/** Asks for one figure, of which the last number of the answer is taken. */
export const EDUCATIONAL_PROMPT =
  "You grade texts by how much a pupil could learn from them, on a scale from 0 to 5. " +
  "0: nothing to learn, or advertising. 1: a few facts among other matter. 2: touches a subject of school, without order. " +
  "3: teaches one, if not without gaps. 4: clear and well ordered, as a chapter of a schoolbook is. " +
  "5: could be used in a lesson as it is. Answer with one sentence of reasons, and then with the line: Grade: N";

const MOST_CHARACTERS = 6000;
/** Requests for a grade that an answer may lack. */
const TRIES = 4;

/**
 * The grade of a text, 0 to 5.
 * @throws QuernError where the server cannot be reached, refuses, or answers without a grade every time
 */
export async function gradeText(text: string, options: GraderOptions): Promise<number> {
  const { client, model, prompt = EDUCATIONAL_PROMPT, signal } = options;
  const messages = [
    { role: "system", content: prompt },
    { role: "user", content: text.slice(0, MOST_CHARACTERS).replace(/\p{Cs}/gu, "") },
  ];
  let answer = "";
  for (let tries = 0; tries < TRIES; tries++) {
    [{ text: answer }] = await client.chat({ model, temperature: 0, messages }, { signal });
    const grade = gradeIn(answer);
    if (grade !== undefined) return grade;
  }
  throw new QuernError(
    `${client.baseUrl} gave no grade from 0 to 5 in ${TRIES} answers, the last of them ${JSON.stringify(quoted(answer.slice(0, 120)))}; ` +
      "choose a model that follows instructions",
  );
}

function gradeIn(answer: string): number | undefined {
  const last = [...answer.matchAll(/\d+(?:\.\d+)?/g)].at(-1)?.[0];
  if (last === undefined) return undefined;
  return Number(last) <= 5 ? Math.round(Number(last)) : undefined;
}

/** `count` of the documents, the same in every run and in any order: those with the smallest hashes. */
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
