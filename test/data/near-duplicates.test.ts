/** @file Near-duplicates among texts without spaces and short texts, compared with brute-force Jaccard similarity. */
import { describe, expect, it } from "vitest";
import { TextHasher } from "../../src/data/deduplicate/hasher.js";
import { splitPieces } from "../../src/data/deduplicate/pieces.js";

function generator(seed: number) {
  let state = seed;
  return (n: number) => {
    state = (state * 48271) % 2147483647;
    return state % n;
  };
}
const next = generator(5);
const pick = <T>(list: readonly T[]): T => list[next(list.length)];

/** Letters or words from which sentences are generated. */
const SCRIPTS: Readonly<Record<string, readonly [letters: readonly string[], space: string]>> = {
  Japanese: [
    [
      ..."あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん日本語東京大学水火木金土山川田中人",
    ],
    "",
  ],
  Chinese: [
    [
      ..."的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经十三之进着等部度家电力里如水化高自",
    ],
    "",
  ],
  Thai: [[..."กขคงจฉชซญดตถทธนบปผฝพฟภมยรลวศสหอฮะาแโใไ"], ""],
  Khmer: [[..."កខគឃងចឆជឈញដឋឌឍណតថទធនបផពភមយរលវសហឡអ"], ""],
  English: [
    "the mill ground wheat into flour while water turned a wheel of stone and people brought their grain from far away every autumn morning".split(
      " ",
    ),
    " ",
  ],
};
const units = (name: string, text: string) => {
  const plain = text
    .toLowerCase()
    .replace(/[。、！!.,]/g, " ")
    .trim();
  return name === "English" ? plain.split(/\s+/) : [...plain.replace(/ /g, "")];
};

/** Returns the Jaccard similarity of two lists' 5-grams. */
function jaccard(a: readonly string[], b: readonly string[]): number {
  const grams = (list: readonly string[]) =>
    new Set(list.length < 5 ? [list.join(" ")] : list.slice(4).map((_, i) => list.slice(i, i + 5).join(" ")));
  const [one, other] = [grams(a), grams(b)];
  const both = [...one].filter((gram) => other.has(gram)).length;
  return both / (one.size + other.size - both);
}

describe("near-duplicates", () => {
  const hasher = new TextHasher();
  const bands = (text: string) => [...(hasher.bandHashes(text) ?? [])];
  const joined = (a: string, b: string) => {
    const [one, other] = [bands(a), bands(b)];
    return one.some((hash, i) => hash === other[i]);
  };

  it.each(Object.keys(SCRIPTS))("of %s pages are found as often as their similarity predicts", (name) => {
    const [letters, space] = SCRIPTS[name];
    let [found, expected, variance, wrong] = [0, 0, 0, 0];
    for (let round = 0; round < 60; round++) {
      const text = Array.from({ length: 150 + next(150) }, () => pick(letters));
      const edited = [...text];
      for (let edit = 0; edit < next(7); edit++) edited[next(edited.length)] = pick(letters);
      const [a, b] = [text.join(space), edited.join(space)];
      const p = 1 - (1 - jaccard(units(name, a), units(name, b)) ** 8) ** 14;
      expected += p;
      variance += p * (1 - p);
      found += joined(a, b) ? 1 : 0;
      const other = Array.from({ length: 200 }, () => pick(letters)).join(space);
      wrong += joined(a, other) ? 1 : 0;
    }
    expect(found).toBeGreaterThan(30);
    expect(Math.abs(found - expected)).toBeLessThan(4 * Math.sqrt(variance) + 1);
    expect(wrong).toBe(0);
  });

  it("are found among real pages that differ in one word or in punctuation", () => {
    const page =
      "昨日は友達と一緒に京都へ行きました。天気がとても良くて、お寺の庭がきれいでした。昼ご飯はうどんを食べて、夕方に電車で帰りました。また来年の春に行きたいと思います。";
    expect(joined(page, page.replace("来年の春", "来年の秋"))).toBe(true);
    expect(joined(page, page.replaceAll("。", "！\n"))).toBe(true);
    expect(
      joined(
        page,
        `${page.slice(0, 20)}という話とは関係がない文章で、料理の作り方を説明します。まず鍋に水を入れてください。`,
      ),
    ).toBe(false);
  });

  it("among short texts differ only in case and punctuation", () => {
    const words = "one two three four five six seven eight nine ten".split(" ");
    const texts = Array.from({ length: 300 }, () => Array.from({ length: 1 + next(6) }, () => pick(words)).join(" "));
    texts.push("東京", "東京都", "大阪", "สวัสดี", "ราตรี", "a", "b");
    for (const [i, text] of texts.entries()) {
      expect(joined(text, ` ${text.toUpperCase()}!\n`)).toBe(true);
      for (const other of texts.slice(i + 1, i + 40)) {
        if (jaccard(text.split(" "), other.split(" ")) < 0.4)
          expect({ text, other, joined: joined(text, other) }).toMatchObject({ joined: false });
      }
    }
    expect(hasher.bandHashes("。！？")).toBeNull();
  });
});

describe("sentences", () => {
  it.each([
    [
      "今日は雨です。「本当？」と彼は言った。行こう！！さあ。",
      ["今日は雨です。", "「本当？」", "と彼は言った。", "行こう！！", "さあ。"],
    ],
    ["他说：“好。”我走了。", ["他说：“好。”", "我走了。"]],
    ["पहला वाक्य। दूसरा वाक्य। तीसरा", ["पहला वाक्य। ", "दूसरा वाक्य। ", "तीसरा"]],
    ["پہلا جملہ۔ کیا ہوا؟ ہاں", ["پہلا جملہ۔ ", "کیا ہوا؟ ", "ہاں"]],
    ["He said “go.” Then 3.5 left. ok", ["He said “go.” ", "Then 3.5 left. ", "ok"]],
    ["半角｡次の文｡", ["半角｡", "次の文｡"]],
  ])("%s", (text, pieces) => {
    expect(splitPieces(text, "sentence").filter((piece) => piece !== "")).toEqual(pieces);
  });

  it("are split in time linear in the text's length", () => {
    for (const part of [" ", "a ", ". ", "。", "\n", '."', "a"]) {
      const seconds = [1, 4].map((times) => {
        const text = part.repeat((times * 100_000) / part.length);
        const start = performance.now();
        splitPieces(text, "sentence");
        return (performance.now() - start) / 1000;
      });
      expect({ part, seconds, slow: seconds[1] > 2 + 10 * seconds[0] }).toMatchObject({ slow: false });
    }
  });
});
