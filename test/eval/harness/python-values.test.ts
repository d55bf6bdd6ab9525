import { describe, expect, it } from "vitest";
import { capitalized } from "../../../src/eval/harness/python-values.js";

/** What Python 3.11 gives. */
const CAPITALIZED: Readonly<Record<string, string>> = {
  "hello WORLD": "Hello world",
  "": "",
  "1st Place": "1st place",
  "\u00dfTRASSE": "Sstrasse",
  "\ufb01SH": "Fish",
  "\u01c6EP": "\u01c5ep",
  "\u01f1": "\u01f2",
  "\u10d0\u10d1": "\u10d0\u10d1",
  "\u1f80\u0391": "\u1f88\u03b1",
  "\u1fb2": "\u1fba\u0345",
  "\u1fb7": "\u0391\u0342\u0345",
  "\u0391\u03a3 \u03a3": "\u0391\u03c2 \u03c3",
  "\u0130X": "\u0130x",
  "\ud801\udc28\ud801\udc00": "\ud801\udc00\ud801\udc28",
};

describe("capitalized", () => {
  it("equals Python's str.capitalize", () => {
    for (const [text, expected] of Object.entries(CAPITALIZED)) expect(capitalized(text)).toBe(expected);
  });
});
