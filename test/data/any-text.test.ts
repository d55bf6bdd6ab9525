import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  badWords,
  c4Paragraphs,
  c4Quality,
  detectLanguage,
  finewebQuality,
  gopherQuality,
  gopherRepetition,
  language,
  languageThresholds,
  length,
  loadLanguages,
  normalize,
  Passage,
  personalData,
  refinedWebLines,
  type Step,
  thresholdLanguages,
  toxicity,
  url,
} from "../../src/data/recipes/recipe-steps.js";

const steps: Step[] = [
  url({
    lists: "fineweb",
    domains: ["bad.example.com", "evil.com"],
    words: ["spam"],
    softWords: ["one", "two"],
    parts: ["xyz"],
  }),
  language(),
  gopherRepetition(),
  gopherRepetition({ thresholds: "fineweb-2", language: "th" }),
  gopherQuality(),
  gopherQuality({ minWords: 0, minStopWords: 0 }),
  gopherQuality({ thresholds: "fineweb-2", language: "ja" }),
  c4Quality(),
  c4Paragraphs(),
  finewebQuality(),
  finewebQuality({ thresholds: "fineweb-2", language: "deu_Latn" }),
  refinedWebLines(),
  badWords({ words: ["darn", "a b", "c++"] }),
  toxicity({ words: ["darn", "heck"] }),
  length({ minWords: 3, maxBytes: 1000 }),
  normalize(),
  personalData(),
];

const candidate = (text: string, address?: string, lang?: string) => ({
  id: "0",
  source: "s",
  ...(address === undefined ? {} : { url: address }),
  ...(lang === undefined ? {} : { language: lang }),
  passage: new Passage(text),
});

