import { describe, expect, it } from "vitest";
import { detectLanguage } from "../../../../src/eval/harness/functions/language.js";
import { sentencesOf, wordsOf } from "../../../../src/eval/harness/functions/sentences.js";

// Made-up texts with the sentences and words of NLTK 3.10 (punkt_tab, English).
const TEXTS: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  [
    "1,000 Mr. However, etc. J. He rock'n'roll The -- $5 .. Inc. '' don't",
    ["1,000 Mr.", "However, etc.", "J.", "He rock'n'roll The -- $5 .. Inc. '' don't"],
    [
      "1,000",
      "Mr",
      ".",
      "However",
      ",",
      "etc",
      ".",
      "J",
      ".",
      "He",
      "rock'n'roll",
      "The",
      "--",
      "$",
      "5",
      "..",
      "Inc.",
      "``",
      "do",
      "n't",
    ],
  ],
  [
    "End:\t `` Smith e.g. ‘no’ said. gonna U.S. «oui»",
    ["End:\t `` Smith e.g.", "‘no’ said.", "gonna U.S. «oui»"],
    ["End", ":", "``", "Smith", "e.g", ".", "‘", "no", "’", "said", ".", "gon", "na", "U.S.", "«", "oui", "»"],
  ],
  [
    "@x it's {b} Smith n't some ﬁ. ` ?) e.g.",
    ["@x it's {b} Smith n't some ﬁ.", "` ?)", "e.g."],
    ["@", "x", "it", "'s", "{", "b", "}", "Smith", "n't", "some", "ﬁ", ".", "`", "?", ")", "e.g", "."],
  ],
  [
    "DON'T... No. 1,000 !\" cannot n't Smith's He NASA He a.m. why?",
    ["DON'T... No.", '1,000 !"', "cannot n't Smith's He NASA He a.m. why?"],
    [
      "DO",
      "N'T",
      "...",
      "No",
      ".",
      "1,000",
      "!",
      "''",
      "can",
      "not",
      "n't",
      "Smith",
      "'s",
      "He",
      "NASA",
      "He",
      "a.m.",
      "why",
      "?",
    ],
  ],
  [
    "NASA * J. .. a.b.c “Yes.” * é. Inc.",
    ["NASA * J.", ".. a.b.c “Yes.”", "* é. Inc."],
    ["NASA", "*", "J", ".", "..", "a.b.c", "“", "Yes", ".", "”", "*", "é.", "Inc", "."],
  ],
  [
    'Whichbut ." Smith ." sentence.',
    ['Whichbut ."', 'Smith ."', "sentence."],
    ["Whichbut", ".", "''", "Smith", ".", "''", "sentence", "."],
  ],
  [
    "# ‘no’ $5 x; 5. ß. ' # ## A. $5 NASA He",
    ["# ‘no’ $5 x; 5. ß. '", "# ## A.", "$5 NASA He"],
    ["#", "‘", "no", "’", "$", "5", "x", ";", "5.", "ß", ".", "'", "#", "#", "#", "A", ".", "$", "5", "NASA", "He"],
  ],
  [
    "etc... 第. etc. etc. He `",
    ["etc... 第. etc.", "etc.", "He `"],
    ["etc", "...", "第.", "etc", ".", "etc", ".", "He", "`"],
  ],
  [
    "'tis'so' And '' !\" Mr. Jan. I'm {b} 5.",
    ["'tis'so' And '' !\"", "Mr. Jan.", "I'm {b} 5."],
    ["'", "tis'so", "'", "And", "``", "!", "''", "Mr.", "Jan", ".", "I", "'m", "{", "b", "}", "5", "."],
  ],
  [
    "第. A-OK who !\" {b} & <c> 'tis ..",
    ['第. A-OK who !"', "{b} & <c> 'tis .."],
    ["第.", "A-OK", "who", "!", "''", "{", "b", "}", "&", "<", "c", ">", "'", "tis", ".."],
  ],
  [
    "However, 第. Though cannot it's ‘no’ Smith's é. \"Hi.\" U.S.",
    ["However, 第.", "Though cannot it's ‘no’ Smith's é.", '"Hi."', "U.S."],
    [
      "However",
      ",",
      "第",
      ".",
      "Though",
      "can",
      "not",
      "it",
      "'s",
      "‘",
      "no",
      "’",
      "Smith",
      "'s",
      "é",
      ".",
      "``",
      "Hi",
      ".",
      "''",
      "U.S",
      ".",
    ],
  ],
  [
    "J.Corp. n't !\" & Jan. it's (hello) 1,000 Smith",
    ["J.Corp.", "n't !\"", "& Jan. it's (hello) 1,000 Smith"],
    ["J.Corp", ".", "n't", "!", "''", "&", "Jan.", "it", "'s", "(", "hello", ")", "1,000", "Smith"],
  ],
  [
    "$5 who B. sentence. it's a.b.c 第. some",
    ["$5 who B. sentence.", "it's a.b.c 第. some"],
    ["$", "5", "who", "B.", "sentence", ".", "it", "'s", "a.b.c", "第.", "some"],
  ],
  [
    "ß.“Yes.” 第. 1,000 but (Then). word,",
    ["ß.“Yes.”", "第.", "1,000 but (Then).", "word,"],
    ["ß.", "“", "Yes", ".", "”", "第", ".", "1,000", "but", "(", "Then", ")", ".", "word", ","],
  ],
  [
    "Whichhe É. NASA O'Neil .) 第.",
    ["Whichhe É. NASA O'Neil .)", "第."],
    ["Whichhe", "É.", "NASA", "O'Neil", ".", ")", "第", "."],
  ],
];

