/** @file Reads what test/oracle/lm_eval_units.py wrote with Python and lm-eval 0.4.13. */
import { readFileSync } from "node:fs";

let parsed: Readonly<Record<string, unknown>> | null = null;

/** Returns one part of the fixture. */
export function units<T>(part: string): T {
  const url = new URL("../../fixtures/eval/lm-eval-units.json", import.meta.url);
  parsed ??= JSON.parse(readFileSync(url, "utf8")) as Record<string, unknown>;
  if (!(part in parsed)) throw new Error(`the fixture has no part ${part}`);
  return parsed[part] as T;
}

/** Expects a difference of at most 1e-9, relative to numbers above 1. */
export function near(value: number, expected: number): boolean {
  return Math.abs(value - expected) <= 1e-9 * Math.max(1, Math.abs(expected));
}
