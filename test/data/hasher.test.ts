import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { simplifyText, TextHasher } from "../../src/data/deduplicate/hasher.js";
import { minHashParameters } from "../../src/data/deduplicate/parameters.js";

describe("hashes of texts", () => {
  const hasher = new TextHasher();

  it("are xxHash64", () => {
    // python: xxhash.xxh64_intdigest(text.encode())
    expect(hasher.hash("")).toBe(17241709254077376921n);
    expect(hasher.hash("the quick brown fox jumps")).toBe(7797000677988824208n);
    expect(hasher.hash("a".repeat(100))).toBe(3985758137895276467n);
  });

  it("use datatrove's random functions", () => {
    // numpy.random.RandomState(1).randint(1, 2**61 - 1, dtype=uint64, size=112), and from 0 after it
    const { a, b } = minHashParameters(112);
    expect([...a.slice(0, 3)]).toEqual([775169054918279404n, 1758426461858698313n, 2109959069025162n]);
    expect([...b.slice(0, 3)]).toEqual([1062448801025099917n, 1324811268927594100n, 1217488311597731462n]);
  });

  it("have a signature that is the least value of each function over the n-grams", () => {
    const text = "The quick, brown fox jumps over 3.14 lazy dogs, and 1,234,567 more.";
    const words = simplifyText(text).split(" ");
    expect(words.join(" ")).toBe("the quick brown fox jumps over 0 lazy dogs and 0 0 more");
    const { a, b } = minHashParameters(112);
    const prime = (1n << 61n) - 1n;
    const grams = words.slice(4).map((_, i) => hasher.hash(words.slice(i, i + 5).join(" ")));
    const expected = Array.from(a, (factor, j) => {
      const values = grams.map((h) => BigInt.asUintN(64, h * factor + b[j]) % prime);
      return values.reduce((least, value) => (value < least ? value : least));
    });
    expect([...(hasher.signature(text) ?? [])]).toEqual(expected);
  });

  it("do not depend on what the normal form takes away, and are none for a text of four words", () => {
    const one = [...(hasher.bandHashes("Über 10 Straßen, und  noch mehr!") ?? [])];
    expect([...(hasher.bandHashes("uber 7 straßen\nund noch (mehr)") ?? [])]).toEqual(one);
    expect(hasher.bandHashes("only four words here")).toBeNull();
    expect(hasher.bandHashes("")).toBeNull();
  });

  it("have the same normal form in the kernel as in the plain function", () => {
    const text = fc.string({ unit: fc.constantFrom(..."aB1 9.,\n\t-_~x'"), maxLength: 80 });
    fc.assert(
      fc.property(text, (noise) => {
        const whole = `one two three four ${noise} five`;
        // A letter beyond ASCII, whose diacritic goes again, takes the plain function.
        expect([...(hasher.bandHashes(`${whole} e`) ?? [])]).toEqual([...(hasher.bandHashes(`${whole} é`) ?? [])]);
      }),
    );
  });
});
