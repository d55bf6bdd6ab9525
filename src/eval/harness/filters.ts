/**
 * @file Takes the answer out of what a model generated: lm-eval's filters and their pipelines. A filter maps the responses of
 * all documents at once. A document starts with a list of `repeats` responses, and filters such as `take_first` replace
 * the list by one value.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { strip } from "./python-text.js";
import { choiceRegexFilter, regexFilter } from "./regex-filters.js";
import { formatSpan, tagsOf } from "./span-filters.js";

/** The fields of a document. */
export type FilterDocument = Readonly<Record<string, unknown>>;

/** Maps the responses of each document; both lists have one item per document. */
export type Filter = (responses: readonly unknown[], documents: readonly FilterDocument[]) => unknown[];

/** One step of `filter_list` in a task file: the function's name beside its arguments. */
export type FilterStep = { readonly function: string } & Readonly<Record<string, unknown>>;

export interface FilterPipeline {
  /** Stands after the comma in a result's key: `exact_match,strict-match`. */
  readonly name: string;
  readonly apply: Filter;
}

type Arguments = Readonly<Record<string, unknown>>;

/** Filters by name, with the arguments that each accepts. */
const FILTERS: Readonly<
  Record<string, { readonly accepts: readonly string[]; readonly make: (a: Arguments) => Filter }>
> = {
  take_first: { accepts: [], make: () => (all) => all.map((one) => responsesOf(one)[0]) },
  take_first_k: { accepts: ["k"], make: takeFirstFew },
  majority_vote: { accepts: [], make: () => (all) => all.map((one) => [mostFrequent(responsesOf(one))]) },
  remove_whitespace: { accepts: [], make: () => perResponse((text) => strip(textOf("remove_whitespace", text))) },
  lowercase: { accepts: [], make: () => perResponse((text) => textOf("lowercase", text).toLowerCase()) },
  uppercase: { accepts: [], make: () => perResponse((text) => textOf("uppercase", text).toUpperCase()) },
  map: { accepts: ["mapping_dict", "default_value"], make: mapFilter },
  regex: {
    accepts: ["regex_pattern", "group_select", "fallback"],
    make: (a) => {
      const extract = regexFilter(a);
      return perResponse(extract);
    },
  },
  multi_choice_regex: {
    accepts: ["regex_pattern", "group_select", "fallback", "ignore_case", "ignore_punctuation", "regexes_to_ignore"],
    make: (a) => {
      const forDocument = choiceRegexFilter(a);
      return (all, documents) => all.map((one, i) => responsesOf(one).map(forDocument(documents[i]!, i)));
    },
  },
  regex_pos: {
    accepts: ["regex_pattern", "group_select", "fallback"],
    make: ({ fallback = ["invalid"] }) => perResponse((text) => tagsOf(textOf("regex_pos", text), fallback)),
  },
  format_span: { accepts: [], make: () => perResponse((text) => formatSpan(textOf("format_span", text))) },
};

/** What lm-eval has, but a task file alone cannot say. */
const REFUSED: Readonly<Record<string, string>> = {
  custom: "calls a Python function",
  decontaminate: "does nothing in lm-eval; use --decontaminate",
};

export const FILTER_NAMES: readonly string[] = Object.keys(FILTERS);

/** @throws QuernError for an unknown filter or argument, or a pattern that cannot be used */
export function createFilter(name: string, args: Arguments = {}): Filter {
  const found = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
  if (found === undefined) {
    const reason = REFUSED[name] ?? "is unknown";
    throw new QuernError(`the filter ${quoted(name)} ${reason}; known filters: ${FILTER_NAMES.join(", ")}`);
  }
  const unknown = Object.keys(args).find((key) => !found.accepts.includes(key));
  if (unknown !== undefined) {
    const accepted = found.accepts.length === 0 ? "no arguments" : found.accepts.join(", ");
    throw new QuernError(`the filter ${name} has no argument ${quoted(unknown)}; it takes ${accepted}`);
  }
  return found.make(args);
}

/** Runs the steps one after another. Without steps the responses stay as they are. */
export function createPipeline(name: string, steps: readonly FilterStep[]): FilterPipeline {
  const filters = steps.map(({ function: filter, ...args }) => createFilter(filter, args));
  return {
    name,
    apply(responses, documents) {
      if (responses.length !== documents.length) {
        throw new QuernError(
          `the filter ${name} got responses for ${responses.length} of ${documents.length} documents`,
        );
      }
      return filters.reduce<unknown[]>((values, filter) => filter(values, documents), [...responses]);
    },
  };
}

/** The pipeline of a task without `filter_list`: the first response, under the name `none`. */
export function defaultPipeline(): FilterPipeline {
  return createPipeline("none", [{ function: "take_first" }]);
}

/** Returns the responses of one document. After `take_first` a text is the list of its characters, as in lm-eval. */
function responsesOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value === "string") return [...value];
  throw new QuernError("a filter follows one that already chose a single value; put take_first last");
}

function perResponse(change: (response: unknown) => unknown): Filter {
  return (all) => all.map((one) => responsesOf(one).map(change));
}

function textOf(filter: string, response: unknown): string {
  if (typeof response === "string") return response;
  throw new QuernError(`the filter ${filter} works on text, but an earlier filter made something else of it`);
}

function takeFirstFew({ k }: Arguments): Filter {
  if (typeof k !== "number" || !Number.isInteger(k) || k < 1) {
    throw new QuernError("the filter take_first_k needs k, a whole number above zero");
  }
  return (all) => {
    const first = all.length === 0 ? k : responsesOf(all[0]).length;
    if (first < k) {
      throw new QuernError(`take_first_k needs ${k} responses per document, but there are ${first}; raise repeats`);
    }
    return all.map((one) => (typeof one === "string" ? [...one].slice(0, k).join("") : responsesOf(one).slice(0, k)));
  };
}

/** Returns the most frequent value; of equally frequent ones the first. */
function mostFrequent(values: readonly unknown[]): unknown {
  if (values.length === 0) throw new QuernError("majority_vote has no responses to vote on");
  const counts = new Map<unknown, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let best: [unknown, number] | null = null;
  for (const entry of counts) if (best === null || entry[1] > best[1]) best = entry;
  return best![0];
}

/** The keys of a `Map` keep their types; the keys of an object are text. */
function mapFilter({ mapping_dict = {}, default_value = null }: Arguments): Filter {
  if (typeof mapping_dict !== "object" || mapping_dict === null || Array.isArray(mapping_dict)) {
    throw new QuernError("the filter map needs mapping_dict, a mapping of texts to values");
  }
  const mapping = mapping_dict instanceof Map ? mapping_dict : new Map<unknown, unknown>(Object.entries(mapping_dict));
  return perResponse((response) => (mapping.has(response) ? mapping.get(response) : default_value));
}
