/**
 * @file MMLU by subject and category (Hendrycks et al. 2021, "Measuring Massive Multitask Language Understanding", ICLR): 57
 * subjects with four answers each, in four categories. Guessing scores 25 %.
 */
import { groupValue, pooledError } from "../harness/standard-errors.js";
import { type Aggregate, type Estimate, estimate, meanEstimate } from "./estimate.js";
import { type ModelResults, type Score, scoreAmong } from "./results-file.js";

const list = (names: string): readonly string[] => names.split(" ");

/** The subjects of each category. */
export const MMLU_CATEGORIES: Readonly<Record<string, readonly string[]>> = {
  stem: list(
    "abstract_algebra anatomy astronomy college_biology college_chemistry college_computer_science college_mathematics " +
      "college_physics computer_security conceptual_physics electrical_engineering elementary_mathematics " +
      "high_school_biology high_school_chemistry high_school_computer_science high_school_mathematics high_school_physics " +
      "high_school_statistics machine_learning",
  ),
  humanities: list(
    "formal_logic high_school_european_history high_school_us_history high_school_world_history international_law " +
      "jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory professional_law world_religions",
  ),
  social_sciences: list(
    "econometrics high_school_geography high_school_government_and_politics high_school_macroeconomics " +
      "high_school_microeconomics high_school_psychology human_sexuality professional_psychology public_relations " +
      "security_studies sociology us_foreign_policy",
  ),
  other: list(
    "business_ethics clinical_knowledge college_medicine global_facts human_aging management marketing medical_genetics " +
      "miscellaneous nutrition professional_accounting professional_medicine virology",
  ),
};

export const MMLU_CHANCE = 0.25;
const SUBJECTS = Object.values(MMLU_CATEGORIES).flat();

export interface MmluSummary {
  /** Start of the tasks' names: `mmlu`, or a variant such as `mmlu_flan_n_shot_generative`. */
  readonly variant: string;
  readonly metric: string;
  /** Over all questions, as the paper and lm-eval report it. */
  readonly overall: Aggregate;
  readonly categories: Readonly<Record<string, Aggregate>>;
  readonly subjects: Readonly<Record<string, Estimate & { readonly documents: number }>>;
  readonly chance: number;
}

/** Returns one summary per variant of MMLU in the results. */
export function mmluSummaries(results: ModelResults): readonly MmluSummary[] {
  const variants = new Set<string>();
  for (const task of results.scores.keys()) {
    const subject = task.startsWith("mmlu") ? SUBJECTS.find((name) => task.endsWith(`_${name}`)) : undefined;
    if (subject !== undefined) variants.add(task.slice(0, -subject.length - 1));
  }
  return [...variants].sort().flatMap((variant) => {
    const scores = new Map<string, Score>();
    for (const subject of SUBJECTS) {
      const score = scoreAmong(results, [`${variant}_${subject}`], ["acc", "exact_match"]);
      if (score !== undefined) scores.set(subject, score);
    }
    const overall = questionsMean(SUBJECTS, scores);
    if (overall === null) return [];
    const categories = Object.entries(MMLU_CATEGORIES).flatMap(([name, subjects]) => {
      const mean = questionsMean(subjects, scores);
      return mean === null ? [] : [[name, mean] as const];
    });
    const [{ metric, filter }] = scores.values();
    return [
      {
        variant,
        metric: `${metric},${filter}`,
        overall,
        categories: Object.fromEntries(categories),
        subjects: Object.fromEntries(
          [...scores].map(([subject, { value, standard_error, lower, upper, documents }]) => [
            subject,
            { value, standard_error, lower, upper, documents },
          ]),
        ),
        chance: MMLU_CHANCE,
      },
    ];
  });
}

/** Every question counts the same; if the results do not say how many there are, every subject does. */
function questionsMean(subjects: readonly string[], scores: ReadonlyMap<string, Score>): Aggregate | null {
  const present = subjects.flatMap((subject) => scores.get(subject) ?? []);
  if (present.length === 0) return null;
  const counts = {
    tasks: present.length,
    of: subjects.length,
    missing: subjects.filter((subject) => !scores.has(subject)),
  };
  const sizes = present.map(({ documents }) => documents);
  if (sizes.includes(0)) return { ...meanEstimate(present), ...counts };
  const errors = present.map(({ standard_error }) => standard_error).filter((error) => error !== null);
  const error = errors.length < present.length ? null : pooledError(errors, sizes);
  return {
    ...estimate(
      groupValue(
        present.map(({ value }) => value),
        sizes,
        true,
      ),
      error,
    ),
    ...counts,
  };
}
