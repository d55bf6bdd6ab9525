import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stopFinder } from "../../src/infer/stop-strings.js";

function streamed(pieces: readonly string[], stops: readonly string[]): string {
  const finder = stopFinder(stops);
  let text = "";
  for (const piece of pieces) text += finder.push(piece);
  return text + finder.end();
}

describe("stopFinder", () => {
  it("returns the text before the first stop string, however it is split", () => {
    const letters = fc.array(fc.constantFrom("a", "b", "😀", "😁", "\n"), { maxLength: 12 });
    const word = fc.array(fc.constantFrom("a", "b", "😀", "\n"), { minLength: 1, maxLength: 3 }).map((a) => a.join(""));
    fc.assert(
      fc.property(fc.array(letters), fc.array(word, { maxLength: 3 }), (groups, stops) => {
        const pieces = groups.map((group) => group.join(""));
        const whole = pieces.join("");
        const places = stops.map((stop) => whole.indexOf(stop)).filter((place) => place >= 0);
        expect(streamed(pieces, stops)).toBe(places.length > 0 ? whole.slice(0, Math.min(...places)) : whole);
      }),
    );
  });

  it("waits for a longer stop string that starts before a shorter one", () => {
    expect(streamed(["x\n", "\u{1f600}", "\n\u{1f600}\n\u{1f600}"], ["\n", "x\n\u{1f600}"])).toBe("");
    expect(streamed(["ab", "b"], ["abb", "b"])).toBe("");
    expect(streamed(["ab", "c"], ["abb", "b"])).toBe("a");
  });

  it("holds back only a possible start of a stop string", () => {
    const finder = stopFinder(["END", "NO"]);
    expect(finder.push("an E")).toBe("an ");
    expect(finder.push("N")).toBe("");
    expect(finder.push("O")).toBe("E");
    expect(finder.found).toBe(true);
    expect(finder.push("more")).toBe("");
  });
});
