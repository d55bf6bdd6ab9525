/** @file The code points with a Unicode property, such as `L` or `Script=Greek`. */
import type { CodePointRanges } from "./code-points.js";
import type { WorkMeter } from "./work-meter.js";

const FIRST_SURROGATE = 0xd800;
const SURROGATES = 0x800;
/** Code units of the text of all code points below 65,536 without the surrogates. */
const BASIC = 0x10000 - SURROGATES;
/** Units of work to look through all code points. */
const LOOK = 60_000;

const known = new Map<string, CodePointRanges>();
let everything: string | undefined;

/** All code points but the surrogates, in order. */
function allCodePoints(): string {
  const parts: string[] = [];
  for (let first = 0; first < 0x110000; first += 0x400) {
    if (first >= FIRST_SURROGATE && first < FIRST_SURROGATE + SURROGATES) continue;
    parts.push(String.fromCodePoint(...Array.from({ length: 0x400 }, (_, i) => first + i)));
  }
  return parts.join("");
}

/** The ranges of a property by its name between `\p{` and `}`; undefined if there is none of this name. */
export function propertyRanges(name: string, meter: WorkMeter): CodePointRanges | undefined {
  const found = known.get(name);
  if (found !== undefined) return found;
  let runs: RegExp;
  try {
    runs = new RegExp(`\\p{${name}}+`, "gu");
  } catch {
    return undefined;
  }
  meter.spend("states", LOOK);
  everything ??= allCodePoints();
  const codePointAt = (unit: number) => {
    if (unit >= BASIC) return 0x10000 + (unit - BASIC) / 2;
    return unit < FIRST_SURROGATE ? unit : unit + SURROGATES;
  };
  const ranges: [number, number][] = [];
  for (const { 0: run, index } of everything.matchAll(runs)) {
    const [from, to] = [codePointAt(index), codePointAt(index + run.length) - 1];
    // A run across the surrogates is two ranges.
    if (from < FIRST_SURROGATE && to >= FIRST_SURROGATE)
      ranges.push([from, FIRST_SURROGATE - 1], [FIRST_SURROGATE + SURROGATES, to]);
    else ranges.push([from, to]);
  }
  known.set(name, ranges);
  return ranges;
}
