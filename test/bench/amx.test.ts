import { expect, it } from "vitest";
import { roundsThatCount } from "../../bench/amx.js";

it("drops and counts the rounds whose peak is below 60 % of the best", () => {
  expect(roundsThatCount([5800, 3000, 5600, 3500])).toEqual({ counts: [true, false, true, true], dropped: 1 });
  expect(roundsThatCount([300])).toEqual({ counts: [true], dropped: 0 });
});
