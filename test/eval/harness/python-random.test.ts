/** @file PythonRandom draws what CPython 3.11's `random.Random` draws. */
import { expect, test } from "vitest";
import { PythonRandom } from "../../../src/eval/harness/python-random.js";
import { units } from "./units.js";

interface RandomCase {
  readonly seed: string;
  readonly text: boolean;
  readonly random: number[];
  readonly getrandbits: [bits: number, value: string][];
  readonly randrange: number[];
  readonly shuffle: number[];
  readonly sample: number[][];
  readonly choice: string[];
  readonly choices: [number[], string[]];
  readonly gauss: number[];
  readonly uniform: number;
  readonly later: number;
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

test.each(units<RandomCase[]>("random").map((c) => [c.seed, c] as const))("seed %s", (_, c) => {
  const r = new PythonRandom(c.text ? c.seed : BigInt(c.seed));
  expect([r.random(), r.random(), r.random()]).toEqual(c.random);
  for (const [bits, value] of c.getrandbits) {
    expect(String(bits > 53 ? r.getrandbitsBig(bits) : r.getrandbits(bits))).toBe(value);
  }
  expect([
    r.randrange(10),
    r.randrange(5, 50, 7),
    r.randrange(10, -20, -3),
    r.randrange(2 ** 40),
    r.randint(1, 6),
  ]).toEqual(c.randrange);
  const x = range(20);
  r.shuffle(x);
  expect(x).toEqual(c.shuffle);
  const sizes = [
    [21, 5],
    [22, 5],
    [1000, 6],
    [85, 6],
    [86, 6],
    [30, 30],
    [5, 0],
  ] as const;
  expect(sizes.map(([n, k]) => r.sample(range(n), k))).toEqual(c.sample);
  expect(range(5).map(() => r.choice([..."abcdefg"]))).toEqual(c.choice);
  expect([r.choices(range(9), 6), r.choices([..."abc"], 8, [1, 0.5, 3])]).toEqual(c.choices);
  const gauss = [r.gauss(), r.gauss(3, 2), r.gauss()];
  gauss.forEach((z, i) => {
    expect(z).toBeCloseTo(c.gauss[i]!, 13);
  });
  expect(r.uniform(-2, 5)).toBe(c.uniform);
  for (let i = 0; i < 700; i++) r.random();
  expect(r.random()).toBe(c.later);
});

test("a number and a bigint are the same seed, and a sign does not matter", () => {
  expect(new PythonRandom(-7).random()).toBe(new PythonRandom(7n).random());
});

test("drawPositions draws the positions of choices", () => {
  const positions = new Uint32Array(10);
  new PythonRandom(3).drawPositions(positions, 7);
  expect([...positions]).toEqual(new PythonRandom(3).choices(range(7), 10));
});

test("wrong calls", () => {
  expect(() => new PythonRandom(0.5)).toThrow("whole number");
  const r = new PythonRandom(0);
  expect(() => r.sample([1, 2], 3)).toThrow("cannot sample 3 of 2");
  expect(() => r.choice([])).toThrow("empty");
  expect(() => r.choices([], 1)).toThrow("empty");
  expect(() => r.choices([1], 1, [0])).toThrow("add up to 0");
  expect(() => r.choices([1], 1, [1, 2])).toThrow("2 weights for 1");
  expect(() => r.randrange(3, 3)).toThrow("at least one");
  expect(() => r.getrandbits(54)).toThrow("getrandbitsBig");
});
