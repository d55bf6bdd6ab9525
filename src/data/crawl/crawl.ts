/**
 * @file A polite crawl of web sites into WARC archives: breadth first within each origin, with one request to it at a
 * time. Archives keep every response unchanged. The crawl obeys `robots.txt`, `noindex` and `noai`.
 */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import type { z } from "zod";
import {
  decodePage,
  type HttpResponse,
  kindOfBody,
  mediaTypeOf,
  type OutputLayout,
  parseHttpResponse,
  sha1,
  withOutput,
  writeFileAtomic,
} from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { checkOptions } from "../../options.js";
import { excerpt, hideCredentials, quoted } from "../../printable.js";
import type { OnProgress } from "../../progress.js";
import { version } from "../../version.js";
import { PrivateAddressError } from "./addresses.js";
import { crawlOptions } from "./crawl-options.js";
import { exchangeRecords, payloadOf } from "./exchange-records.js";
import { type Exchange, Fetcher, failureOf, LargeAnswerError, loadFetcher, pathOf } from "./fetcher.js";
import { Frontier, frontierLimits, type Queued } from "./frontier.js";
import { directivesOf, readLinks, readSitemap } from "./links.js";
import type { Robots } from "./robots.js";
import { fetchRobots } from "./robots-fetch.js";
import { Scope } from "./scope.js";
import { CrawlStore, type Done, type Line, type Waiting } from "./store.js";
import { locationOf, normalizeUrl } from "./urls.js";

