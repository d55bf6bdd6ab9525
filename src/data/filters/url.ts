/**
 * @file Filters documents by URL: lists of domains, whole URLs, words and parts of words, as in RefinedWeb (Penedo et al. 2023,
 * arXiv:2306.01116, appendix G.1). Reason names follow datatrove.
 */

import { readFile } from "node:fs/promises";
import { parse } from "tldts";
import { z } from "zod";
import { type Candidate, drop, KEEP, type Step, type StepResult } from "./filter.js";
import { stepOptions, wordList } from "./step-options.js";
import { readWordList, type WordList } from "./word-list.js";

export interface UrlOptions {
  /** `fineweb` adds FineWeb's words to those given here; default none. */
  readonly lists?: "fineweb";
  /** Registered domains or host names; a domain covers all hosts under it. */
  readonly domains?: WordList;
  /** Whole URLs. */
  readonly urls?: WordList;
  /** A URL that contains one of these as a word is dropped. */
  readonly words?: WordList;
  /** A URL that contains `softLimit` of these as words is dropped. */
  readonly softWords?: WordList;
  readonly softLimit?: number;
  /** A URL whose letters and digits contain one of these anywhere is dropped. */
  readonly parts?: WordList;
  /** What to do with a document without a URL; default `keep`. */
  readonly withoutUrl?: "keep" | "drop";
}

interface UrlWords {
  readonly words: readonly string[];
  readonly softWords: readonly string[];
  readonly parts: readonly string[];
}
const NO_WORDS: UrlWords = { words: [], softWords: [], parts: [] };
/** datatrove's three lists; their licence is in LICENSE-url-words. */
const URL_WORDS = new URL("./url-words.json", import.meta.url);

const LISTS = Object.fromEntries(
  ["domains", "urls", "words", "softWords", "parts"].map((name) => [name, wordList.optional()]),
);

export function url(given: UrlOptions = {}): Step {
  const options = stepOptions(
    "url",
    given,
    { softLimit: 2 },
    { ...LISTS, lists: z.enum(["fineweb"]).optional(), withoutUrl: z.enum(["keep", "drop"]).optional() },
  );
  const { softLimit = 2, withoutUrl = "keep" } = options;
  let domains = new Set<string>();
  let urls = new Set<string>();
  let words = new Set<string>();
  let softWords = new Set<string>();
  let parts: string[] = [];

  const apply = ({ url }: Candidate): StepResult => {
    if (url === undefined) return withoutUrl === "keep" ? KEEP : drop("no_url");
    if (domains.size > 0) {
      const { domain, hostname } = parse(url);
      if (domain !== null && domains.has(domain)) return drop("domain");
      if (hostname !== null && domains.has(hostname)) return drop("subdomain");
    }
    if (urls.has(url)) return drop("url");
    if (words.size > 0 || softWords.size > 0) {
      const found = new Set(url.split(/[^a-zA-Z0-9]+/));
      let soft = 0;
      for (const word of found) {
        if (words.has(word)) return drop("hard_blacklisted");
        if (softWords.has(word)) soft += 1;
      }
      if (softWords.size > 0 && soft >= softLimit) return drop("soft_blacklisted");
    }
    if (parts.length > 0) {
      const letters = plain(url);
      if (parts.some((part) => letters.includes(part))) return drop("blacklisted_subword");
    }
    return KEEP;
  };
  return {
    name: "url",
    settings: { ...options, softLimit, withoutUrl },
    expectsChange: false,
    async prepare() {
      const own = options.lists === "fineweb" ? (JSON.parse(await readFile(URL_WORDS, "utf8")) as UrlWords) : NO_WORDS;
      domains = new Set(await readWordList(options.domains));
      urls = new Set(await readWordList(options.urls));
      words = new Set([...own.words, ...(await readWordList(options.words))].map(plain));
      softWords = new Set([...own.softWords, ...(await readWordList(options.softWords))].map(plain));
      parts = [...own.parts, ...(await readWordList(options.parts))].map(plain).filter((part) => part !== "");
    },
    judge: apply,
  };
}

const plain = (text: string) => text.replace(/[^a-zA-Z0-9]+/g, "").toLowerCase();

/** Returns the registered domain of a URL, its host if it has no registered domain, `(none)` without a URL. */
export function domainOf(url: string | undefined): string {
  if (url === undefined) return "(none)";
  const { domain, hostname } = parse(url);
  return domain ?? hostname ?? "(none)";
}
