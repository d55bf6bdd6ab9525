/** @file Builds the filters that task files name as Python classes and functions. */
import { QuernError } from "../../../errors.js";
import type { FilterDocument } from "../filters.js";
import type { TaskFunction } from "../task-function.js";

type Options = Readonly<Record<string, unknown>>;

/**
 * A filter that maps each response of a document.
 * @param make checks the options once, and returns what maps the responses of one document
 */
export function perDocument(
  make: (options: Options) => (document: FilterDocument) => (response: string) => unknown,
): TaskFunction {
  return {
    takes: "responses",
    create: (options) => {
      const forDocument = make(options);
      return (all, documents) =>
        all.map((responses, i) => {
          const document = documents[i];
          if (document === undefined) throw new QuernError(`the filter has no document for the responses ${i}`);
          const map = forDocument(document);
          return listOf(responses).map((response) => {
            if (typeof response === "string") return map(response);
            throw new QuernError("the filter works on text, but an earlier filter made something else of it");
          });
        });
    },
  };
}

/** After `take_first` a text is the list of its characters, as in lm-eval. */
function listOf(responses: unknown): readonly unknown[] {
  if (Array.isArray(responses)) return responses;
  if (typeof responses === "string") return [...responses];
  throw new QuernError("a filter follows one that already chose a single value; put take_first last");
}
