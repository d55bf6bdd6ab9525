/** @file Windows of a long text equal lm-eval's. */
import { expect, test } from "vitest";
import { disjointWindow, rollingWindows } from "../../../src/eval/harness/windows.js";
import { units } from "./units.js";

type Pair = [context: number[], predicted: number[]];

interface WindowCase {
  readonly tokens: number;
  readonly window: number;
  readonly context: number;
  readonly rolling: Pair[];
  readonly disjoint: Pair[];
}

test.each(units<WindowCase[]>("windows"))("$tokens tokens in windows of $window with context $context", (c) => {
  const tokens = Array.from({ length: c.tokens }, (_, i) => i);
  const windows = rollingWindows(tokens, { prefix: 99, window: c.window, context: c.context });
  expect(windows.map((w) => [w.context, w.predicted])).toEqual(c.rolling);
  expect(windows.map(disjointWindow).map((w) => [w.context, w.predicted])).toEqual(c.disjoint);
});

test("a context longer than the window is refused", () => {
  expect(() => rollingWindows([1], { prefix: 0, window: 2, context: 3 })).toThrow("cannot have 3 tokens");
  expect(() => rollingWindows([1], { prefix: 0, window: 2, context: 0 })).toThrow("cannot have 0 tokens");
});
