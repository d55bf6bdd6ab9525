/** @file Ending a text that comes in pieces at the first of some strings. */

export interface StopFinder {
  /** True once a stop string was found; whatever comes then belongs to no text. */
  readonly found: boolean;
  /** Takes a piece; gives what may be shown: all but what may be the beginning of a stop string. */
  push(piece: string): string;
  /** What was held back and turned out to begin none. */
  end(): string;
}

/** Finds the first place where one of `stops` begins; neither it nor what follows is given. None may be empty. */
export function stopFinder(stops: readonly string[]): StopFinder {
  let held = "";
  let found = false;
  const take = (isLast: boolean): string => {
    const place = Math.min(...stops.map((stop) => held.indexOf(stop)).filter((each) => each >= 0));
    // A longer stop string may have begun before a shorter one: which it is shows later.
    const sure = isLast ? held.length : held.length - Math.max(0, ...stops.map((stop) => overlap(held, stop)));
    found = place <= sure;
    const end = Math.min(place, sure);
    const text = held.slice(0, end);
    held = found ? "" : held.slice(end);
    return text;
  };
  return {
    get found() {
      return found;
    },
    push(piece) {
      if (found) return "";
      held += piece;
      return take(false);
    },
    end: () => (found ? "" : take(true)),
  };
}

/** The length of the longest beginning of `stop` with which `text` ends. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
