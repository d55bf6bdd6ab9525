import { describe, expect, it } from "vitest";
import { gradeGsm8k } from "../../../src/eval/graders/gsm8k.js";

const REFERENCE = "Tom has 4 bags of 300 nuts.\n4 * 300 = <<4*300=1200>>1,200\n#### 1,200";

describe("gradeGsm8k", () => {
  it.each([
    ["4 * 300 = 1200\n#### 1200", { strict: true, flexible: true }],
    ["#### 1,200", { strict: true, flexible: true }],
    // The first mark counts for the strict grade, the last number for the flexible one.
    ["#### 1200\n#### 7", { strict: true, flexible: false }],
    ["He has $1,200.", { strict: false, flexible: true }],
    ["#### 12000", { strict: false, flexible: false }],
    ["no number", { strict: false, flexible: false }],
    ["", { strict: false, flexible: false }],
  ])("grades %j", (solution, grade) => {
    expect(gradeGsm8k(solution, REFERENCE)).toEqual(grade);
  });

  it("takes another mark, at the starts of lines only", () => {
    const reference = "4 * 300 = 1200\nA: 1200";
    const mark = { mark: "A:" };
    expect(gradeGsm8k("1200 nuts\nA: 1200", reference, mark)).toEqual({ strict: true, flexible: true });
    expect(gradeGsm8k("A: 1200", reference, mark).strict).toBe(true);
    expect(gradeGsm8k("The answer is A: 1200", reference, mark)).toEqual({ strict: false, flexible: true });
    expect(gradeGsm8k("#### 7\nA: 1200", reference, mark).strict).toBe(false);
  });
});
