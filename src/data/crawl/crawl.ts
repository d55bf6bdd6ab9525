/**
 * @file A polite crawl of web sites into WARC archives: breadth first within each origin, one request at a time to it.
 * Every answer goes into the archive as it came; `robots.txt`, `noindex` and `noai` are obeyed.
 */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import type { z } from "zod";
import { type OutputLayout, withOutput, writeFileAtomic } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import { version } from "../../version.js";
import { type HttpResponse, parseHttpResponse } from "../archive/http-message.js";
import { sha1 } from "../archive/write.js";
import { decodePage } from "../extract/charset.js";
import { PrivateAddressError } from "./addresses.js";
import { crawlOptions } from "./crawl-options.js";
import { exchangeRecords, payloadOf } from "./exchange-records.js";
import { type Exchange, Fetcher, loadFetcher } from "./fetcher.js";
import { directivesOf, readLinks, readSitemap } from "./links.js";
import { ALLOW_ALL, type Robots, robotsFrom } from "./robots.js";
import { Scope } from "./scope.js";
import { CrawlStore, type Done, type Waiting } from "./store.js";
import { locationOf, normaliseUrl, TrapDetector } from "./urls.js";

export interface CrawlOptions extends z.input<typeof crawlOptions> {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface CrawlResult {
  /** Pages in the archives. */
  readonly pages: number;
  /** Addresses that were fetched or refused, by what came of them. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly bytes: number;
  /** Addresses that were found and not tried, since a limit was reached or the crawl was stopped. */
  readonly waiting: number;
}

interface Host {
  readonly origin: string;
  readonly fetcher: Fetcher;
  readonly queue: Waiting[];
  robots: Robots | null;
  busy: boolean;
  /** When it may be asked again, milliseconds. */
  ready: number;
}

const RETRIES = 3;
const MOST_HOPS = 10;
const PAGE_TYPES = /^(text\/html|application\/xhtml\+xml|text\/plain)$/;
const SITEMAP_TYPES = /^(text\/|application\/(xml|rss|atom|x?-?gzip))/;
/** A robots.txt that asks for hours between requests would hold a crawl up for ever. */
const LONGEST_DELAY = 120;

/**
 * Crawls. A folder that holds a crawl already is gone on with: what was done there is not fetched again.
 *
 * @throws QuernError for an address that is none, options that make no sense, a folder that cannot be written
 */
export async function crawl(options: CrawlOptions): Promise<CrawlResult> {
  const { signal, onProgress, ...rest } = options;
  const o = checkOptions(crawlOptions, rest);
  const starts = o.urls.map((url) => {
    const start = normaliseUrl(url);
    if (start === null) throw new QuernError(`${url} is no http or https address`, { exitCode: 2 });
    return start;
  });
  await loadFetcher();
  // There may always be more to fetch, so a crawl is never finished.
  const claim = { verb: "data crawl", out: o.out, inputs: [], layout: crawlLayout, resume: true, open: true };
  return withOutput(claim, () => new Crawl(o, starts, signal, onProgress).run());
}

/** What a crawl writes. */
const crawlLayout: OutputLayout = {
  writes: (path) => /^(archive-\d{5,}\.warc\.gz|frontier\.log|crawl\.json)$/.test(path),
};

class Crawl {
  readonly #o: z.output<typeof crawlOptions>;
  readonly #signal: AbortSignal | undefined;
  readonly #onProgress: OnProgress | undefined;
  readonly #scope: Scope;
  readonly #starts: readonly string[];
  readonly #seen = new Set<string>();
  readonly #payloads = new Map<string, string>();
  readonly #tries = new Map<string, number>();
  readonly #hosts = new Map<string, Host>();
  readonly #outcomes = new Map<string, number>();
  readonly #traps = new TrapDetector();
  #store!: CrawlStore;
  #pages = 0;
  #bytes = 0;
  #fetches = 0;
  /** Pages being fetched: the limit counts them as kept until they are not. */
  #inFlight = 0;
  /** Settles when a host may have become free or a queue longer. */
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
    this.#signal = signal;
    this.#onProgress = onProgress;
    this.#wake();
  }

