/** @file Which addresses a crawl follows. */
import { getDomain } from "tldts";

export type ScopeKind = "host" | "prefix" | "domain";

/** The hosts, folders or registered domains of the included addresses. */
export class Scope {
  readonly #kind: ScopeKind;
  readonly #places = new Set<string>();

  constructor(kind: ScopeKind, starts: readonly string[]) {
    this.#kind = kind;
    for (const start of starts) this.include(start);
  }

  include(url: string): void {
    this.#places.add(this.#placeOf(new URL(url)));
  }

  includes(address: string): boolean {
    const url = new URL(address);
    if (this.#kind !== "prefix") return this.#places.has(this.#placeOf(url));
    return [...this.#places].some((place) => address.startsWith(place));
  }

  #placeOf(url: URL): string {
    if (this.#kind === "prefix") return url.origin + url.pathname.replace(/[^/]*$/, "");
    return this.#kind === "domain" ? (getDomain(url.hostname) ?? url.host) : url.host;
  }
}
