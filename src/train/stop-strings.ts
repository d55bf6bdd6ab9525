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
  return {
    get found() {
      return found;
    },
    push(piece) {
      if (found) return "";
      held += piece;
      const places = stops.map((stop) => held.indexOf(stop)).filter((place) => place >= 0);
      let ready = places.length > 0 ? Math.min(...places) : held.length;
      if (places.length > 0) found = true;
      else for (const stop of stops) ready = Math.min(ready, held.length - overlap(held, stop));
      const text = held.slice(0, ready);
      held = found ? "" : held.slice(ready);
      return text;
    },
    end() {
      const text = held;
      held = "";
      return text;
    },
  };
}

/** The length of the longest beginning of `stop` with which `text` ends. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
