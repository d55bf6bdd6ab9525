/**
 * @file Fetches a robots.txt. Redirects are followed, also to other origins; an incomplete file counts as unreadable.
 */

import { parseHttpResponse } from "../../documents/index.js";
import { excerpt } from "../../printable.js";
import { PrivateAddressError } from "./addresses.js";
import { type Exchange, type Fetcher, failureOf, pathOf } from "./fetcher.js";
import { ALLOW_ALL, LARGEST_ROBOTS, type Robots, robotsFrom, unreadableRobots } from "./robots.js";
import { locationOf, normalizeUrl } from "./urls.js";

/** RFC 9309, 2.3.1.2. */
const MOST_HOPS = 5;

/**
 * Returns the rules of an origin. Rules at another origin, reached by a redirect, apply as if they were its own.
 *
 * @param url address of the robots.txt
 * @param fetcherOf returns the connection to an origin
 * @param keep called with each exchange
 * @throws the signal's reason, and what `keep` throws
 */
export async function fetchRobots(
  url: string,
  fetcherOf: (origin: string) => Fetcher,
  keep: (url: string, exchange: Exchange) => Promise<void>,
  signal?: AbortSignal,
): Promise<Robots> {
  let place = url;
  for (let hops = 0; ; hops++) {
    let exchange: Exchange;
    try {
      const fetcher = fetcherOf(new URL(place).origin);
      exchange = await fetcher.get(pathOf(place), { accept: "text/plain", bytes: LARGEST_ROBOTS, signal });
    } catch (error) {
      signal?.throwIfAborted();
      // The pages of a private host are refused anyway.
      return error instanceof PrivateAddressError && hops === 0 ? ALLOW_ALL : unreadableRobots(failureOf(error));
    }
    await keep(place, exchange);
    const { status, headers } = exchange;
    const location = status >= 300 && status < 400 ? headers.get("location") : undefined;
    const target = location === undefined ? null : normalizeUrl(locationOf(location), place);
    if (target === null || hops === MOST_HOPS) return readRobots(url, exchange);
    place = target;
  }
}

/** An incomplete or damaged file counts as unreadable: it may lack the rule that forbids a page. */
function readRobots(url: string, { status, cut, response }: Exchange): Robots {
  if (cut === "time" || cut === "disconnect") return unreadableRobots(cut === "time" ? "too slow" : "broken off");
  const answer = parseHttpResponse(response, 64 * LARGEST_ROBOTS);
  if (answer === null) return unreadableRobots("no HTTP answer");
  const [flaw] = answer.flaws;
  const isWhole = flaw === undefined || (cut === "length" && answer.body.length > 0);
  if (status < 300 && !isWhole) return unreadableRobots(excerpt(flaw));
  // A redirect without a target counts as a missing file.
  return robotsFrom(url, status >= 300 && status < 400 ? 404 : status, answer.body);
}
