/**
 * @file Grades of documents by a language model behind any OpenAI-compatible endpoint, as FineWeb-Edu had them made
 * (Penedo et al. 2024): some documents are graded by it, and a classifier learns to grade the rest.
 */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "../../errors.js";
import type { StoredDocument } from "../texts.js";

export interface GraderOptions {
  /** Up to and with `/v1`. */
  readonly endpoint: string;
  readonly model: string;
  /** Sent as a bearer token, where one is given. */
  readonly key?: string;
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
const TRIES = 4;

/**
 * The grade of a text, 0 to 5.
 * @throws QuernError where the endpoint cannot be reached, refuses, or answers without a grade, again and again
 */
export async function gradeText(text: string, options: GraderOptions): Promise<number> {
  const { endpoint, model, key, prompt = EDUCATIONAL_PROMPT, signal } = options;
  const address = `${endpoint.replace(/\/+$/, "")}/chat/completions`;
  const body = JSON.stringify({
    model,
    temperature: 0,
    messages: [
      { role: "system", content: prompt },
      { role: "user", content: text.slice(0, MOST_CHARACTERS).replace(/\p{Cs}/gu, "") },
    ],
  });
  const headers = {
    "content-type": "application/json",
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
  };
  let problem = "";
  for (let attempt = 0; attempt < TRIES; attempt++) {
    signal?.throwIfAborted();
    if (attempt > 0) await sleep(50 * 4 ** attempt, undefined, { signal });
    try {
      const answer = await fetch(address, { method: "POST", headers, body, signal });
      const said = await answer.text();
      if (answer.ok) {
        const grade = gradeIn(said);
        if (grade !== undefined) return grade;
        problem = `no grade in its answer (${said.slice(0, 120)})`;
      } else {
        problem = `status ${answer.status} (${said.slice(0, 120)})`;
        // What is refused stays refused, but for too many questions.
        if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) break;
      }
    } catch (error) {
      if (signal?.aborted) throw error;
      problem = error instanceof Error ? ((error.cause as Error | undefined)?.message ?? error.message) : String(error);
    }
  }
  throw new QuernError(`${address} does not grade: ${problem}`);
}

function gradeIn(answer: string): number | undefined {
  try {
    const content: unknown = (JSON.parse(answer) as { choices: { message: { content: unknown } }[] }).choices[0].message
      .content;
    const numbers = [...String(content).matchAll(/\d+(?:\.\d+)?/g)].map(([number]) => Number(number));
    const last = numbers.at(-1);
    return last !== undefined && last >= 0 && last <= 5 ? Math.round(last) : undefined;
  } catch {
    return undefined;
  }
}

/** `count` of the documents, the same in every run and in any order: those with the smallest hashes. */
export async function sampleDocuments(
  documents: AsyncIterable<StoredDocument>,
  count: number,
): Promise<StoredDocument[]> {
  let chosen: { readonly hash: string; readonly document: StoredDocument }[] = [];
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
