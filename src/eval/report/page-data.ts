/**
 * @file The samples as the page holds them: JSON in blocks, deflated, in base64. Parts of prompts that repeat, such as few-shot
 * examples, are stored once.
 */
import { deflateRawSync } from "node:zlib";
import type { EvaluationRun } from "./evaluation-run.js";
import { pairSamples } from "./paired-samples.js";
import { type ViewedChoice, type ViewedDocument, viewDocuments } from "./sample-view.js";
import { type TokenPieces, tokenLengths } from "./token-lengths.js";

/** A task as the page knows it. */
export interface PageTask {
  readonly name: string;
  /** Keys such as `acc,none`, in the order of `PageDocument.v`. */
  readonly metrics: readonly string[];
  /** Whether every value is 0 or 1. */
  readonly binary: readonly boolean[];
  /** Whether 0 is right. */
  readonly lowerIsBetter: readonly boolean[];
}

/** Positions in the table of texts, and the number of tokens. */
type PageText = readonly [parts: readonly number[], tokens: number | null];

/** A document, with short names, because they repeat thousands of times. */
export interface PageDocument {
  /** Task, by position. */
  readonly t: number;
  readonly i: number;
  readonly p: PageText;
  /** Target. */
  readonly g: string;
  /** Choices: own context, text, log-likelihood, is greedy, characters, bytes, log-likelihood without the prompt. */
  readonly c?: readonly (readonly [PageText, PageText, number, 0 | 1, number | null, number | null, number | null])[];
  /** Right choices, and preferred ones by measure. */
  readonly r?: readonly number[] | null;
  readonly b?: readonly (number | null)[];
  /** Rolling log-likelihood. */
  readonly l?: number;
  /** Answers, and what each filter made of them. */
  readonly a?: readonly (readonly string[])[];
  readonly f?: readonly (readonly [filter: string, results: readonly string[]])[];
  /** Metric values. */
  readonly v: readonly unknown[];
  /** 1 if training data contains the document. */
  readonly k?: 0 | 1;
  /** The other run; null if it lacks the document. */
  readonly o?: PageOther | null;
}

interface PageOther {
  readonly v: readonly unknown[];
  /** Log-likelihoods of the choices. */
  readonly l?: readonly number[];
  readonly a?: readonly (readonly string[])[];
  readonly f?: readonly (readonly [filter: string, results: readonly string[]])[];
  /** Why the documents cannot be compared, and then the other prompt and target. */
  readonly x?: string;
  readonly p?: PageText;
  readonly g?: string;
}

export interface PageData {
  readonly tasks: readonly PageTask[];
  readonly documents: number;
  /** Base64 of deflated JSON: `{ s: [text, lengths of tokens as characters][], x: PageDocument[] }`. */
  readonly blocks: readonly string[];
  /** Characters to which longer prompts and answers were cut; null if all are whole. */
  readonly cutTo: number | null;
  /** Tasks whose samples are not there. */
  readonly missing: readonly string[];
  /** Whether documents were looked up in training data. */
  readonly isDecontaminated: boolean;
}

/** Pages beyond this size open slowly. */
const MOST_BYTES = 28e6;
const CUTS = [16_000, 8000, 4000, 2000, 1000, 500];
/** JSON characters of a block: unpacking one takes milliseconds. */
const BLOCK = 1 << 20;

/** Returns the samples of a run for the page, with those of another run beside them. */
export function pageData(
  run: EvaluationRun,
  {
    pieces,
    against,
    mostBytes = MOST_BYTES,
  }: { pieces?: TokenPieces; against?: EvaluationRun; mostBytes?: number } = {},
): PageData {
  const names = [...run.samples.keys()];
  const groups = run.results.group_subtasks;
  const missing = Object.keys(run.results.results).filter(
    (task) => !run.samples.has(task) && (groups[task] ?? []).length === 0,
  );
  const views = names.map((name) => viewDocuments(run, name));
  const tasks = names.map((name, i) => pageTask(run, name, views[i]));
  const others = names.map((name) => (against?.samples.has(name) ? otherViews(run, against, name) : undefined));
  const documents = views.reduce((sum, { length }) => sum + length, 0);
  const attempt = (cut: number) => {
    const writer = new BlockWriter(pieces, cut);
    views.forEach((view, t) => {
      const other = others[t];
      for (const document of view) writer.add(t, tasks[t], document, other?.get(document.docId), other !== undefined);
    });
    const blocks = writer.finish();
    const bytes = blocks.reduce((sum, { length }) => sum + length, 0);
    return { blocks, bytes, cutTo: writer.hasCut ? cut : null };
  };
  const isDecontaminated = views.some((view) => view.some((document) => document.isContaminated !== undefined));
  let made = attempt(Number.POSITIVE_INFINITY);
  for (const cut of CUTS) if (made.bytes > mostBytes) made = attempt(cut);
  return { tasks, documents, blocks: made.blocks, cutTo: made.cutTo, missing, isDecontaminated };
}

function pageTask(run: EvaluationRun, name: string, views: readonly ViewedDocument[]): PageTask {
  const metrics = [...new Set(views.flatMap(({ values }) => Object.keys(values)))];
  const better = run.results.higher_is_better[name] ?? {};
  return {
    name,
    metrics,
    binary: metrics.map((key) => {
      const values = views.map(({ values }) => values[key]).filter((value) => value !== undefined && value !== null);
      return values.length > 0 && values.every((value) => value === 0 || value === 1 || typeof value === "boolean");
    }),
    lowerIsBetter: metrics.map((key) => better[key.slice(0, key.indexOf(","))] === false),
  };
}