// With the languages of langdetect 1.0.9, seed 0; null where it finds no letters.
const LANGUAGES: readonly (readonly [string, string | null])[] = [
  ["The cat sat on the mat and looked out of the window. The cat sat on the mat and looked out of the window.", "en"],
  ["Il fait beau aujourd'hui et je vais au marché The cat sat on the mat and looked out of the window.", "en"],
  ["Wir gehen morgen ins Kino The cat sat on the mat and looked out of the window.", "en"],
  ["Me gusta mucho la comida de mi abuela The cat sat on the mat and looked out of the window.", "en"],
  ["Це гарна книга The cat sat on the mat and looked out of the window.", "en"],
  ["これはペンです The cat sat on the mat and looked out of the window.", "en"],
  ["我喜欢喝茶 The cat sat on the mat and looked out of the window.", "en"],
  ["나는 학생입니다 The cat sat on the mat and looked out of the window.", "en"],
  ["मैं घर जा रहा हूँ The cat sat on the mat and looked out of the window.", "en"],
  ["ఇది ఒక పుస్తకం The cat sat on the mat and looked out of the window.", "en"],
  ["این یک کتاب است The cat sat on the mat and looked out of the window.", "en"],
  ["هذا كتاب جميل The cat sat on the mat and looked out of the window.", "en"],
  ["זה ספר טוב The cat sat on the mat and looked out of the window.", "en"],
  ["นี่คือหนังสือ The cat sat on the mat and looked out of the window.", "en"],
  ["Đây là sách The cat sat on the mat and looked out of the window.", "en"],
  ["HELLO THERE MY FRIENDS The cat sat on the mat and looked out of the window.", "en"],
  ["ALL CAPS TEXT ABOUT A DOG AND A CAT The cat sat on the mat and looked out of the window.", "en"],
  ["lower case words here The cat sat on the mat and looked out of the window.", "en"],
  ["I The cat sat on the mat and looked out of the window.", "en"],
  ["hello world The cat sat on the mat and looked out of the window.", "en"],
];

describe("English text", () => {
  it.each(TEXTS)("splits %j", (text, sentences, words) => {
    expect(sentencesOf(text)).toEqual(sentences);
    expect(wordsOf(text)).toEqual(words);
  });

  it("has no sentence without text", () => {
    expect(sentencesOf(" \n ")).toEqual([]);
    expect(wordsOf("")).toEqual([]);
  });
});

describe("detectLanguage", () => {
  it.each(LANGUAGES)("%j", (text, language) => {
    expect(detectLanguage(text)).toBe(language);
  });

  it("finds none without letters", () => {
    expect(detectLanguage("123 !? 4")).toBeNull();
  });
});
