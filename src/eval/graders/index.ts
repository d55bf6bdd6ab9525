/** @file Graders of single answers: mathematics of GSM8K, programs of HumanEval. */
export { type Gsm8kGrade, type Gsm8kOptions, gradeGsm8k } from "./gsm8k.js";
export {
  type HumanEvalProblem,
  type HumanEvalSample,
  humanEvalPassRates,
  type ProgramOptions,
  type ProgramProblem,
  passRates,
  runPrograms,
} from "./programs.js";