describe("every filter", () => {
  it("returns the same valid result every time, for any text", async () => {
    for (const step of steps) await step.prepare?.();
    const unit = fc.oneof(
      fc.constantFrom(
        "the ",
        "of ",
        "word ",
        ". ",
        "...",
        "…",
        "\n",
        "\n\n",
        "\r\n",
        "\u0085",
        "- ",
        "• ",
        "# ",
        "{",
        "[1]",
        "’s",
        "don't ",
        "東京",
        "ภาษา",
        "😀",
        "\ud800",
        "\u0000",
        "\ufeff",
        " ",
      ),
      fc.string({ unit: "binary", maxLength: 6 }),
      fc.constantFrom("a".repeat(2000), "so it goes on and on. ".repeat(40), "\n".repeat(50), "1 ".repeat(300)),
    );
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 40 }), fc.option(fc.webUrl(), { nil: undefined }), (parts, address) => {
        const text = parts.join("");
        for (const step of steps) {
          const verdict = step.judge(candidate(text, address));
          expect(step.judge(candidate(text, address))).toEqual(verdict);
          if (!verdict.keep) expect(verdict.reason).not.toBe("");
          else if ("text" in verdict && verdict.words !== undefined) {
            // The count updated by the step equals a new count.
            expect(verdict.words).toBe(new Passage(verdict.text).wordCount);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("processes a long line of any repeated text in bounded time", () => {
    for (const part of ["a", " ", "a ", "a-", "1,", ".", "\n", "\ud83d\ude00", "東", "http://a.b/", "(", "'", "-\n"]) {
      const text = part.repeat(60_000 / part.length);
      for (const step of steps) {
        const start = performance.now();
        step.judge(candidate(text));
        expect(performance.now() - start).toBeLessThan(10_000);
      }
    }
  });
});

describe("the URL filter", () => {
  it("checks domain, host, whole URL, words and parts", async () => {
    const step = url({
      domains: ["evil.com", "shop.good.org"],
      urls: ["https://fine.net/page"],
      words: ["spam"],
      softWords: ["win", "free", "prize"],
      parts: ["casino"],
    });
    await step.prepare?.();
    const reason = (address: string) => {
      const verdict = step.judge(candidate("", address));
      return verdict.keep ? "keep" : verdict.reason;
    };
    expect(reason("https://www.evil.com/")).toBe("domain");
    expect(reason("https://shop.good.org/a")).toBe("subdomain");
    expect(reason("https://www.good.org/a")).toBe("keep");
    expect(reason("https://fine.net/page")).toBe("url");
    expect(reason("https://fine.net/page2")).toBe("keep");
    expect(reason("https://a.com/spam-filter")).toBe("hard_blacklisted");
    expect(reason("https://a.com/spammer")).toBe("keep");
    expect(reason("https://a.com/win-a-prize")).toBe("soft_blacklisted");
    expect(reason("https://a.com/win-win")).toBe("keep");
    expect(reason("https://ca-si-no.com/")).toBe("blacklisted_subword");
  });
});

describe("language detection", () => {
  it("reads only the beginning of a text", async () => {
    await loadLanguages();
    const texts: Readonly<Record<string, string>> = {
      en: "The people of the village have to walk to the river, and that is a long way with buckets.",
      de: "Die Leute aus dem Dorf müssen zum Fluss gehen, und das ist mit Eimern ein weiter Weg.",
      fr: "Les gens du village doivent marcher jusqu'à la rivière, et c'est un long chemin avec des seaux.",
      ru: "Жители деревни должны ходить к реке, и это долгий путь с вёдрами.",
      ja: "村の人々は川まで歩かなければならず、バケツを持っての長い道のりだ。",
    };
    for (const [code, text] of Object.entries(texts)) expect(detectLanguage(text).language).toBe(code);
    // Only the first 2 KB are read.
    expect(detectLanguage(texts.en.repeat(30) + texts.ru.repeat(200))).toEqual(detectLanguage(texts.en.repeat(30)));
    expect(detectLanguage("12345 !!")).toEqual({ language: "und", score: 0 });
    const step = language({ keep: ["en"] });
    expect(step.judge(candidate(texts.de))).toEqual({ keep: false, reason: "language_de" });
    // A code that is never detected would drop everything.
    await expect(language({ keep: ["en", "deu"] }).prepare?.()).rejects.toThrow(/cannot detect "deu".*did you mean de/);
    await expect(language({ keep: ["deu"], trustDeclared: true }).prepare?.()).resolves.toBeUndefined();
    const declared = language({ keep: ["de"], trustDeclared: true });
    expect(declared.judge(candidate(texts.en, undefined, "de"))).toEqual({ keep: true });
  });

  it("selects FineWeb-2's thresholds by the document's language", () => {
    expect(thresholdLanguages()).toHaveLength(43);
    expect(languageThresholds("de")).toBe(languageThresholds("deu_Latn"));
    expect(languageThresholds("deu")?.stopwords).toContain("und");
    expect(languageThresholds("tlh")).toBeUndefined();
    const text =
      "Der Müller und die Tochter gingen in das Dorf. ".repeat(1) +
      Array.from({ length: 60 }, (_, i) => `wort${"abcdefghij"[i % 10]}${"klmnopqrst"[Math.floor(i / 10)]}`).join(" ");
    const english = gopherQuality();
    const own = gopherQuality({ thresholds: "fineweb-2" });
    expect(english.judge(candidate(text, undefined, "de"))).toEqual({
      keep: false,
      reason: "gopher_enough_stop_words",
    });
    expect(own.judge(candidate(text, undefined, "de"))).toEqual({ keep: true });
    expect(own.judge(candidate(text, undefined, "fr"))).toEqual({ keep: false, reason: "gopher_enough_stop_words" });
    expect(own.judge(candidate(text))).toEqual({ keep: false, reason: "gopher_enough_stop_words" });
  });
});

describe("lists and lines", () => {
  const reason = (step: Step, text: string) => {
    const verdict = step.judge(candidate(text));
    return verdict.keep ? ("text" in verdict ? verdict.text : "keep") : verdict.reason;
  };

  it("bad words match whole words, except in scripts without spaces", async () => {
    const step = badWords({ words: { en: ["darn", "big fool"], ja: ["馬鹿"] } });
    await step.prepare?.();
    expect(reason(step, "Oh DARN!")).toBe("document_removed_with_badwords");
    expect(reason(step, "darned")).toBe("keep");
    expect(reason(step, "a Big Fool.")).toBe("document_removed_with_badwords");
    expect(step.judge(candidate("この馬鹿者", undefined, "ja"))).toMatchObject({ keep: false });
    expect(step.judge(candidate("この馬鹿者", undefined, "zh"))).toEqual({ keep: true });
  });

  it("toxicity depends on the share and the number of different words", async () => {
    const step = toxicity({ words: ["a1", "a2", "a3", "a4", "a5", "a6"], maxShare: 0.1, maxDifferent: 5 });
    await step.prepare?.();
    expect(reason(step, `${"w ".repeat(9)}a1`)).toBe("keep");
    expect(reason(step, `${"w ".repeat(8)}a1`)).toBe("toxicity_share");
    expect(reason(step, `${"w ".repeat(100)}a1 a2 a3 a4 a5`)).toBe("keep");
    expect(reason(step, `${"w ".repeat(100)}a1 a2 a3 a4 a5 a6`)).toBe("toxicity_different");
  });

  it("length is counted in words, characters and bytes, with inclusive bounds", () => {
    expect(reason(length({ minWords: 2, maxWords: 2 }), "one two")).toBe("keep");
    expect(reason(length({ minWords: 3 }), "one two")).toBe("too_few_words");
    expect(reason(length({ maxWords: 1 }), "one two")).toBe("too_many_words");
    expect(reason(length({ minCharacters: 2, maxCharacters: 2 }), "é😀")).toBe("keep");
    expect(reason(length({ minCharacters: 3 }), "é😀")).toBe("too_few_characters");
    expect(reason(length({ maxCharacters: 1 }), "é😀")).toBe("too_many_characters");
    expect(reason(length({ minBytes: 6, maxBytes: 6 }), "é😀")).toBe("keep");
    expect(reason(length({ minBytes: 7 }), "é😀")).toBe("too_few_bytes");
    expect(reason(length({ maxBytes: 5 }), "é😀")).toBe("too_many_bytes");
  });

  it("RefinedWeb's lines are removed, and a page with too many of them is dropped", () => {
    const prose = "The miller walked to the river and back again before the evening came over the hills. "
      .repeat(8)
      .trim();
    const cut = (line: string) => reason(refinedWebLines(), `${prose}\n${line}\n${prose}`);
    const without = `${prose}\n${prose}`;
    for (const line of [
      "3 likes",
      "1.2k comments",
      "2024",
      "12:30",
      "Home",
      "BUY NOW AND SAVE",
      "Sign in",
      "5 items in cart",
    ]) {
      expect(cut(line)).toBe(without);
    }
    expect(cut("It was late. Read more...")).toBe(`${prose}\nIt was late.\n${prose}`);
    expect(cut("He likes 3 of them.")).toBe("keep");
    expect(cut("Signing in takes a while.")).toBe("keep");
    // The limit is 5 % of the words: 20 of 400 words may be removed, 21 of 401 may not.
    const bad = (lines: number) =>
      reason(refinedWebLines(), `${"word ".repeat(380).trim()}\n${"Home\n".repeat(lines).trim()}`);
    expect(bad(20)).toBe("word ".repeat(380).trim());
    expect(bad(21)).toBe("too_many_bad_lines");
    // At most half of the characters may be capitals.
    expect(cut("ABc d e")).toBe("keep");
    expect(cut("ABCD e f")).toBe("keep");
    expect(cut("ABCD e")).toBe(without);
  });
});
