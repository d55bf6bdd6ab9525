import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { comparedWords, type HeldText, simplifyText, TextHasher } from "../../src/data/deduplicate/hasher.js";
import { minHashParameters } from "../../src/data/deduplicate/parameters.js";
import { splitPieces } from "../../src/data/deduplicate/pieces.js";

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

  it("have a signature of each function's minimum over the n-grams", () => {
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

  it("ignore what the normal form removes, and are null for a text without words", () => {
    const one = [...(hasher.bandHashes("Über 10 Straßen, und  noch mehr!") ?? [])];
    expect([...(hasher.bandHashes("uber 7 straßen\nund noch (mehr)") ?? [])]).toEqual(one);
    expect(hasher.bandHashes("- ! -")).toBeNull();
    expect(hasher.bandHashes("")).toBeNull();
  });

  it("cover exactly the non-blank lines or paragraphs", () => {
    const characters = [
      "a",
      "b c",
      "\n",
      "\n",
      "\r\n",
      " ",
      "\t",
      "\u00a0",
      "\u3000",
      "\ufeff",
      "é",
      "𝒳",
      "\u200b",
      "\v",
    ];
    const texts = fc.array(fc.constantFrom(...characters), { maxLength: 40 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(texts, fc.constantFrom("line" as const, "paragraph" as const), (text, kind) => {
        const found: [bigint, number][] = [];
        hasher.hashPieces(text, kind, (low, high, place) => found.push([(BigInt(high) << 32n) + BigInt(low), place]));
        const pieces = splitPieces(text, kind).map((piece, place) => [piece, place] as const);
        const expected = pieces.filter(([piece]) => piece.trim() !== "");
        expect(found).toEqual(expected.map(([piece, place]) => [hasher.hash(piece), place]));
      }),
      { numRuns: 500 },
    );
    // More pieces than one kernel call hashes.
    let count = 0;
    hasher.hashPieces("line\n\n".repeat(5000), "line", (_, __, place) => {
      count += place === 2 * count ? 1 : 0;
    });
    expect(count).toBe(5000);
  });

  describe("texts that stay bytes", () => {
    const parts = fc.constantFrom(
      ...[
        "a",
        "b c",
        "\n",
        "\n",
        "\n \n",
        "\r\n",
        "\t",
        "\b\f",
        '"',
        "\\",
        "/",
        "\u0000",
        "\u001f",
        "\u007f",
        "é",
        "漢",
        "퟿",
      ],
      ...["\ud800", "\udc00", "😀", "\u2028", "\ufeff", "a line that is longer than sixteen bytes", "\u00a0"],
    );
    const texts = fc.array(parts, { maxLength: 30 }).map((list) => list.join(""));
    const escaped = (text: string) =>
      JSON.stringify(text).replace(/[^ -~]|\//g, (c) =>
        c === "/" ? "\\/" : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
      );
    const written = (text: HeldText) =>
      `"${Buffer.concat(Array.from(hasher.escaped(text), (piece) => Buffer.from(piece))).toString("utf8")}"`;

    it("are extracted from their JSON line and escaped as by JSON.stringify", () => {
      const before = fc.constantFrom(
        "",
        '"id":"x\\"","m":{"text":"inner","a":["text",{"text":1}]},',
        ' "n" : [1, 2e3] , ',
        '"text ":"no",',
      );
      const after = fc.constantFrom("", ',"text2":"\\\\"', ' ,\t"o":{"text":"}"}\r');
      fc.assert(
        fc.property(texts, before, after, fc.boolean(), (text, head, tail, all) => {
          const literal = all ? escaped(text) : JSON.stringify(text);
          const line = Buffer.from(`{${head}"text"${all ? " \t: " : ":"}${literal}${tail}}`);
          const taken = hasher.take(line);
          if (taken === undefined) throw new Error(`not taken: ${line}`);
          expect(line.toString("utf8", taken.from, taken.to)).toBe(literal);
          expect(written(taken.text)).toBe(JSON.stringify(text));
          expect(taken.blank).toBe(text.trim() === "");
          expect(taken.text.length).toBe(Buffer.byteLength(text));
          expect(written(hasher.hold(text))).toBe(JSON.stringify(text));
        }),
        { numRuns: 2000 },
      );
      const long = `${'x"é'.repeat(50_000)}end`;
      expect(written(hasher.hold(long)) === JSON.stringify(long)).toBe(true);
      // Its normal form depends on neighbouring characters, so JavaScript normalizes it as a string.
      const greek = `${"ΟΔΟΣ three four five six ".repeat(2000)}end`;
      const signature = hasher.signature(greek)?.join();
      expect(hasher.signature(hasher.hold(greek))?.join()).toBe(signature);
    });

    it("are left to the JSON parser if the line is unusual or malformed", () => {
      const lines = [
        '{"text":1}',
        '{"te\\u0078t":"a"}',
        '{"text":"a","text":"b"}',
        '{"a\\"b":1,"text":"c"}',
        '["text"]',
        "",
        " ",
        "{",
      ];
      const bad = [
        '{"text":"a',
        '{"text":"\\x"}',
        '{"text":"\\u12g4"}',
        '{"text":"\\ud83',
        '{"text":"a\u0001"}',
        '{"text"',
        '{"text":',
        '{"text" "a"}',
        '"text":"a"',
      ];
      for (const line of [...lines, ...bad]) expect(hasher.take(Buffer.from(line)), line).toBeUndefined();
      // Bytes of an earlier, longer line that follow in memory are not read.
      hasher.take(Buffer.from(`{"text":"${"a".repeat(100)}"}`));
      expect(hasher.take(Buffer.from('{"text":"aaa'))).toBeUndefined();
    });

    it("have the same hashes as strings, and lose the marked pieces", () => {
      fc.assert(
        fc.property(
          texts,
          fc.constantFrom("line" as const, "paragraph" as const),
          fc.array(fc.nat(6)),
          (text, kind, places) => {
            const whole = text.replace(/\p{Cs}/gu, "");
            const held = hasher.hold(whole);
            const other = hasher.hash("something else, behind it");
            expect(hasher.hash(held)).toBe(hasher.hash(whole));
            expect(hasher.hash("something else, behind it")).toBe(other);
            const bands = hasher.bandHashes(held)?.join();
            expect(bands).toBe(hasher.bandHashes(whole)?.join());
            const pieces = splitPieces(whole, kind);
            const list = [...new Set(places)].filter((place) => place < pieces.length).sort((a, b) => a - b);
            const marks = Uint32Array.from(list.flatMap((place) => [place, place % 2]));
            const { rest, cut } = hasher.cutPieces(held, kind, marks);
            const left = pieces.filter((_, place) => !(list.includes(place) && place % 2 === 1));
            expect(cut).toBe(pieces.length - left.length);
            expect(written(rest)).toBe(JSON.stringify(left.join(kind === "line" ? "\n" : "\n\n")));
            const bytes = Buffer.from(whole);
            for (const [i, place] of list.entries())
              expect(bytes.toString("utf8", marks[2 * i], marks[2 * i + 1])).toBe(pieces[place]);
          },
        ),
        { numRuns: 1000 },
      );
    });
  });

  describe("have the same normal form in the kernel as in simplifyText", () => {
    // One function over single words, so that this test can compute signatures quickly.
    const words = new TextHasher({ bands: 1, rows: 1, ngram: 1 });
    const { a, b } = minHashParameters(1);
    const plain = (text: string) => {
      const form = simplifyText(text);
      if (form === "") return null;
      const values = comparedWords(form).map(
        (word) => BigInt.asUintN(64, words.hash(word) * a[0] + b[0]) % (2n ** 61n - 1n),
      );
      return values.reduce((least, value) => (value < least ? value : least));
    };
    const kernel = (text: string) => words.signature(text)?.[0] ?? null;

    it("of every single character", () => {
      const wrong: string[] = [];
      for (let point = 0; point < 0x110000; point++) {
        const character = String.fromCodePoint(point);
        if (/\p{Cn}|\p{Co}/u.test(character)) continue;
        if (kernel(`a${character}b`) !== plain(`a${character}b`)) wrong.push(`U+${point.toString(16)}`);
      }
      expect(wrong).toEqual([]);
    });

    it("of combinations of characters", () => {
      const hard = [
        "Σ",
        "σ",
        "İ",
        "é",
        "\u0301",
        "\u0323",
        "\u302e",
        "\u1b44",
        "\u{16ff0}",
        "٣",
        "𝟘",
        "٫",
        "،",
        "⎖",
        "—",
        "»",
        "\u00a0",
      ];
      const more = [
        "한",
        "글",
        "😀",
        "\ud83d",
        "\ude00",
        "漢",
        "\u1fef",
        "\u0344",
        "\u2126",
        "\ufeff",
        "\u0085",
        "\u200b",
        "ß",
        "ẞ",
      ];
      const unit = fc.constantFrom(..."aB1 9.,\n\t-_~x'", ...hard, ...more);
      fc.assert(
        fc.property(fc.string({ unit, maxLength: 40 }), (text) => {
          expect(kernel(text)).toBe(plain(text));
        }),
        { numRuns: 2000 },
      );
    });
  });

  it("match the plain formula for values at its bounds and texts longer than a block", () => {
    const text = Array.from({ length: 1500 }, (_, i) => `w${(i * 7919) % 1013}`).join(" ");
    const list = simplifyText(text).split(" ");
    const grams = list.slice(4).map((_, i) => hasher.hash(list.slice(i, i + 5).join(" ")));
    const { a, b } = minHashParameters(112);
    const expected = Array.from(a, (factor, j) =>
      grams
        .map((h) => BigInt.asUintN(64, h * factor + b[j]) % (2n ** 61n - 1n))
        .reduce((least, value) => (value < least ? value : least)),
    );
    expect([...(hasher.signature(text) ?? [])]).toEqual(expected);
  });
});
