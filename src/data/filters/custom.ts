/** @file A filter or edit given as a function in the user's recipe. */
import { QuernError } from "../../errors.js";
import { show } from "../../options.js";
import { type Candidate, drop, KEEP, type Step } from "./filter.js";

/** The document as a user's function sees it. */
export interface CustomDocument {
  readonly id: string;
  readonly text: string;
  readonly url?: string;
  readonly source: string;
  readonly language?: string;
  readonly words: number;
  readonly bytes: number;
}

/**
 * Returns `true` to keep the document, `false` or a string (the reason) to drop it, or `{ text }` to replace its text.
 * The result must depend only on the document; otherwise two runs differ.
 */
export type CustomFunction = (document: CustomDocument) => boolean | string | { readonly text: string };

export function custom(name: string, rule: CustomFunction, { expectsChange = true } = {}): Step {
  if (typeof name !== "string" || typeof rule !== "function") {
    throw new QuernError("custom() needs a name and a function of a document", { exitCode: 2 });
  }
  return {
    name,
    settings: { code: rule.toString() },
    expectsChange,
    judge(document) {
      const answer = rule(view(document));
      if (answer === true) return KEEP;
      if (answer === false) return drop(name);
      if (typeof answer === "string") return drop(answer);
      if (typeof answer === "object" && answer !== null && typeof answer.text === "string") {
        return answer.text === document.passage.text ? KEEP : { keep: true, text: answer.text };
      }
      if (isPromise(answer)) {
        answer.catch(() => {});
        throw new QuernError("it returned a promise; a step must not be an async function", { exitCode: 2 });
      }
      throw new QuernError(`it returned ${show(answer)}; it must return true, false, a reason, or { text }`, {
        exitCode: 2,
      });
    },
  };
}

/** Whether a value is a promise, which async functions return. */
export const isPromise = (value: unknown): value is Promise<unknown> => value instanceof Promise;

function view({ id, passage, url, source, language }: Candidate): CustomDocument {
  return {
    id,
    text: passage.text,
    ...(url === undefined ? {} : { url }),
    source,
    ...(language === undefined ? {} : { language }),
    get words() {
      return passage.wordCount;
    },
    get bytes() {
      return passage.bytes;
    },
  };
}
