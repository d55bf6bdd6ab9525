/** @file Generates difficult and random texts for the tokenizer's tests, from a printed seed. */
import fc from "fast-check";
import { UNICODE_VERSION } from "../../src/tokenizer/index.js";

/** QUERN_SEED, or a new seed in every run; printed so that a failure can be reproduced. */
export const seed = Number(process.env.QUERN_SEED ?? Math.floor(Math.random() * 2 ** 31));
console.log(`tokenizer tests: QUERN_SEED=${seed}, classes of Unicode ${UNICODE_VERSION}`);

const pieces = [
  ..."the Hello HTTPServer don't I'LL we'Ve it'ſ 'S 'ſ 're x'd naïve cafe\u0301 Straße ǅ ʰ ªº 日本語 吾輩は猫である。 한국어 العربية مَرْحَبًا".split(
    " ",
  ),
  ..."हिन्दी क्षत्रिय ไทย ΣΊΣΥΦΟΣ Привет ⅷ ² ½ ٣٤٥ 12345 1234567 3.14 0x1F 1,000 👍🏽 👨‍👩‍👧 🇫🇷 ❤️ !!! ... — // a/b\n/ <|endoftext|> <think> ' '' 'l 'v".split(
    " ",
  ),
  ...'\u0301 a\u0301\u0302B K ﬁ ŉ İ ı \x00 \x1b[31m 𝔘𝔫𝔦 𐐷 http://a.b/c?d=e foo_bar {\n\t"k":[1]}'.split(" "),
];
const spaces = [
  " ",
  " ",
  " ",
  "  ",
  "   ",
  "\n",
  "\n\n",
  "\r\n",
  "\t",
  "\u0085",
  "\u00a0",
  "\u3000",
  "\u2028",
  "\x0b",
  "\x1c",
  "\ufeff",
  "\u200b",
  "\u180e",
];
const letters = [..."aàbBcÇdsStTmMlLvVrReEéÉŁłΣσςДдאبک日ー々ʰ\u0301\u0300'’ſK"];

/**
 * Code points assigned by Unicode 12, which every oracle knows: ranges of letters, marks, numbers and symbols from many
 * scripts.
 */
const assigned = fc.oneof(
  fc.integer({ min: 0, max: 0x24f }),
  // U+0295 was a lower-case letter until Unicode 17.
  fc.integer({ min: 0x250, max: 0x294 }),
  fc.integer({ min: 0x296, max: 0x36f }),
  fc.integer({ min: 0x400, max: 0x52f }),
  fc.integer({ min: 0x905, max: 0x94d }),
  fc.integer({ min: 0x1e00, max: 0x1eff }),
  fc.integer({ min: 0x2000, max: 0x2064 }),
  fc.integer({ min: 0x2190, max: 0x23ff }),
  fc.integer({ min: 0x3041, max: 0x3096 }),
  fc.integer({ min: 0x4e00, max: 0x9fa5 }),
  fc.integer({ min: 0xac00, max: 0xd7a3 }),
  fc.integer({ min: 0x1f300, max: 0x1f64f }),
  fc.integer({ min: 0x1d400, max: 0x1d454 }),
  fc.integer({ min: 0xff01, max: 0xff5e }),
);

/** Texts of words, white space, unusual letters, emoji, runs and random characters. */
export const hardText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom(...pieces) },
      { weight: 4, arbitrary: fc.array(fc.constantFrom(...spaces), { maxLength: 3 }).map((list) => list.join("")) },
      { weight: 3, arbitrary: fc.array(fc.constantFrom(...letters), { maxLength: 10 }).map((list) => list.join("")) },
      { weight: 2, arbitrary: fc.array(assigned, { maxLength: 8 }).map((list) => String.fromCodePoint(...list)) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(fc.constantFrom(..."a =-_*#0\n ".split("")), fc.integer({ min: 1, max: 90 }))
          .map(([unit, times]) => unit.repeat(times)),
      },
    ),
    { maxLength: 25 },
  )
  .map((list) => list.join(""));

/** Any string, including lone surrogates. */
export const anyText: fc.Arbitrary<string> = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
  maxLength: 60,
});

export function fixture(name: string): URL {
  return new URL(`fixtures/${name}`, import.meta.url);
}

/** Replaces lone surrogates by U+FFFD. */
export function wellFormed(text: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text));
}
