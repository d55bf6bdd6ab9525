import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  findPersonalData,
  normalizeText,
  Passage,
  PERSONAL_TYPES,
  type PersonalType,
  PLACEHOLDERS,
  personalData,
  repairMojibake,
} from "../../src/data/recipes/recipe-steps.js";

/** Parses `a ⟦email:b@c.de⟧` into the text and the matches expected in it. */
function labelled(line: string) {
  const found: string[] = [];
  let text = "";
  for (const part of line.split(/(⟦[a-z_]+:[^⟧]*⟧)/)) {
    const mark = /^⟦([a-z_]+):([^⟧]*)⟧$/.exec(part);
    if (mark) found.push(`${text.length} ${mark[1]} ${mark[2]}`);
    text += mark ? mark[2] : part;
  }
  return { text, found };
}

const SET = readFileSync(join(import.meta.dirname, "fixtures", "personal-data.txt"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map(labelled);

const show = (text: string, types?: readonly PersonalType[]) =>
  findPersonalData(text, types).map(({ type, start, end }) => `${start} ${type} ${text.slice(start, end)}`);

const applyStep = (text: string, options = {}) =>
  personalData(options).judge({ id: "0", source: "s", passage: new Passage(text) });

describe("personal data", () => {
  it("is found in the labelled set without false positives", () => {
    let right = 0;
    let found = 0;
    let wanted = 0;
    const wrong: object[] = [];
    for (const { text, found: truth } of SET) {
      const own = show(text);
      const hits = own.filter((each) => truth.includes(each)).length;
      right += hits;
      found += own.length;
      wanted += truth.length;
      if (hits !== truth.length || own.length !== truth.length) wrong.push({ text, own, truth });
    }
    expect(wanted).toBeGreaterThan(55);
    expect(wrong).toEqual([]);
    expect({ precision: right / found, recall: right / wanted }).toEqual({ precision: 1, recall: 1 });
  });

  it("is masked by type, removed or reported", () => {
    const text = "Bob <bob@example.com>, 4111 1111 1111 1111, bob@example.com.";
    expect(applyStep(text)).toMatchObject({
      text: "Bob <<EMAIL>>, <CREDIT_CARD>, <EMAIL>.",
      edits: { email: 2, credit_card: 1 },
      cut: 49,
      added: 27,
    });
    expect(applyStep(text, { action: "remove" })).toMatchObject({ text: "Bob <>, , ." });
    expect(applyStep(text, { action: "report" })).toEqual({ keep: true, found: { email: 2, credit_card: 1 } });
    expect(applyStep(text, { types: ["email"] })).toMatchObject({ edits: { email: 2 } });
  });

  const anything = fc.array(
    fc.oneof(
      fc.constantFrom(...SET.map(({ text }) => text)),
      fc.constantFrom(...Object.values(PLACEHOLDERS), " ", "\n", "@", ".", "+", "4111", "tel ", "::", "DE89"),
      fc.string({ unit: "binary", maxLength: 12 }),
    ),
    { maxLength: 12 },
  );

  it("is found regardless of the order of types, and masking twice changes nothing", () => {
    fc.assert(
      fc.property(anything, fc.shuffledSubarray([...PERSONAL_TYPES]), (parts, types) => {
        const text = parts.join("");
        expect(findPersonalData(text, types)).toEqual(findPersonalData(text, [...types].sort()));
        const once = applyStep(text);
        if (!once.keep || !("text" in once)) return;
        const again = findPersonalData(once.text);
        // Removal may join text into new matches, but a placeholder is never matched.
        for (const { start, end } of again) expect(once.text.slice(start, end)).not.toMatch(/[<>]/);
      }),
      { numRuns: 150 },
    );
  });

  it("is found in linear time in any text", () => {
    const parts =
      "a|@|a@|=@|%40|1|1 |+1 |1.|9.|a.|::1|2a00::1 |tel |ph ph |DE89 |DE89|iban|token=|eyJ|eyJaaaaaaaaaaaa.|(|1-|sk-|xoxb-|4111 |4111 1111 1111 1111 |1.1.1.1-|x@x.com/|-----BEGIN RSA PRIVATE KEY-----";
    for (const part of parts.split("|")) {
      const seconds = [1, 2, 4].map((times) => {
        const text = part.repeat(Math.floor((times * 25_000) / part.length));
        const start = performance.now();
        findPersonalData(text);
        return (performance.now() - start) / 1000;
      });
      expect({ part, seconds, slow: seconds[2] > 2 + 10 * seconds[0] }).toMatchObject({ slow: false });
    }
  });
});

describe("normalization", () => {
  it("repairs text that was wrongly decoded once or twice", () => {
    const words = [
      "café",
      "naïve",
      "François",
      "“quoted”",
      "don’t",
      "£5",
      "Привет",
      "東京",
      "😀",
      "Zürich – Genève",
      "Ελλάδα",
    ];
    const table = new TextDecoder("windows-1252");
    const wrong = (text: string) => table.decode(new TextEncoder().encode(text));
    for (const word of words) {
      expect(repairMojibake(wrong(word))).toBe(word);
      expect(repairMojibake(`so ${wrong(wrong(word))} is`)).toBe(`so ${word} is`);
      expect(repairMojibake(word)).toBe(word);
    }
    for (const text of ["", "plain", "VOILÀ»", "Ça va", "SÃO PAULO", "â", "Ã", "über Æsop’s", "1 µm ± 2 °C"]) {
      expect(repairMojibake(text)).toBe(text);
    }
  });

  it("composes characters, removes control characters and boilerplate, and simplifies whitespace", () => {
    expect(normalizeText("e\u0301 a\u00a0b\t\tc \r\nd\u0000e\ufeff \u001b[31mred\u001b[0m\n\n\n\nz\ud800")).toBe(
      "é a b c\nde red\n\nz",
    );
    expect(
      normalizeText(
        "A\nSkip to content\nREAD MORE »\n© 2024 Foo Inc. All rights reserved.\nRead more about mills here.",
      ),
    ).toBe("A\nRead more about mills here.");
  });

  it("is idempotent", () => {
    const unit = fc.constantFrom(
      "a",
      "é",
      "e\u0301",
      "Ã",
      "©",
      "â",
      "€",
      "™",
      "\u0000",
      "\u001b[0m",
      "\ud83d",
      "\ude00",
      "\r",
      "\n",
      " ",
      "\u3000",
      "\u0085",
      "menu",
      "\n",
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 40 }), (text) => {
        const once = normalizeText(text, { mojibake: false });
        expect(normalizeText(once, { mojibake: false })).toBe(once);
        expect(Buffer.from(once).toString()).toBe(once);
      }),
      { numRuns: 300 },
    );
  });
});
