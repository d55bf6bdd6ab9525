import { describe, expect, it } from "vitest";
import { compileRegularExpression } from "../../../src/infer/grammar/index.js";
import type { TokenConstraint } from "../../../src/infer/token-constraint.js";
import { isAllowed, smallVocabulary } from "./vocabulary.js";

const vocabulary = smallVocabulary();
const utf8 = new TextEncoder();

/** Whether the bytes of a text are allowed one by one and the text may end after them. */
function matches(constraint: TokenConstraint, text: string): boolean {
  for (const byte of utf8.encode(text)) {
    if (!isAllowed(constraint.mask(), byte)) return false;
    constraint.accept(byte);
  }
  expect(isAllowed(constraint.mask(), vocabulary.size - 1)).toBe(constraint.isComplete);
  return constraint.isComplete;
}

/** Texts near what the patterns match, so that both answers occur. */
const TEXTS = [
  ...[
    "",
    "a",
    "b",
    "ab",
    "abb",
    "aab",
    "abc",
    "cab",
    "aaa",
    "aaaa",
    "1",
    "12",
    "123",
    "1234",
    "a1",
    "_",
    "-",
    ".",
    "a.b",
  ],
  ...[
    "foo",
    "foobar",
    "barfoo",
    "bar",
    "food",
    "é",
    "日",
    "😀",
    "😀😀",
    "A",
    "Z",
    "\n",
    " ",
    "a b",
    "a\nb",
    "\t",
    "é1",
    "2024-02-29",
  ],
];

describe("compileRegularExpression", () => {
  const patterns = [
    ...[
      "a",
      "ab*",
      "(?:ab|a)b?",
      "[a-c]+",
      "[^a-c]",
      ".",
      ".*",
      "a{2}",
      "a{2,3}",
      "a{2,}",
      "\\d+",
      "\\w+",
      "\\W",
      "\\s",
      "\\S*",
    ],
    ...[
      "foo(?!bar).*",
      "(?=.*b)[abc]+",
      "(?!a).*",
      "^foo$",
      "^(?:foo|bar)$",
      "(a|b)*?c?",
      "[\\d_-]+",
      "\\u{1F600}+",
      "\\p{L}+",
    ],
    ...[
      "[é-日]",
      "\\.",
      "a\\.b",
      "(?<year>\\d{4})-\\d\\d-\\d\\d",
      "",
      "a|",
      "(?:a|b|^c)ab",
      "[^]",
      "\\x61",
      "\\u0061b",
    ],
  ];
  it.each(patterns)("%s matches what RegExp matches", (pattern) => {
    const constraint = compileRegularExpression(pattern, vocabulary);
    const expected = new RegExp(`^(?:${pattern})$`, "u");
    for (const text of TEXTS) expect([text, matches(constraint.open(), text)]).toEqual([text, expected.test(text)]);
  });

  it("completes a text with the fewest tokens", () => {
    const constraint = compileRegularExpression("(?:hello world)+!|name", vocabulary).open();
    expect(constraint.shortestCompletion()).toHaveLength(1);
    constraint.accept("h".charCodeAt(0));
    const completion = constraint.shortestCompletion();
    for (const id of completion) {
      expect(isAllowed(constraint.mask(), id)).toBe(true);
      constraint.accept(id);
    }
    expect(constraint.isComplete).toBe(true);
    constraint.accept(vocabulary.size - 1);
    expect(constraint.mask().every((word) => word === 0)).toBe(true);
  });

  it.each([
    ["(a", "unclosed group"],
    ["a)", "unmatched"],
    ["[a", "unclosed character class"],
    ["(a)\\1", "backreference"],
    ["(?<=a)b", "lookbehind"],
    ["\\bfoo", "word boundary"],
    ["*a", "nothing to repeat"],
    ["[b-a]", "out of order"],
    ["a{3,2}", "wrong order"],
    ["(?!)", "matches no text"],
  ])("refuses %s", (pattern, reason) => {
    expect(() => compileRegularExpression(pattern, vocabulary)).toThrow(
      expect.objectContaining({ name: "QuernError", exitCode: 2, message: expect.stringContaining(reason) }),
    );
  });
});
