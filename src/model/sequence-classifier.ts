/**
 * @file Sequence classifiers with one label, which are reward models: a transformer whose head (1,C) gives a text one score,
 * read at its last token. The names are those of transformers' `LlamaForSequenceClassification` and its relatives.
 */
import { QuernError } from "../errors.js";
import { quoted } from "../printable.js";
import { embedding, mul, reshape, sum, type Tensor } from "../tensor/index.js";
import type { Family, ModelConfig } from "./config.js";
import type { Parameter } from "./parameters.js";

/** Name of the head's weights. */
export const SCORE = "score.weight";

/** The head (1,C) of a model; a new one is normal with standard deviation .02. */
export const scoreParameter = ({ width }: ModelConfig): Parameter => ({
  name: SCORE,
  shape: [1, width],
  initial: { kind: "normal", deviation: 0.02 },
  kind: "table",
  storedTransposed: false,
});

/** The configuration without a head: what a sequence classifier shares with a language model. */
export const withoutHead = (config: ModelConfig): ModelConfig => ({ ...config, tiedHead: true });

/** hidden (B,T,C) and i32 places (N) in its B·T rows → (N,C). Rows with place −1 are zeros. */
export function rowsAt(hidden: Tensor, places: Tensor): Tensor {
  const [B, T, C] = hidden.shape;
  return embedding(reshape(hidden, [B * T, C]), places);
}

/** rows (N,C) and the head (1,C) → scores (N). Not a matrix product: the sum stays in fp32 under bf16. */
export const scoresOf = (rows: Tensor, head: Tensor): Tensor => sum(mul(rows, head), [1]);

/**
 * The place of the last token of a text that is not `padding`, as transformers finds it; 0 if there is none. With the
 * end-of-text token as padding, it is the token before the end.
 */
export function lastToken(ids: ArrayLike<number>, padding: number | null): number {
  for (let t = ids.length - 1; t >= 0; t--) if (ids[t] !== padding) return t;
  return 0;
}

const ARCHITECTURES: Readonly<Record<Family, string>> = {
  gpt2: "GPT2ForSequenceClassification",
  llama: "LlamaForSequenceClassification",
  qwen3: "Qwen3ForSequenceClassification",
};

/** The fields of `config.json` in which a classifier differs from a language model. */
export const classifierFields = ({ family }: ModelConfig) => ({
  architectures: [ARCHITECTURES[family]],
  num_labels: 1,
  id2label: { "0": "LABEL_0" },
  label2id: { LABEL_0: 0 },
  tie_word_embeddings: false,
});

/**
 * Returns the architecture of a parsed `config.json` if it is a sequence classifier, else null.
 * @throws QuernError for one with several labels, which is not a reward model
 */
export function classifierOf(json: unknown, path: string): string | null {
  const { architectures, num_labels, id2label } = json as Readonly<Record<string, unknown>>;
  const architecture = [architectures ?? []].flat().find((name) => /ForSequenceClassification$/.test(String(name)));
  if (architecture === undefined) return null;
  const named = typeof id2label === "object" && id2label !== null ? Object.keys(id2label).length : undefined;
  // transformers' default is two labels.
  const labels = num_labels ?? named ?? 2;
  if (labels === 1) return String(architecture);
  throw new QuernError(
    `${path} describes a ${quoted(String(architecture))} with ${quoted(String(labels))} labels; a reward model has one`,
  );
}

/** The error for a reward model where a language model is needed. */
export const isRewardModel = (path: string, why: string) =>
  new QuernError(
    `${path} is a reward model (${quoted(why)}): it scores texts and has no head that predicts tokens; give a language model`,
    { exitCode: 2 },
  );
