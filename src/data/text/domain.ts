/** @file The registered domain of an address. */
import { parse } from "tldts";

/** The registered domain of an address, its host where it has none, `(none)` without an address. */
export function domainOf(url: string | undefined): string {
  if (url === undefined) return "(none)";
  const { domain, hostname } = parse(url);
  return domain ?? hostname ?? "(none)";
}
