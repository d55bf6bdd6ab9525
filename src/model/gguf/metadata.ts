/** @file Typed access to GGUF metadata; a missing value or a wrong type is an error that names the key. */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import type { GgufFile, GgufValue } from "./file.js";

export interface MetadataReader {
  readonly path: string;
  has(key: string): boolean;
  number(key: string, fallback?: number): number;
  /** Reads a count that a file may list per layer; it must be the same in all of them. */
  sameInEveryLayer(key: string, fallback?: number): number;
  text(key: string, fallback?: string): string;
  switch(key: string, fallback: boolean): boolean;
}

export function readMetadata({ path, metadata }: Pick<GgufFile, "path" | "metadata">): MetadataReader {
  const wrong = (key: string, value: GgufValue | undefined, wanted: string) => {
    const found = value === undefined ? `has no ${key}` : `has ${shown(value)} for ${key}`;
    return new QuernError(`${path} ${found}, but a model needs ${wanted} there`);
  };
  const numberOf = (key: string, value: GgufValue | undefined): number => {
    if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(key, value, "a number");
    return shortest(value);
  };
  return {
    path,
    has: (key) => metadata.has(key),
    number: (key, fallback) => numberOf(key, metadata.get(key) ?? fallback),
    sameInEveryLayer: (key, fallback) => {
      const value = metadata.get(key) ?? fallback;
      if (typeof value !== "object") return numberOf(key, value);
      const values = Array.from(value as ArrayLike<GgufValue>);
      if (values.some((each) => each !== values[0])) {
        throw new QuernError(`${path} has layers with different values of ${key}, which Quern does not support`);
      }
      return numberOf(key, values[0]);
    },
    text: (key, fallback) => {
      const value = metadata.get(key) ?? fallback;
      if (typeof value !== "string") throw wrong(key, value, "a text");
      return value;
    },
    switch: (key, fallback) => {
      const value = metadata.get(key) ?? fallback;
      if (typeof value !== "boolean") throw wrong(key, value, "true or false");
      return value;
    },
  };
}

const shown = (value: GgufValue): string =>
  typeof value === "object"
    ? `a list of ${value.length}`
    : quoted(typeof value === "string" ? `"${value}"` : `${value}`);

/** Returns the shortest decimal with the same float32: files store 1e-5 as 9.999999747378752e-6. */
function shortest(value: number): number {
  if (Number.isInteger(value) || Math.fround(value) !== value) return value;
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