  /** Those who wait look again. */
  #wake(): void {
    this.#changed?.();
    this.#change = new Promise((resolve) => {
      this.#changed = resolve;
    });
  }

  async run(): Promise<CrawlResult> {
    const { out, minutes, concurrency } = this.#o;
    const waiting = new Map<string, Waiting>();
    this.#store = await CrawlStore.open(out, (line) => {
      if ("found" in line) {
        waiting.set(line.found.url, line.found);
        this.#seen.add(line.found.url);
        // A start that led elsewhere has widened the scope.
        if (line.found.depth === 0) this.#scope.include(line.found.url);
      } else {
        waiting.delete(line.done.url);
        this.#seen.add(line.done.url);
        this.#count(line.done);
      }
    });
    for (const entry of waiting.values()) this.#host(entry.url).queue.push(entry);
    const fresh = this.#starts.filter((url) => !this.#seen.has(url));
    await this.#enqueue(
      fresh.map((url) => ({ url, depth: 0, kind: "page", hops: 0 })),
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
      await writeFileAtomic(
        join(out, "crawl.json"),
        `${JSON.stringify({ version, options: this.#o, ...result }, null, 2)}\n`,
      );
    }
    return this.#result();
  }

  #result(): CrawlResult {
    const waiting = [...this.#hosts.values()].reduce((sum, host) => sum + host.queue.length, 0);
    return { pages: this.#pages, outcomes: Object.fromEntries(this.#outcomes), bytes: this.#bytes, waiting };
  }

  async #work(deadline: number): Promise<void> {
    for (;;) {
      if (this.#signal?.aborted || Date.now() > deadline || this.#full()) return this.#wake();
      const host = this.#next();
      if (host === null) {
        const hosts = [...this.#hosts.values()];
        if (hosts.every((h) => h.queue.length === 0 && !h.busy)) return this.#wake();
        const soonest = Math.min(
          ...hosts.filter((h) => !h.busy && h.queue.length > 0).map((h) => h.ready),
          Date.now() + 1000,
        );
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
    // Where little is kept (errors, other types), fetching must end too.
    return this.#pages + this.#inFlight >= maxPages || this.#bytes >= maxBytes || this.#fetches >= 20 * maxPages + 200;
  }

  #next(): Host | null {
    const now = Date.now();
    let best: Host | null = null;
    for (const host of this.#hosts.values()) {
      if (host.busy || host.queue.length === 0 || host.ready > now) continue;
      if (best === null || host.ready < best.ready) best = host;
    }
    return best;
  }

  #host(url: string): Host {
    const { origin } = new URL(url);
    const known = this.#hosts.get(origin);
    if (known !== undefined) return known;
    const { maxPageBytes, timeout, allowPrivate, contact } = this.#o;
    const userAgent = `Quern/${version} (+${contact})`;
    const fetcher = new Fetcher(origin, { bytes: maxPageBytes, seconds: timeout, allowPrivate, userAgent });
    const host: Host = { origin, fetcher, queue: [], robots: null, busy: false, ready: 0 };
    this.#hosts.set(origin, host);
    return host;
  }

  async #visit(host: Host): Promise<void> {
    if (host.robots === null) {
      host.robots = await this.#fetchRobots(host);
      return; // the next request waits its time
    }
    const entry = host.queue.shift();
    if (entry === undefined) return;
    if (!host.robots.allows(entry.url)) return this.#finish({ url: entry.url, outcome: "forbidden by robots.txt" });
    this.#inFlight += entry.kind === "page" ? 1 : 0;
    try {
      await this.#fetch(host, entry);
    } finally {
      this.#inFlight -= entry.kind === "page" ? 1 : 0;
      this.#rest(host);
      this.#onProgress?.({
        task: "crawl",
        done: this.#pages,
        total: this.#o.maxPages,
        unit: "page",
        note: `${this.#result().waiting} waiting`,
      });
    }
  }

  /** The host is left alone for its delay. */
  #rest(host: Host, atLeast = 0): void {
    const delay = Math.min(LONGEST_DELAY, Math.max(this.#o.delay, host.robots?.delay ?? 0, atLeast));
    host.ready = Math.max(host.ready, Date.now() + delay * 1000);
  }

  async #fetchRobots(host: Host): Promise<Robots> {
    const url = `${host.origin}/robots.txt`;
    let robots: Robots;
    try {
      let place = url;
      let exchange: Exchange;
      for (let hops = 0; ; hops++) {
        exchange = await host.fetcher.get(pathOf(place), { accept: "text/plain", signal: this.#signal });
        const location = exchange.headers.get("location");
        if (exchange.status < 300 || exchange.status > 399 || location === undefined) break;
        // RFC 9309, 2.3.1.2: five redirects are followed; here within the origin, where the same connection serves.
        const target = normaliseUrl(locationOf(location), place);
        if (hops === 5 || target === null || new URL(target).origin !== host.origin) break;
        place = target;
      }
      const response = parseHttpResponse(exchange.response, this.#o.maxPageBytes);
      this.#bytes += exchange.response.length;
      robots = robotsFrom(
        url,
        exchange.status >= 300 && exchange.status < 400 ? 404 : exchange.status,
        response?.body ?? "",
      );
      await this.#store.write(this.#records(url, exchange, null), [], null);
    } catch (error) {
      if (this.#signal?.aborted) return ALLOW_ALL; // nothing more is fetched
      robots = robotsFrom(url, error instanceof PrivateAddressError ? 404 : null, "");
    }
    this.#rest(host);
    if (this.#o.sitemaps) {
      const maps = robots.sitemaps.map((map) => normaliseUrl(map, url)).filter((map) => map !== null);
      await this.#enqueue(
        maps.map((map) => ({ url: map, depth: 0, kind: "sitemap", hops: 0, via: url })),
        null,
        [],
      );
    }
    return robots;
  }

  async #fetch(host: Host, entry: Waiting): Promise<void> {
    const isSitemap = entry.kind === "sitemap";
    this.#fetches += 1;
    let exchange: Exchange;
    try {
      exchange = await host.fetcher.get(pathOf(entry.url), {
        accept: isSitemap ? "application/xml,text/xml,*/*;q=0.5" : "text/html,application/xhtml+xml,text/plain;q=0.8",
        wanted: (status, headers) => status >= 300 || (isSitemap ? SITEMAP_TYPES : PAGE_TYPES).test(typeOf(headers)),
        signal: this.#signal,
      });
    } catch (error) {
      if (this.#signal?.aborted) return void host.queue.unshift(entry);
      if (error instanceof PrivateAddressError) return this.#finish({ url: entry.url, outcome: "a private address" });
      return this.#again(host, entry, failure(error), 0);
    }
    this.#bytes += exchange.response.length;
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
    if (cut === "type")
      return this.#finish({ url: entry.url, outcome: `of type ${typeOf(headers) || "unknown"}`, status });
    if (cut === "time") return this.#again(host, entry, "too slow", 0);
    const response = parseHttpResponse(exchange.response, 8 * this.#o.maxPageBytes);
    if (response === null) return this.#finish({ url: entry.url, outcome: "no HTTP answer" });
    if (isSitemap) return this.#readSitemap(entry, response, this.#records(entry.url, exchange, null));
    await this.#keep(entry, exchange, response);
  }

  async #keep(entry: Waiting, exchange: Exchange, response: HttpResponse): Promise<void> {
    const { url, depth } = entry;
    const said = new Set(directivesOf(response.headers.get("x-robots-tag") ?? ""));
    let links: readonly string[] = [];
    if (!typeOf(response.headers).startsWith("text/plain")) {
      const { text, charset } = decodePage(response.body, response.headers.get("content-type"));
      const page = readLinks(text);
      for (const directive of page.directives) said.add(directive);
      const base = page.base === undefined ? url : (normaliseUrl(page.base, url) ?? url);
      links = page.links.map((link) => normaliseUrl(link, base, charset)).filter((link) => link !== null);
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
    const target = normaliseUrl(locationOf(location), entry.url);
    const done: Done = { url: entry.url, outcome: "redirected", status: exchange.status };
    const records = this.#records(entry.url, exchange, null);
    if (target === null) return this.#finish({ ...done, outcome: "redirected to no page" }, records);
    if (entry.hops >= MOST_HOPS) return this.#finish({ ...done, outcome: "too many redirects" }, records);
    // A start that moved, http to https or to www, is meant to be crawled where it is now.
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
    const { pages, sitemaps } = readSitemap(body.toString("utf8"));
    const next = (urls: readonly string[], kind: Waiting["kind"]): Waiting[] =>
      urls.flatMap((link) => {
        const url = normaliseUrl(link, entry.url);
        return url === null ? [] : [{ url, depth: entry.depth + 1, kind, hops: 0, via: entry.url }];
      });
    // An index of indexes of indexes is a trap.
    const deeper = entry.depth < 3 ? next(sitemaps, "sitemap") : [];
    await this.#enqueue([...deeper, ...next(pages, "page")], { url: entry.url, outcome: "a sitemap" }, records);
  }

  /** Tries an address again later, three times. */
  async #again(host: Host, entry: Waiting, problem: string, wait: number): Promise<void> {
    const tries = (this.#tries.get(entry.url) ?? 0) + 1;
    this.#tries.set(entry.url, tries);
    if (tries > RETRIES) return this.#finish({ url: entry.url, outcome: problem });
    host.queue.push(entry);
    this.#rest(host, Math.max(Number.isFinite(wait) ? wait : 0, Math.max(0.1, this.#o.delay) * 2 ** (tries - 1)));
  }

  #finish(done: Done, records: readonly Uint8Array[] = []): Promise<void> {
    return this.#enqueue([], done, records);
  }

  /** Writes what was fetched and puts what is new, in scope and no trap into the queues. */
  async #enqueue(found: readonly Waiting[], done: Done | null, records: readonly Uint8Array[]): Promise<void> {
    const added: Waiting[] = [];
    for (const entry of found) {
      if (this.#seen.has(entry.url)) continue;
      this.#seen.add(entry.url);
      const reason =
        !this.#scope.includes(entry.url) && entry.kind === "page" ? "out of scope" : this.#traps.trap(entry.url);
      if (reason === null) added.push(entry);
      else this.#outcomes.set(reason, (this.#outcomes.get(reason) ?? 0) + 1);
    }
    await this.#store.write(records, added, done);
    if (done !== null) this.#count(done);
    for (const entry of added) this.#host(entry.url).queue.push(entry);
    if (added.length > 0) this.#wake();
  }

  #count({ outcome, digest, url }: Done): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
    if (!outcome.startsWith("kept")) return;
    this.#pages += 1;
    if (digest !== undefined && !this.#payloads.has(digest)) this.#payloads.set(digest, url);
  }

  #records(url: string, exchange: Exchange, entry: Waiting | null): Uint8Array[] {
    return exchangeRecords(url, exchange, {
      first: this.#store.atStart,
      payloads: this.#payloads,
      ...(entry === null ? {} : { found: entry }),
    });
  }
}

const pathOf = (url: string) => {
  const { pathname, search } = new URL(url);
  return pathname + search;
};
/** Of a Retry-After header: seconds, or a date (RFC 9110, 10.2.3). */
const secondsIn = (text: string) => (/^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000);
const typeOf = (headers: ReadonlyMap<string, string>) =>
  (headers.get("content-type") ?? "").split(";", 1)[0].trim().toLowerCase();

function failure(error: unknown): string {
  const { code, name } = error as { readonly code?: string; readonly name: string };
  if (name === "TimeoutError" || code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_CONNECT_TIMEOUT")
    return "too slow";
  return `no answer (${code ?? name})`;
}
