/** @file The functions of tasks on knowledge, reasoning, mathematics, code and instructions. */
import { ARABIC_FUNCTIONS } from "./arabic.js";
import { BIG_BENCH_HARD_FUNCTIONS } from "./big-bench-hard.js";
import { CHAIN_OF_THOUGHT_FUNCTIONS } from "./chain-of-thought.js";
import { COMPETITION_MATH_FUNCTIONS } from "./competition-math.js";
import type { NamedFunctions } from "./fields.js";
import { INSTRUCTION_FUNCTIONS } from "./instructions.js";
import { MULTIPLE_CHOICE_FUNCTIONS } from "./multiple-choice.js";
import { PROGRAM_FUNCTIONS } from "./programs.js";
import { REGIONAL_FUNCTIONS } from "./regional.js";
import { SUBJECT_FUNCTIONS } from "./subjects.js";

export const REASONING_FUNCTIONS: NamedFunctions = [
  ...SUBJECT_FUNCTIONS,
  ...CHAIN_OF_THOUGHT_FUNCTIONS,
  ...MULTIPLE_CHOICE_FUNCTIONS,
  ...ARABIC_FUNCTIONS,
  ...REGIONAL_FUNCTIONS,
  ...BIG_BENCH_HARD_FUNCTIONS,
  ...COMPETITION_MATH_FUNCTIONS,
  ...PROGRAM_FUNCTIONS,
  ...INSTRUCTION_FUNCTIONS,
];
