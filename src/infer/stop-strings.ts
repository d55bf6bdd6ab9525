/** @file Finds stop strings in a text that arrives in pieces. */

export interface StopFinder {
  /** True once a stop string was found; later pieces are ignored. */
  readonly found: boolean;
  /** Adds a piece and returns the text that is safe to emit; a possible start of a stop string is held back. */
  push(piece: string): string;
  /** Returns the text still held back, once no more pieces come. */
  end(): string;
}

/** Cuts a text before the first occurrence of any of `stops`, none of which may be empty. */
export function stopFinder(stops: readonly string[]): StopFinder {
  let held = "";
  let found = false;
  const take = (isLast: boolean): string => {
    const place = Math.min(...stops.map((stop) => held.indexOf(stop)).filter((each) => each >= 0));
    // A longer stop string may start before a shorter complete one; later pieces decide.
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

/** Returns the length of the longest proper prefix of `stop` that is a suffix of `text`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