export interface CrawlOptions extends z.input<typeof crawlOptions> {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface CrawlResult {
  /** Pages in the archives. */
  readonly pages: number;
  /** Counts of fetched and refused addresses, by outcome. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Bytes received in this run. */
  readonly bytes: number;
  /** Addresses found but not tried, because a limit was reached or the crawl was stopped. */
  readonly waiting: number;
  /** Unreadable lines in an earlier run's log. */
  readonly damagedLines: number;
}

interface Host {
  readonly origin: string;
  readonly fetcher: Fetcher;
  robots: Robots | null;
  /** When robots.txt was fetched, in milliseconds. */
  robotsTime: number;
  busy: boolean;
  /** Earliest time of the next request, in milliseconds. */
  ready: number;
}

const RETRIES = 3;
const MOST_HOPS = 10;
/** RFC 9309, 2.4. */
const ROBOTS_AGE = 24 * 3600 * 1000;
/**
 * Maximum bytes of rules kept for all hosts. Beyond it, rules of idle hosts are dropped, and fetched again when needed.
 */
const MOST_RULES = 2 ** 26;
const PAGE_TYPES = /^(text\/(html|plain|xml)|application\/(xhtml\+xml|vnd\.wap\.xhtml\+xml|xml))$/;
const SITEMAP_TYPES = /^(text\/|application\/(xml|rss|atom|x?-?gzip))/;
/** Seconds. A robots.txt that sets a delay of hours would stall the crawl. */
const LONGEST_DELAY = 120;
/** Outcomes that may be temporary: the next run tries those addresses again. */
const PASSING =
  /^(forbidden by robots\.txt|robots\.txt: .*|no answer \(.*|too slow|broken off|status (429|5\d\d)|a private address)$/s;
/** Maximum number of outcomes counted separately: their names contain types that servers choose. */
const MOST_OUTCOMES = 200;

/**
 * Crawls web sites. A folder with an earlier crawl is resumed: finished addresses are not fetched again, but those
 * refused for a temporary reason are.
 *
 * @throws QuernError for an invalid address, invalid options, or a folder that cannot be written
 */
export async function crawl(options: CrawlOptions): Promise<CrawlResult> {
  const { signal, onProgress, ...rest } = options;
  const o = checkOptions(crawlOptions, rest);
  const starts = o.urls.map((url) => {
    const start = normalizeUrl(url);
    if (start === null) {
      throw new QuernError(`${quoted(url)} is not an http or https address`, { exitCode: 2 });
    }
    return start;
  });
  // It is sent as a header.
  if (/[^ -~]/.test(o.contact)) {
    throw new QuernError(`the contact ${quoted(o.contact)} must be plain ASCII`, { exitCode: 2 });
  }
  await loadFetcher();
  // There may always be more to fetch, so a crawl never counts as finished.
  const claim = { verb: "data crawl", out: o.out, inputs: [], layout: crawlLayout, resume: true, open: true };
  return withOutput(claim, () => new Crawl(o, starts, signal, onProgress).run());
}

/** The files that a crawl writes. */
const crawlLayout: OutputLayout = {
  writes: (path) => /^(archive-\d{5,}\.warc\.gz|frontier\.log|crawl\.json)$/.test(path),
};

class Crawl {
  readonly #o: z.output<typeof crawlOptions>;
  readonly #signal: AbortSignal | undefined;
  readonly #onProgress: OnProgress | undefined;
  readonly #scope: Scope;
  readonly #starts: readonly string[];
  readonly #frontier: Frontier;
  readonly #payloads = new Map<string, string>();
  readonly #hosts = new Map<string, Host>();
  readonly #outcomes = new Map<string, number>();
  #store!: CrawlStore;
  #pages = 0;
  #bytes = 0;
  #fetches = 0;
  #rules = 0;
  /** Pages being fetched. They count towards the page limit until they turn out not to be kept. */
  #inFlight = 0;
  /** Resolves when a host may have become free or a queue longer. */
  #change!: Promise<void>;
  #changed!: () => void;

  constructor(
    o: z.output<typeof crawlOptions>,
    starts: readonly string[],
    signal?: AbortSignal,
    onProgress?: OnProgress,
  ) {
    this.#o = o;
    this.#starts = starts;
    this.#scope = new Scope(o.scope, starts);
    this.#frontier = new Frontier(frontierLimits(o.maxPages));
    this.#signal = signal;
    this.#onProgress = onProgress;
    this.#wake();
  }

  /** Wakes the idle workers, which look for work again. */
  #wake(): void {
    this.#changed?.();
    this.#change = new Promise((resolve) => {
      this.#changed = resolve;
    });
  }

  async run(): Promise<CrawlResult> {
    const { out, minutes, concurrency } = this.#o;
    this.#store = await CrawlStore.open(out, (line) => this.#replay(line));
    for (const origin of this.#frontier.finishReplay()) this.#host(origin);
    await this.#enqueue(
      this.#starts.map((url) => ({ url, depth: 0, kind: "page", hops: 0 })),
      null,
      [],
    );
    const deadline = minutes === undefined ? Number.POSITIVE_INFINITY : Date.now() + minutes * 60_000;
    try {
      await Promise.all(Array.from({ length: concurrency }, () => this.#work(deadline)));
    } finally {
      await this.#store.close();
      await Promise.all([...this.#hosts.values()].map((host) => host.fetcher.close()));
      const result = this.#result();
      const options = { ...this.#o, urls: this.#starts, contact: hideCredentials(this.#o.contact) };
      await writeFileAtomic(join(out, "crawl.json"), `${JSON.stringify({ version, options, ...result }, null, 2)}\n`);
    }
    return this.#result();
  }

  #replay(line: Line): void {
    if ("found" in line) {
      // A redirected start address has widened the scope.
      if (line.found.depth === 0 && line.found.kind === "page") this.#scope.include(line.found.url);
      if (!this.#frontier.replayFound(line.found)) this.#tally("beyond the number of addresses");
      return;
    }
    const { url, outcome } = line.done;
    const again = ({ depth, kind }: Waiting) =>
      PASSING.test(outcome) || (depth === 0 && kind === "page" && !/^(kept|redirected$)/.test(outcome));
    if (!this.#frontier.replayDone(url, outcome, again)) this.#count(line.done);
  }

  #result(): CrawlResult {
    return {
      pages: this.#pages,
      outcomes: Object.fromEntries(this.#outcomes),
      bytes: this.#bytes,
      waiting: this.#frontier.waiting,
      damagedLines: this.#store.damagedLines,
    };
  }

  async #work(deadline: number): Promise<void> {
    for (;;) {
      if (this.#signal?.aborted || Date.now() > deadline || this.#full()) return this.#wake();
      const host = this.#next();
      if (host === null) {
        const hosts = [...this.#hosts.values()];
        if (hosts.every((h) => !this.#hasWork(h) && !h.busy)) return this.#wake();
        let soonest = Date.now() + 1000;
        for (const h of hosts) if (!h.busy && this.#hasWork(h)) soonest = Math.min(soonest, h.ready);
        const pause = new AbortController();
        const late = sleep(Math.max(1, soonest - Date.now()), undefined, { signal: pause.signal }).catch(() => {});
        await Promise.race([late, this.#change]);
        pause.abort();
        continue;
      }
      host.busy = true;
      try {
        await this.#visit(host);
      } finally {
        host.busy = false;
        this.#wake();
      }
    }
  }

  #full(): boolean {
    const { maxPages, maxBytes } = this.#o;
    // Fetching must also end on sites where few pages are kept (errors, other types).
    return this.#pages + this.#inFlight >= maxPages || this.#bytes >= maxBytes || this.#fetches >= 20 * maxPages + 200;
  }

  #hasWork(host: Host): boolean {
    return this.#frontier.waitingAt(host.origin) > 0;
  }

  #next(): Host | null {
    const now = Date.now();
    let best: Host | null = null;
    for (const host of this.#hosts.values()) {
      if (host.busy || host.ready > now || !this.#hasWork(host)) continue;
      if (best === null || host.ready < best.ready) best = host;
    }
    return best;
  }

  #host(origin: string): Host {
    const known = this.#hosts.get(origin);
    if (known !== undefined) return known;
    const fetcher = this.#fetcher(origin);
    const host: Host = { origin, fetcher, robots: null, robotsTime: 0, busy: false, ready: 0 };
    this.#hosts.set(origin, host);
    return host;
  }

  #fetcher(origin: string): Fetcher {
    const { timeout, allowPrivate, contact } = this.#o;
    return new Fetcher(origin, { seconds: timeout, allowPrivate, userAgent: `Quern/${version} (+${contact})` });
  }

  async #visit(host: Host): Promise<void> {
    if (host.robots === null || Date.now() - host.robotsTime > ROBOTS_AGE) {
      await this.#fetchRobots(host);
      return; // the next request waits for the host's delay
    }
    const entry = this.#frontier.take(host.origin);
    if (entry === null) return;
    if (!host.robots.allows(entry.url)) {
      const { problem } = host.robots;
      const outcome = problem === undefined ? "forbidden by robots.txt" : `robots.txt: ${problem}`;
      return this.#finish({ url: entry.url, outcome }, [], entry.before);
    }
    this.#inFlight += entry.kind === "page" ? 1 : 0;
    try {
      await this.#fetch(host, entry);
    } finally {
      this.#inFlight -= entry.kind === "page" ? 1 : 0;
      this.#bytes += host.fetcher.takeReceived();
      this.#rest(host);
      // A host without work keeps no open connection.
      if (!this.#hasWork(host)) await host.fetcher.close();
      this.#onProgress?.({
        task: "crawl",
        done: this.#pages,
        total: this.#o.maxPages,
        unit: "page",
        note: `${this.#frontier.waiting} waiting`,
      });
    }
  }

  /** Leaves the host alone for its delay, and for at least `atLeast` seconds. */
  #rest(host: Host, atLeast = 0): void {
    const delay = Math.min(LONGEST_DELAY, Math.max(this.#o.delay, host.robots?.delay ?? 0, atLeast));
    host.ready = Math.max(host.ready, Date.now() + delay * 1000);
  }

  async #fetchRobots(host: Host): Promise<void> {
    this.#fetches += 1;
    const others: Fetcher[] = [];
    const fetcherOf = (origin: string) => {
      if (origin === host.origin) return host.fetcher;
      const other = this.#fetcher(origin);
      others.push(other);
      return other;
    };
    const keep = (url: string, exchange: Exchange) => this.#store.write(this.#records(url, exchange, null), [], null);
    const url = `${host.origin}/robots.txt`;
    let robots: Robots;
    try {
      robots = await fetchRobots(url, fetcherOf, keep, this.#signal);
    } catch (error) {
      if (this.#signal?.aborted) return;
      throw error;
    } finally {
      for (const fetcher of [host.fetcher, ...others]) this.#bytes += fetcher.takeReceived();
      await Promise.all(others.map((other) => other.close()));
    }
    this.#rules += robots.size - (host.robots?.size ?? 0);
    host.robots = robots;
    host.robotsTime = Date.now();
    this.#forgetRules(host);
    this.#rest(host);
    if (this.#o.sitemaps) {
      const maps = robots.sitemaps.map((map) => normalizeUrl(map, url)).filter((map) => map !== null);
      await this.#enqueue(
        maps.map((map) => ({ url: map, depth: 0, kind: "sitemap", hops: 0, via: url })),
        null,
        [],
      );
    }
  }

  #forgetRules(current: Host): void {
    for (const host of this.#hosts.values()) {
      if (this.#rules <= MOST_RULES) return;
      if (host === current || host.busy || host.robots === null) continue;
      this.#rules -= host.robots.size;
      host.robots = null;
    }
  }

  async #fetch(host: Host, entry: Queued): Promise<void> {
    const { maxPageBytes } = this.#o;
    const isSitemap = entry.kind === "sitemap";
    this.#fetches += 1;
    let exchange: Exchange;
    try {
      exchange = await host.fetcher.get(pathOf(entry.url), {
        accept: isSitemap ? "application/xml,text/xml,*/*;q=0.5" : "text/html,application/xhtml+xml,text/plain;q=0.8",
        bytes: maxPageBytes,
        wanted: (status, headers) => status >= 300 || mayBe(isSitemap ? SITEMAP_TYPES : PAGE_TYPES, headers),
        signal: this.#signal,
      });
    } catch (error) {
      if (this.#signal?.aborted) return this.#frontier.put(entry);
      if (error instanceof PrivateAddressError) {
        return this.#finish({ url: entry.url, outcome: "a private address" }, [], entry.before);
      }
      if (error instanceof LargeAnswerError)
        return this.#finish({ url: entry.url, outcome: "a head beyond the limit" });
      return this.#again(host, entry, failureOf(error), 0);
    }
    const { status, headers, cut } = exchange;
    if (status === 429 || status >= 500) {
      return this.#again(host, entry, `status ${status}`, secondsIn(headers.get("retry-after") ?? "0"));
    }
    const location = headers.get("location");
    if (status >= 300 && status < 400 && location !== undefined) return this.#redirect(entry, exchange, location);
    if (status < 200 || status > 299) {
      return this.#finish(
        { url: entry.url, outcome: `status ${status}`, status },
        this.#records(entry.url, exchange, null),
      );
    }
    if (cut === "type") {
      return this.#finish({ url: entry.url, outcome: ofType(mediaTypeOf(headers.get("content-type") ?? "")), status });
    }
    if (cut === "time") return this.#again(host, entry, "too slow", 0);
    if (cut === "disconnect") return this.#again(host, entry, "broken off", 0);
    const response = parseHttpResponse(exchange.response, 8 * maxPageBytes);
    if (response === null) return this.#finish({ url: entry.url, outcome: "no HTTP answer" });
    if (response.body.length === 0 && response.flaws.length > 0) {
      const outcome = `a body that is damaged (${excerpt(response.flaws[0])})`;
      return this.#finish({ url: entry.url, outcome, status });
    }
    if (isSitemap) return this.#readSitemap(entry, response, this.#records(entry.url, exchange, null));
    await this.#keep(entry, exchange, response);
  }

  async #keep(entry: Waiting, exchange: Exchange, response: HttpResponse): Promise<void> {
    const { url, depth } = entry;
    const contentType = response.headers.get("content-type") ?? "";
    const kind = kindOfBody(contentType, response.body);
    if (kind !== "html" && kind !== "text")
      return this.#finish({ url, outcome: ofType(kind), status: exchange.status });
    const said = new Set(directivesOf(response.headers.get("x-robots-tag") ?? ""));
    let links: readonly string[] = [];
    if (kind === "html") {
      const { text, charset } = decodePage(response.body, contentType);
      const page = readLinks(text);
      for (const directive of page.directives) said.add(directive);
      const base = page.base === undefined ? url : (normalizeUrl(page.base, url) ?? url);
      links = page.links.map((link) => normalizeUrl(link, base, charset)).filter((link) => link !== null);
    }
    const refused = said.has("noindex") ? "noindex" : said.has("noai") ? "noai" : null;
    const found: Waiting[] =
      said.has("nofollow") || depth >= this.#o.maxDepth
        ? []
        : [...new Set(links)].map((link) => ({ url: link, depth: depth + 1, kind: "page", hops: 0, via: url }));
    const digest = sha1(payloadOf(exchange.response));
    const records = refused === null ? this.#records(url, exchange, entry) : [];
    const bytes = exchange.response.length;
    const outcome = refused ?? (exchange.cut === "length" ? "kept, cut at the size limit" : "kept");
    await this.#enqueue(found, { url, outcome, status: exchange.status, bytes, digest }, records);
  }

  async #redirect(entry: Waiting, exchange: Exchange, location: string): Promise<void> {
    const target = normalizeUrl(locationOf(location), entry.url);
    const done: Done = { url: entry.url, outcome: "redirected", status: exchange.status };
    const records = this.#records(entry.url, exchange, null);
    if (target === null) return this.#finish({ ...done, outcome: "redirected to no page" }, records);
    if (entry.hops >= MOST_HOPS) return this.#finish({ ...done, outcome: "too many redirects" }, records);
    // A start that moved, for example from http to https or to www, is crawled at its new address.
    if (entry.depth === 0 && entry.kind === "page") this.#scope.include(target);
    await this.#enqueue([{ ...entry, url: target, hops: entry.hops + 1, via: entry.url }], done, records);
  }

  async #readSitemap(entry: Waiting, response: HttpResponse, records: readonly Uint8Array[]): Promise<void> {
    let { body } = response;
    if (body[0] === 0x1f && body[1] === 0x8b) {
      try {
        body = gunzipSync(body, { maxOutputLength: 64 * 2 ** 20 });
      } catch {
        return this.#finish({ url: entry.url, outcome: "a damaged sitemap" }, records);
      }
    }
    const { pages, sitemaps } = readSitemap(decodePage(body).text);
    const next = (urls: readonly string[], kind: Waiting["kind"]): Waiting[] =>
      urls.flatMap((link) => {
        const url = normalizeUrl(link, entry.url);
        return url === null ? [] : [{ url, depth: entry.depth + 1, kind, hops: 0, via: entry.url }];
      });
    // Nested sitemap indexes are a trap.
    const deeper = entry.depth < 3 ? next(sitemaps, "sitemap") : [];
    await this.#enqueue([...deeper, ...next(pages, "page")], { url: entry.url, outcome: "a sitemap" }, records);
  }

  /** Queues an address for another try later, up to three times. */
  async #again(host: Host, entry: Queued, problem: string, wait: number): Promise<void> {
    const tries = (entry.tries ?? 0) + 1;
    entry.tries = tries;
    if (tries > RETRIES) return this.#finish({ url: entry.url, outcome: problem }, [], entry.before);
    this.#frontier.put(entry);
    this.#rest(host, Math.max(Number.isFinite(wait) ? wait : 0, Math.max(0.1, this.#o.delay) * 2 ** (tries - 1)));
  }

  /** @param before the outcome of an earlier run; the same outcome is counted but not logged twice */
  async #finish(done: Done, records: readonly Uint8Array[] = [], before?: string): Promise<void> {
    if (done.outcome === before && records.length === 0) this.#count(done);
    else await this.#enqueue([], done, records);
  }

  /** Writes what was fetched, and queues the new addresses that are in scope and not a trap. */
  async #enqueue(found: readonly Waiting[], done: Done | null, records: readonly Uint8Array[]): Promise<void> {
    const added: Waiting[] = [];
    for (const entry of found) {
      const reason = this.#frontier.admit(entry, entry.kind === "sitemap" || this.#scope.includes(entry.url));
      if (reason === null) added.push(entry);
      else if (reason !== "") this.#tally(reason);
    }
    for (const entry of added) this.#host(new URL(entry.url).origin);
    if (done !== null) this.#count(done);
    if (added.length > 0) this.#wake();
    await this.#store.write(records, added, done);
  }

  #count({ outcome, digest, url }: Done): void {
    this.#tally(outcome);
    if (!outcome.startsWith("kept")) return;
    this.#pages += 1;
    if (digest !== undefined && !this.#payloads.has(digest)) this.#payloads.set(digest, url);
  }

  #tally(outcome: string): void {
    const isOther = this.#outcomes.size >= MOST_OUTCOMES && !this.#outcomes.has(outcome);
    const name = isOther ? "another outcome" : outcome;
    this.#outcomes.set(name, (this.#outcomes.get(name) ?? 0) + 1);
  }

  #records(url: string, exchange: Exchange, entry: Waiting | null): Uint8Array[] {
    return exchangeRecords(url, exchange, {
      first: this.#store.atStart,
      payloads: this.#payloads,
      ...(entry === null ? {} : { found: entry }),
    });
  }
}

/** Parses a Retry-After header, which contains seconds or a date (RFC 9110, 10.2.3), into seconds. */
const secondsIn = (text: string) => (/^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000);
/** Returns true unless the header names another type. Without a type, the body decides. */
const mayBe = (types: RegExp, headers: ReadonlyMap<string, string>) =>
  types.test(mediaTypeOf(headers.get("content-type") ?? "") ?? "text/plain");
const ofType = (type: string | null) => `of type ${excerpt(type ?? "unknown")}`;
