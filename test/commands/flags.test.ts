import { describe, expect, it } from "vitest";
import { flagsOf, givenValues, parserOf } from "../../src/commands/flags.js";
import sweep from "../../src/commands/scale-sweep.js";

describe("flags of lists", () => {
  it("take several values, at once or one flag after another", () => {
    const values = (...argv: string[]) => {
      const flags = flagsOf(sweep.options);
      const parser = parserOf("scale sweep", sweep, flags);
      parser.parse(argv, { from: "user" });
      return givenValues(parser, sweep, flags);
    };
    const both = { vary: ["lr=1e-3,2e-3", "batch=2,4"], flops: [1e9, 2e9] };
    expect(values("--vary", "lr=1e-3,2e-3", "batch=2,4", "--flops", "1e9,2e9")).toEqual(both);
    expect(values("--vary", "lr=1e-3,2e-3", "--vary", "batch=2,4", "--flops", "1e9,2e9")).toEqual(both);
  });
});