interface Other {
  readonly view: ViewedDocument;
  readonly obstacle: string | null;
}

function otherViews(run: EvaluationRun, against: EvaluationRun, task: string): ReadonlyMap<number, Other> {
  const { pairs } = pairSamples(run.samples.get(task) ?? [], against.samples.get(task) ?? []);
  const obstacles = new Map(pairs.map(({ ours, obstacle }) => [ours.doc_id, obstacle]));
  return new Map(
    viewDocuments(against, task).map((view) => [view.docId, { view, obstacle: obstacles.get(view.docId) ?? null }]),
  );
}

class BlockWriter {
  readonly #blocks: string[] = [];
  readonly #places = new Map<string, number>();
  #texts: string[] = [];
  #documents: string[] = [];
  #size = 0;
  hasCut = false;

  constructor(
    private readonly pieces: TokenPieces | undefined,
    private readonly most: number,
  ) {}

  add(t: number, task: PageTask, view: ViewedDocument, other: Other | undefined, hasOther: boolean): void {
    const values = (from: ViewedDocument) => task.metrics.map((key) => from.values[key] ?? null);
    const document: PageDocument = {
      ...{ t, i: view.docId, p: this.#text(view.prompt), g: this.#cut(view.target) },
      ...(view.choices.length === 0
        ? {}
        : { c: view.choices.map((choice) => this.#choice(choice)), r: view.right, b: view.preferred }),
      ...(view.rolling === null ? {} : { l: view.rolling }),
      ...this.#answers(view),
      v: values(view),
      ...(view.isContaminated === undefined ? {} : { k: view.isContaminated ? 1 : 0 }),
      ...(hasOther ? { o: other === undefined ? null : this.#other(view, other, values(other.view)) } : {}),
    };
    const json = JSON.stringify(document);
    this.#documents.push(json);
    this.#size += json.length;
    if (this.#size > BLOCK) this.#flush();
  }

  finish(): readonly string[] {
    if (this.#documents.length > 0) this.#flush();
    return this.#blocks;
  }

  #choice(choice: ViewedChoice) {
    const { before, text, logLikelihood, isGreedy, characters, bytes, unconditional } = choice;
    const texts = [this.#text(before), this.#text(text)] as const;
    return [...texts, logLikelihood, isGreedy ? 1 : 0, characters, bytes, unconditional] as const;
  }

  #answers({ answers, filtered }: ViewedDocument) {
    if (answers.length === 0) return {};
    return {
      a: answers.map((repeats) => repeats.map((text) => this.#cut(text))),
      f: filtered.map(({ filter, results }) => [filter, results.map((text) => this.#cut(text))] as const),
    };
  }

  #other(ours: ViewedDocument, { view, obstacle }: Other, v: readonly unknown[]): PageOther {
    return {
      v,
      ...(view.choices.length === 0 || view.choices.length !== ours.choices.length
        ? {}
        : { l: view.choices.map(({ logLikelihood }) => logLikelihood) }),
      ...(view.rolling === null ? {} : { l: [view.rolling] }),
      ...this.#answers(view),
      ...(obstacle === null ? {} : { x: obstacle, p: this.#text(view.prompt), g: this.#cut(view.target) }),
    };
  }

  #cut(text: string): string {
    if (text.length <= this.most) return text;
    this.hasCut = true;
    const half = Math.floor(this.most / 2);
    return `${text.slice(0, half)} […] ${text.slice(-half)}`;
  }

  /** Stores a text in parts that end in an empty line. */
  #text(whole: string): PageText {
    if (whole === "") return [[], 0];
    const text = this.#cut(whole);
    if (this.pieces === undefined) return [text.split(/(?<=\n\n)(?!\n)/).map((part) => this.#part(part, "")), null];
    const tokens = this.pieces(whole);
    const lengths = tokenLengths(text, text === whole ? tokens : this.pieces(text));
    const parts: number[] = [];
    let [start, at] = [0, 0];
    let codes = "";
    for (const length of lengths) {
      const isBreak = text.startsWith("\n\n", at - 2) && at > start && text[at] !== "\n";
      if (isBreak && length > 0) {
        parts.push(this.#part(text.slice(start, at), codes));
        start = at;
        codes = "";
      }
      at += length;
      codes += String.fromCharCode(Math.min(0xd000, FIRST_CODE + length));
    }
    parts.push(this.#part(text.slice(start), codes));
    return [parts, tokens.length];
  }

  #part(text: string, codes: string): number {
    const key = `${codes}\0${text}`;
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const place = this.#places.size;
    this.#places.set(key, place);
    const json = JSON.stringify(codes === "" ? [text] : [text, codes]);
    this.#texts.push(json);
    this.#size += json.length;
    return place;
  }

  #flush(): void {
    const json = `{"s":[${this.#texts.join(",")}],"x":[${this.#documents.join(",")}]}`;
    this.#blocks.push(deflateRawSync(json).toString("base64"));
    this.#texts = [];
    this.#documents = [];
    this.#size = 0;
  }
}

/** The character of a token of length 0; a token's length is written as one character. */
export const FIRST_CODE = 48;
