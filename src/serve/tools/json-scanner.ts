/** @file Reads JSON values from a text that arrives in pieces. */

export interface ValueScanner {
  /** True after the last character of the value. */
  readonly isOver: boolean;
  /** Takes the characters from `start` that belong to the value, and returns where it ends or the text does. */
  take(text: string, start: number): number;
}

/** Finds the end of one value that begins at the first character taken. A number or word ends before the character after it. */
export function valueScanner(): ValueScanner {
  let depth = 0;
  let kind: "none" | "string" | "nested" | "word" = "none";
  let inString = false;
  let escaped = false;
  let isOver = false;
  return {
    get isOver() {
      return isOver;
    },
    take(text, start) {
      let at = start;
      for (; at < text.length && !isOver; at++) {
        const char = text[at];
        if (kind === "word") {
          if (!/[\s,\]}]/.test(char)) continue;
          isOver = true;
          return at;
        }
        if (inString) {
          if (escaped) escaped = false;
          else if (char === "\\") escaped = true;
          else if (char === '"') {
            inString = false;
            isOver = kind === "string";
          }
        } else if (char === '"') {
          inString = true;
          if (kind === "none") kind = "string";
        } else if (char === "{" || char === "[") {
          kind = "nested";
          depth += 1;
        } else if (char === "}" || char === "]") {
          depth -= 1;
          isOver = depth <= 0;
        } else if (kind === "none") kind = "word";
      }
      return at;
    },
  };
}

export interface ObjectScanner {
  readonly isOver: boolean;
  /** The text is no JSON object. */
  readonly isBroken: boolean;
  /** Takes the characters of the object and returns where it ends or the text does. */
  take(text: string, start: number): number;
}

/**
 * Reads the members of one object.
 * @param onValue receives each member's value piece by piece, as JSON text
 */
export function objectScanner(onValue: (key: string, piece: string, isOver: boolean) => void): ObjectScanner {
  let phase: "open" | "key" | "colon" | "value" | "comma" | "over" | "broken" = "open";
  let key = "";
  let scanner = valueScanner();
  let isBegun = false;
  const expect = (next: "key" | "value") => {
    phase = next;
    scanner = valueScanner();
    isBegun = false;
  };
  /** Takes one character between tokens. */
  const step = (char: string): void => {
    if (phase === "open" && char === "{") expect("key");
    else if (phase === "key" && char === "}") phase = "over";
    else if (phase === "colon" && char === ":") expect("value");
    else if (phase === "comma" && char === ",") expect("key");
    else if (phase === "comma" && char === "}") phase = "over";
    else phase = "broken";
  };
  const isAtValue = (char: string) => isBegun || phase === "value" || (phase === "key" && char === '"');
  return {
    get isOver() {
      return phase === "over";
    },
    get isBroken() {
      return phase === "broken";
    },
    take(text, start) {
      let at = start;
      while (at < text.length && phase !== "over" && phase !== "broken") {
        if (!isBegun && /\s/.test(text[at])) at += 1;
        else if (!isAtValue(text[at])) step(text[at++]);
        else {
          if (phase === "key" && !isBegun) key = "";
          isBegun = true;
          const end = scanner.take(text, at);
          const piece = text.slice(at, end);
          at = end;
          if (phase === "key") key += piece;
          else onValue(key, piece, scanner.isOver);
          if (!scanner.isOver) break;
          isBegun = false;
          if (phase === "key") key = stringOf(key);
          phase = phase === "key" ? "colon" : "comma";
        }
      }
      return at;
    },
  };
}

/** The text of a JSON string; the JSON itself if it is none. */
export function stringOf(json: string): string {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "string" ? value : json;
  } catch {
    return json;
  }
}
