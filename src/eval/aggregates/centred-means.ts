/**
 * @file Means of accuracies that are centred, so that guessing scores 0 and perfection 1: ChatCORE of nanochat (Karpathy 2025,
 * github.com/karpathy/nanochat), and what results of lm-eval's tasks allow of DCLM's CORE (Li et al. 2024, arXiv 2406.11794).
 */
import { type Aggregate, aggregateOf, centredEstimate, type Estimate } from "./estimate.js";
import { type ModelResults, scoreAmong } from "./results-file.js";

/** A benchmark of a centred mean: its possible task names and metrics, the usual ones first. */
interface Part {
  readonly name: string;
  readonly tasks: readonly string[];
  readonly metrics: readonly string[];
  readonly chance: number;
}

export interface CentredPart {
  readonly name: string;
  readonly task: string;
  readonly metric: string;
  readonly accuracy: number;
  readonly chance: number;
  readonly centred: Estimate;
}

export interface CentredMean extends Aggregate {
  readonly parts: readonly CentredPart[];
}

const NUMBER = ["exact_match,strict-match", "exact_match,flexible-extract", "exact_match", "acc"];

/** The six benchmarks of ChatCORE with nanochat's chance levels. */
const CHAT_CORE: readonly Part[] = [
  { name: "ARC-Easy", tasks: ["arc_easy"], metrics: ["acc"], chance: 0.25 },
  { name: "ARC-Challenge", tasks: ["arc_challenge"], metrics: ["acc"], chance: 0.25 },
  { name: "MMLU", tasks: ["mmlu", "mmlu_generative"], metrics: ["acc", "exact_match"], chance: 0.25 },
  { name: "GSM8K", tasks: ["gsm8k", "gsm8k_cot", "gsm8k_cot_llama"], metrics: NUMBER, chance: 0 },
  { name: "HumanEval", tasks: ["humaneval", "humaneval_instruct"], metrics: ["pass@1", "pass_at_1"], chance: 0 },
  { name: "SpellingBee", tasks: ["spellingbee", "spelling_bee"], metrics: NUMBER, chance: 0 },
];

const NORMALISED = ["acc_norm", "acc"];
const EXACT = ["exact_match", "acc"];
const bigbench = (name: string, chance = 0): Part => ({
  name: `bigbench_${name}`,
  tasks: [`bigbench_${name}`, `bigbench_${name}_multiple_choice`, `bigbench_${name}_generate_until`],
  metrics: ["acc", "exact_match"],
  chance,
});

/** The 22 tasks of CORE with DCLM's chance levels, version 2, and lm-eval's nearest tasks. */
const CORE: readonly Part[] = [
  { name: "hellaswag_zeroshot", tasks: ["hellaswag_zeroshot", "hellaswag"], metrics: NORMALISED, chance: 0.25 },
  { name: "hellaswag", tasks: ["hellaswag"], metrics: NORMALISED, chance: 0.25 },
  { name: "jeopardy", tasks: ["jeopardy"], metrics: EXACT, chance: 0 },
  bigbench("qa_wikidata"),
  { name: "arc_easy", tasks: ["arc_easy"], metrics: NORMALISED, chance: 0.25 },
  { name: "arc_challenge", tasks: ["arc_challenge"], metrics: NORMALISED, chance: 0.25 },
  { name: "copa", tasks: ["copa"], metrics: ["acc"], chance: 0.5 },
  { name: "commonsense_qa", tasks: ["commonsense_qa"], metrics: ["acc"], chance: 0.403 },
  { name: "piqa", tasks: ["piqa"], metrics: NORMALISED, chance: 0.5 },
  { name: "openbook_qa", tasks: ["openbook_qa", "openbookqa"], metrics: NORMALISED, chance: 0.25 },
  { name: "lambada_openai", tasks: ["lambada_openai"], metrics: ["acc"], chance: 0 },
  { name: "winograd", tasks: ["winograd", "wsc273"], metrics: ["acc"], chance: 0.5 },
  { name: "winogrande", tasks: ["winogrande"], metrics: ["acc"], chance: 0.5 },
  bigbench("dyck_languages"),
  { name: "agi_eval_lsat_ar", tasks: ["agi_eval_lsat_ar", "agieval_lsat_ar"], metrics: NORMALISED, chance: 0.25 },
  bigbench("cs_algorithms"),
  bigbench("operators"),
  bigbench("repeat_copy_logic"),
  { name: "squad", tasks: ["squad", "squad_completion"], metrics: ["contains", ...EXACT], chance: 0 },
  { name: "coqa", tasks: ["coqa"], metrics: ["em", ...EXACT], chance: 0 },
  { name: "boolq", tasks: ["boolq"], metrics: ["acc"], chance: 0.62 },
  bigbench("language_identification", 0.25),
];

/** Returns ChatCORE, a partial mean if benchmarks are missing; null without any. */
export const chatCore = (results: ModelResults): CentredMean | null => centredMean(CHAT_CORE, results);

/**
 * Returns the mean over CORE's tasks that have a result under lm-eval's names; null without any. Prompts and few-shot examples
 * are lm-eval's, so it is like CORE but not comparable with DCLM's figures.
 */
export function coreLike(results: ModelResults): CentredMean | null {
  const shots = results.shots.get("hellaswag");
  // One task of lm-eval is either of two of CORE, by its few-shot examples.
  const absent = shots === undefined || shots === 0 ? "hellaswag" : "hellaswag_zeroshot";
  const parts = CORE.map((part) => (part.name === absent ? { ...part, tasks: [] } : part));
  return centredMean(parts, results);
}

function centredMean(parts: readonly Part[], results: ModelResults): CentredMean | null {
  const found = parts.map(({ name, tasks, metrics, chance }): [string, CentredPart | undefined] => {
    const score = scoreAmong(results, tasks, metrics);
    if (score === undefined) return [name, undefined];
    const { task, metric, filter, value } = score;
    const centred = centredEstimate(score, chance);
    return [name, { name, task, metric: `${metric},${filter}`, accuracy: value, chance, centred }];
  });
  const mean = aggregateOf(new Map(found.map(([name, part]) => [name, part?.centred])));
  return mean === null ? null : { ...mean, parts: found.flatMap(([, part]) => part ?? []) };
}
