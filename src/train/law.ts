/**
 * @file Scaling laws on disk: the schema of `law.json`, which `quern scale fit` writes, and what a law says about compute.
 * N is params, D is tokens, C = 6·N·D is training FLOPs, L is the held-out loss in nats per token.
 */
import { z } from "zod";
import { QuernError } from "../errors.js";
import { readJsonFile } from "../json-file.js";

export const LAW_FORMAT = "quern scaling law";
export const APPROACHES = ["parametric", "isoflop", "envelope", "kaplan"] as const;
export type Approach = (typeof APPROACHES)[number];

const positive = z.number().positive();
const range = z.tuple([positive, positive]);
/** value = coefficient · C^exponent */
const powerLaw = z.object({ coefficient: positive, exponent: z.number() });
export type PowerLaw = z.output<typeof powerLaw>;

/** L = E + A/N^α + B/D^β */
const constants = { A: positive, B: positive, E: z.number().min(0), alpha: positive, beta: positive };
const constantsSchema = z.object(constants);

export const lawSchema = z.looseObject({
  format: z.literal(LAW_FORMAT),
  approach: z.enum(APPROACHES),
  /** Whether params include the embedding tables. */
  counting: z.enum(["all", "without_embeddings"]),
  /** The parametric form; null for the other approaches. */
  ...{ A: positive.nullable(), B: positive.nullable(), E: z.number().min(0).nullable() },
  ...{ alpha: positive.nullable(), beta: positive.nullable() },
  /** Kaplan's form L = ((Nc/N)^(αN/αD) + Dc/D)^αD. */
  kaplan: z.object({ Nc: positive, Dc: positive, alpha_N: positive, alpha_D: positive }).nullable().default(null),
  /** Optimal params and tokens over FLOPs. */
  frontier: z.object({ params: powerLaw, tokens: powerLaw }),
  /** Loss on the frontier: floor + coefficient · C^exponent; null if the form gives it. */
  frontier_loss: z
    .object({ floor: z.number().min(0), coefficient: positive, exponent: z.number() })
    .nullable()
    .default(null),
  /** Bootstrap draws, of which each is a law of its own: A, B, E, α, β. */
  draws: z.array(z.tuple([positive, positive, z.number().min(0), z.number(), z.number()])).default([]),
  /** Draws of Kaplan's form: Nc, Dc, αN, αD. */
  kaplan_draws: z.array(z.tuple([positive, positive, positive, positive])).default([]),
  /** Draws of a frontier alone: coefficient and exponent of params; floor, coefficient and exponent of loss. */
  frontier_draws: z.array(z.tuple([positive, z.number(), z.number().min(0), positive, z.number()])).default([]),
  /** Residuals log L − log L(N, D) of the fitted runs. */
  residuals: z.array(z.number()).default([]),
  /** The data: smallest and largest value of the fitted runs. */
  range: z.object({ params: range, tokens: range, flops: range, loss: range }),
  /** Bits per byte per nat per token on the held-out text, for the tokenizer of the runs. */
  bits_per_byte_per_nat: positive.nullable().default(null),
  /** Best peak learning rate, and best tokens per step, over FLOPs. */
  learning_rate: powerLaw.nullable().default(null),
  batch: powerLaw.nullable().default(null),
  /** Accuracy of a task from loss: floor + (top − floor) / (1 + exp(slope · (loss − midpoint))). */
  downstream: z
    .looseObject({ floor: z.number(), top: z.number(), slope: positive, midpoint: z.number() })
    .nullable()
    .default(null),
  /** The same fit over params without embeddings. */
  without_embeddings: constantsSchema.nullable().default(null),
});

/** A law of `law.json`. */
export type ScalingLaw = z.output<typeof lawSchema>;
export type ParametricLaw = z.output<typeof constantsSchema>;

/** Reads a law. @throws QuernError (exit code 2) if the file is missing or no law */
export async function readLaw(path: string): Promise<ScalingLaw> {
  const json = await readJsonFile(path, { exitCode: 2 });
  const parsed = lawSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [{ path: key, message }] = parsed.error.issues;
  const where = key.length === 0 ? "" : `: ${key.join(".")}: ${message}`;
  throw new QuernError(`${path} is no scaling law${where}; make one with quern scale fit RUNS --out DIR`, {
    exitCode: 2,
  });
}

/** Returns the constants of the parametric form; null for other forms. */
export function parametricOf({ A, B, E, alpha, beta }: ScalingLaw): ParametricLaw | null {
  if (A === null || B === null || E === null || alpha === null || beta === null) return null;
  return { A, B, E, alpha, beta };
}

/** The frontier of the parametric form: N = G·(C/6)^a, D = (C/6)^b / G with G = (αA/βB)^(1/(α+β)) (Hoffmann et al., eq. 4). */
export function parametricFrontier({ A, B, alpha, beta }: Omit<ParametricLaw, "E">): ScalingLaw["frontier"] {
  const G = Math.exp((Math.log(alpha * A) - Math.log(beta * B)) / (alpha + beta));
  const [a, b] = [beta / (alpha + beta), alpha / (alpha + beta)];
  return {
    params: { coefficient: G * 6 ** -a, exponent: a },
    tokens: { coefficient: 6 ** -b / G, exponent: b },
  };
}

export const powerAt = ({ coefficient, exponent }: PowerLaw, flops: number): number => coefficient * flops ** exponent;

/** L(N, D) of the parametric form, in nats per token. */
export const parametricLoss = ({ A, B, E, alpha, beta }: ParametricLaw, params: number, tokens: number): number =>
  E + A * params ** -alpha + B * tokens ** -beta;

/** L(N, D) of Kaplan's form (arXiv:2001.08361, equation 1.5). */
export function kaplanLoss(
  { Nc, Dc, alpha_N, alpha_D }: NonNullable<ScalingLaw["kaplan"]>,
  params: number,
  tokens: number,
): number {
  return ((Nc / params) ** (alpha_N / alpha_D) + Dc / tokens) ** alpha_D;
}

/** Returns the optimal params and tokens for C FLOPs. */
export function optimumOf({ frontier }: Pick<ScalingLaw, "frontier">, flops: number) {
  return { params: powerAt(frontier.params, flops), tokens: powerAt(frontier.tokens, flops) };
}

/** Returns the FLOPs for which N params are optimal: the inverse of the frontier. */
export function flopsForParams({ frontier: { params: law } }: Pick<ScalingLaw, "frontier">, params: number): number {
  return (params / law.coefficient) ** (1 / law.exponent);
}

/** Returns the FLOPs for which D tokens are optimal. */
export function flopsForLawTokens({ frontier: { tokens: law } }: Pick<ScalingLaw, "frontier">, tokens: number): number {
  return (tokens / law.coefficient) ** (1 / law.exponent);
}

/**
 * Returns the loss of a run; null if the law describes only the frontier and the run is not on it (more than 5 % in params).
 */
export function lossOf(law: ScalingLaw, params: number, tokens: number): number | null {
  const form = parametricOf(law);
  if (form !== null) return parametricLoss(form, params, tokens);
  if (law.kaplan !== null) return kaplanLoss(law.kaplan, params, tokens);
  const flops = 6 * params * tokens;
  if (law.frontier_loss === null || Math.abs(Math.log(params / optimumOf(law, flops).params)) > 0.05) return null;
  const { floor, coefficient, exponent } = law.frontier_loss;
  return floor + coefficient * flops ** exponent;
}
