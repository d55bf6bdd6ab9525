/**
 * @file BLiMP by phenomenon (Warstadt et al. 2020, "BLiMP: The Benchmark of Linguistic Minimal Pairs for English", TACL 8,
 * table 2): 67 paradigms of 1,000 pairs in 12 phenomena. Guessing scores 50 %.
 */
import { type Aggregate, aggregateOf } from "./estimate.js";
import { type ModelResults, scoreAmong } from "./results-file.js";

const list = (names: string): readonly string[] => names.split(" ");

/** The paradigms of each phenomenon, by their UID. */
export const BLIMP_PHENOMENA: Readonly<Record<string, readonly string[]>> = {
  anaphor_agreement: list("anaphor_gender_agreement anaphor_number_agreement"),
  argument_structure: list(
    "animate_subject_passive animate_subject_trans causative drop_argument inchoative intransitive passive_1 passive_2 transitive",
  ),
  binding: list(
    "principle_A_c_command principle_A_case_1 principle_A_case_2 principle_A_domain_1 principle_A_domain_2 " +
      "principle_A_domain_3 principle_A_reconstruction",
  ),
  control_raising: list(
    "existential_there_object_raising existential_there_subject_raising expletive_it_object_raising tough_vs_raising_1 " +
      "tough_vs_raising_2",
  ),
  determiner_noun_agreement: list(
    "determiner_noun_agreement_1 determiner_noun_agreement_2 determiner_noun_agreement_irregular_1 " +
      "determiner_noun_agreement_irregular_2 determiner_noun_agreement_with_adjective_1 determiner_noun_agreement_with_adj_2 " +
      "determiner_noun_agreement_with_adj_irregular_1 determiner_noun_agreement_with_adj_irregular_2",
  ),
  ellipsis: list("ellipsis_n_bar_1 ellipsis_n_bar_2"),
  filler_gap_dependency: list(
    "wh_questions_object_gap wh_questions_subject_gap wh_questions_subject_gap_long_distance wh_vs_that_no_gap " +
      "wh_vs_that_no_gap_long_distance wh_vs_that_with_gap wh_vs_that_with_gap_long_distance",
  ),
  irregular_forms: list("irregular_past_participle_adjectives irregular_past_participle_verbs"),
  island_effects: list(
    "adjunct_island complex_NP_island coordinate_structure_constraint_complex_left_branch " +
      "coordinate_structure_constraint_object_extraction left_branch_island_echo_question left_branch_island_simple_question " +
      "sentential_subject_island wh_island",
  ),
  npi_licensing: list(
    "matrix_question_npi_licensor_present npi_present_1 npi_present_2 only_npi_licensor_present only_npi_scope " +
      "sentential_negation_npi_licensor_present sentential_negation_npi_scope",
  ),
  quantifiers: list(
    "existential_there_quantifiers_1 existential_there_quantifiers_2 superlative_quantifiers_1 superlative_quantifiers_2",
  ),
  subject_verb_agreement: list(
    "distractor_agreement_relational_noun distractor_agreement_relative_clause irregular_plural_subject_verb_agreement_1 " +
      "irregular_plural_subject_verb_agreement_2 regular_plural_subject_verb_agreement_1 regular_plural_subject_verb_agreement_2",
  ),
};

export const BLIMP_CHANCE = 0.5;

export interface BlimpSummary {
  /** Mean over paradigms, as the paper and lm-eval report it. */
  readonly overall: Aggregate;
  /** Means over the paradigms of a phenomenon; those without any result are left out. */
  readonly phenomena: Readonly<Record<string, Aggregate>>;
  readonly chance: number;
}

/** Returns the means over paradigms, which all count the same; null without any paradigm. */
export function blimpSummary(results: ModelResults): BlimpSummary | null {
  const accuracyOf = (paradigm: string) => scoreAmong(results, [`blimp_${paradigm}`], ["acc"]);
  const meanOf = (paradigms: readonly string[]) =>
    aggregateOf(new Map(paradigms.map((paradigm) => [paradigm, accuracyOf(paradigm)])));
  const overall = meanOf(Object.values(BLIMP_PHENOMENA).flat());
  if (overall === null) return null;
  const phenomena = Object.entries(BLIMP_PHENOMENA).flatMap(([name, paradigms]) => {
    const mean = meanOf(paradigms);
    return mean === null ? [] : [[name, mean] as const];
  });
  return { overall, phenomena: Object.fromEntries(phenomena), chance: BLIMP_CHANCE };
}
