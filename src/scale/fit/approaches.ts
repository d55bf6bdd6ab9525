/** @file Each approach as one result: constants, frontier, and what every bootstrap draw says. */
import { QuernError } from "../../errors.js";
import {
  kaplanLoss,
  type ParametricLaw,
  type PowerLaw,
  parametricFrontier,
  parametricLoss,
  powerAt,
  type ScalingLaw,
} from "../../train/index.js";
import type { ScalingRun } from "../run-table/run-table.js";
import { bootstrapEnvelope, type EnvelopeFit, fitEnvelope } from "./envelope.js";
import type { CheckedFitOptions } from "./fit-options.js";
import { bootstrapIsoFlop, budgetsOf, type FittedBudget, fitIsoFlop, type IsoFlopFit } from "./iso-flop.js";
import { fitKaplan, kaplanFrontier } from "./kaplan.js";
import type { LogPoints } from "./objective.js";
import { bootstrapParametric, type FitCalls, fitParametric, type ParametricFit, thetaOf } from "./parametric.js";
import { fitFloored, type Parabola } from "./power-law.js";
import {
  type ConstantsTest,
  drawnConstants,
  drawnCovariance,
  exponentsOf,
  hessianCovariance,
  hessianIntervals,
  type Interval,
  intervalOf,
  lawIntervals,
  residualsOf,
  testConstants,
} from "./uncertainty.js";

type Frontier = ScalingLaw["frontier"];
type FrontierLoss = NonNullable<ScalingLaw["frontier_loss"]>;

/** A law of one draw on the frontier. */
export interface DrawnFrontier {
  readonly frontier: Frontier;
  readonly lossAt: (flops: number) => number;
}

export interface FittedLaw {
  readonly constants: ParametricLaw | null;
  readonly kaplan: ScalingLaw["kaplan"];
  readonly objective: number | null;
  readonly frontier: Frontier;
  readonly frontierLoss: FrontierLoss | null;
  readonly lossAt: (flops: number) => number;
  /** By name; null without a bootstrap. */
  readonly intervals: Readonly<Record<string, Interval>> | null;
  readonly intervals80: Readonly<Record<string, Interval>> | null;
  readonly standardErrors: Readonly<Record<string, number>> | null;
  readonly hessianIntervals: Readonly<Record<string, Interval>> | null;
  readonly draws: readonly DrawnFrontier[];
  /** The draws as `law.json` keeps them. */
  readonly stored: Partial<Pick<ScalingLaw, "draws" | "kaplan_draws" | "frontier_draws">>;
  readonly residuals: readonly number[];
  readonly hoffmann: ConstantsTest | null;
  readonly budgets: readonly FittedBudget[];
  /** The parabolas of each budget over the draws. */
  readonly budgetDraws?: readonly (readonly Parabola[])[];
  readonly envelope: EnvelopeFit | null;
  readonly warnings: readonly string[];
}

/** The constants that Hoffmann et al. published (arXiv:2203.15556, equation 10). */
export const HOFFMANN: ParametricLaw = { A: 406.4, B: 410.7, E: 1.69, alpha: 0.34, beta: 0.28 };

/** Draws that `law.json` keeps. */
const STORED_DRAWS = 1000;

const thinned = <T>(draws: readonly T[]): readonly T[] =>
  draws.length <= STORED_DRAWS
    ? draws
    : Array.from({ length: STORED_DRAWS }, (_, i) => draws[Math.floor((i * draws.length) / STORED_DRAWS)]);

const NOTHING = {
  constants: null,
  kaplan: null,
  objective: null,
  frontierLoss: null,
  hessianIntervals: null,
  standardErrors: null,
  hoffmann: null,
  budgets: [],
  envelope: null,
  residuals: [],
} as const;

/** Percentile intervals of named values over draws; null without draws. */
function intervalsOf<D>(
  draws: readonly D[],
  values: Readonly<Record<string, (draw: D) => number>>,
  confidence: number,
): Readonly<Record<string, Interval>> | null {
  if (draws.length === 0) return null;
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, intervalOf(draws.map(value), confidence)]),
  );
}

const deviation = (values: readonly number[]): number => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1));
};

type FitRequest = Pick<CheckedFitOptions, "bootstrap" | "seed" | "threads"> &
  FitCalls & { readonly starts?: readonly Float64Array[] };

/** The parametric form. @throws QuernError for a negative exponent */
export async function parametricLaw(points: LogPoints, o: FitRequest): Promise<FittedLaw & { fit: ParametricFit }> {
  const fit = await fitParametric(points, o);
  const { theta, A, B, E, alpha, beta } = fit;
  for (const [name, exponent, what] of [
    ["alpha", alpha, "params"],
    ["beta", beta, "tokens"],
  ] as const) {
    if (exponent > 0) continue;
    throw new QuernError(
      `the fitted ${name} is ${exponent.toPrecision(3)}, but a loss must fall as ${what} grow; check that the columns are right, ` +
        `or add runs of more ${what === "params" ? "sizes" : "token counts"} trained at their best learning rate`,
    );
  }
  const constants = { A, B, E, alpha, beta };
  const thetas =
    o.bootstrap === 0 ? new Float64Array() : await bootstrapParametric(points, theta, { ...o, draws: o.bootstrap });
  const drawn = drawnConstants(thetas);
  const isWhole = ({ A, B, alpha, beta }: ParametricLaw) =>
    Number.isFinite(A) && Number.isFinite(B) && A > 0 && B > 0 && alpha + beta !== 0;
  const usable = drawn.filter(isWhole);
  const covariance = hessianCovariance(points, theta);
  const used = drawn.length > 0 ? drawnCovariance(thetas) : covariance;
  return {
    ...NOTHING,
    ...{ fit, constants, objective: fit.objective, residuals: [...residualsOf(points, theta)] },
    frontier: parametricFrontier(constants),
    lossAt: (flops) => onFrontier(constants, flops),
    intervals: drawn.length === 0 ? null : lawIntervals(drawn, 0.95),
    intervals80: drawn.length === 0 ? null : lawIntervals(drawn, 0.8),
    standardErrors:
      drawn.length === 0
        ? null
        : {
            ...Object.fromEntries(
              (["A", "B", "E", "alpha", "beta"] as const).map((key) => [key, deviation(drawn.map((d) => d[key]))]),
            ),
            a: deviation(drawn.map((draw) => exponentsOf(draw).a)),
          },
    hessianIntervals: o.bootstrap === 0 || covariance === null ? null : hessianIntervals(theta, covariance),
    draws: usable.map((draw) => ({ frontier: parametricFrontier(draw), lossAt: (flops) => onFrontier(draw, flops) })),
    stored: { draws: thinned(usable).map(({ A, B, E, alpha, beta }) => [A, B, E, alpha, beta] as const) as never },
    hoffmann: used === null ? null : testConstants(theta, used, thetaOf(HOFFMANN)),
    warnings: parametricWarnings(points, fit, covariance, drawn),
  };
}

function onFrontier(law: ParametricLaw, flops: number): number {
  const { params, tokens } = parametricFrontier(law);
  return parametricLoss(law, powerAt(params, flops), powerAt(tokens, flops));
}

/** Says in which way the data do not determine the constants. */
function parametricWarnings(
  { logN, logD, logL }: LogPoints,
  { E, alpha, beta, rivals }: ParametricFit,
  covariance: Float64Array | null,
  draws: readonly ParametricLaw[],
): string[] {
  const warnings: string[] = [];
  const different = (values: Float64Array) => new Set(values.map((value) => Math.round(value * 50))).size;
  const undetermined = (why: string, how: string) => warnings.push(`the data do not determine the fit: ${why}; ${how}`);
  if (different(logN) < 3) undetermined(`only ${different(logN)} different sizes`, "add runs of other params");
  if (different(logD) < 3) undetermined(`only ${different(logD)} different token counts`, "add runs of other tokens");
  const correlation = Math.abs(correlationOf(logN, logD));
  if (correlation > 0.97) {
    undetermined(
      `params and tokens grow together (correlation ${correlation.toFixed(3)}), so A and B cannot be told apart`,
      "add runs with few and with many tokens per parameter",
    );
  }
  if (covariance === null) {
    undetermined("its Hessian is singular", "add runs over a wider range of params and tokens");
  }
  if (E < 0.02 * Math.exp(Math.min(...logL))) {
    undetermined(`E is ${E.toPrecision(2)}, at its lower end`, "add larger runs, whose loss is closer to E");
  }
  if (rivals.length > 0) {
    undetermined(`${rivals.length} other minima fit within 1 %`, "add runs over a wider range of params and tokens");
  }
  if (draws.length > 0) {
    for (const [name, value] of [
      ["alpha", alpha],
      ["beta", beta],
    ] as const) {
      const [low, high] = intervalOf(
        draws.map((draw) => draw[name]),
        0.95,
      );
      if (low <= 0 || high - low > value) {
        const what = name === "alpha" ? "params" : "tokens";
        undetermined(
          `${name} lies anywhere from ${low.toPrecision(2)} to ${high.toPrecision(2)}`,
          `add runs over a wider range of ${what}`,
        );
      }
    }
  }
  return warnings;
}

function correlationOf(x: Float64Array, y: Float64Array): number {
  const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(x), mean(y)];
  let [xx, yy, xy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    xx += (x[i] - mx) ** 2;
    yy += (y[i] - my) ** 2;
    xy += (x[i] - mx) * (y[i] - my);
  }
  return xy / Math.sqrt(xx * yy) || 0;
}

const laws = ({ params, tokens }: { readonly params: PowerLaw; readonly tokens: PowerLaw }): Frontier => ({
  params: { coefficient: params.coefficient, exponent: params.exponent },
  tokens: { coefficient: tokens.coefficient, exponent: tokens.exponent },
});
const flooredAt = ({ floor, coefficient, exponent }: FrontierLoss, flops: number) =>
  floor + coefficient * flops ** exponent;

/** Exponents of params and tokens over compute, by the names of Hoffmann et al. */
const EXPONENTS = {
  a: ({ frontier }: DrawnFrontier) => frontier.params.exponent,
  b: ({ frontier }: DrawnFrontier) => frontier.tokens.exponent,
};

function frontierLaw(
  frontier: Frontier,
  loss: FrontierLoss,
  all: readonly { readonly frontier: Frontier; readonly loss: FrontierLoss }[],
): Omit<FittedLaw, "warnings"> {
  const drawn = all.filter(({ frontier: { params }, loss }) => {
    return [params.coefficient, loss.coefficient].every((value) => value > 0 && Number.isFinite(value));
  });
  const draws = drawn.map((draw) => ({
    frontier: draw.frontier,
    lossAt: (flops: number) => flooredAt(draw.loss, flops),
  }));
  return {
    ...NOTHING,
    ...{ frontier, frontierLoss: loss, draws },
    lossAt: (flops) => flooredAt(loss, flops),
    intervals: intervalsOf(draws, EXPONENTS, 0.95),
    intervals80: intervalsOf(draws, EXPONENTS, 0.8),
    stored: {
      frontier_draws: thinned(drawn).map(
        ({ frontier: { params }, loss }) =>
          [params.coefficient, params.exponent, loss.floor, loss.coefficient, loss.exponent] as const,
      ) as never,
    },
  };
}

/** Parabolas per budget. @throws QuernError with fewer than two budgets that have a minimum */
export function isoFlopLaw(runs: readonly ScalingRun[], o: FitRequest): FittedLaw {
  const budgets = budgetsOf(runs);
  const fit = fitIsoFlop(budgets);
  if (fit === null) {
    throw new QuernError(
      `only ${budgets.filter(({ runs: group }) => group.length >= 3).length} of ${budgets.length} budgets have three sizes around a minimum; isoflop needs two such budgets: ` +
        "train at least three sizes with the same flops, or use --approach parametric",
    );
  }
  const lossOf = ({ budgets: fitted }: IsoFlopFit): FrontierLoss =>
    fitFloored(fitted.map(({ flops, parabola }) => [flops, parabola.lowest] as const));
  const drawn = bootstrapIsoFlop(fit, o.bootstrap, o.seed);
  const warnings = [
    ...(fit.skipped.length === 0
      ? []
      : [
          `${fit.skipped.length} budgets have no parabola (fewer than three sizes, or no minimum): ${fit.skipped
            .slice(0, 5)
            .map(({ flops }) => flops.toExponential(1))
            .join(", ")}${fit.skipped.length > 5 ? " …" : ""}`,
        ]),
    ...fit.budgets
      .filter(({ isOutside }) => isOutside)
      .map(
        ({ flops, parabola }) =>
          `the data do not determine the optimum at ${flops.toExponential(2)} FLOPs: its ${Math.exp(parabola.vertex).toExponential(2)} params lie outside of the sizes trained; add sizes there`,
      ),
    ...(fit.budgets.length === 2
      ? ["the data do not determine the fit: two budgets give a line but no error; add a third"]
      : []),
  ];
  return {
    ...frontierLaw(
      laws(fit),
      lossOf(fit),
      drawn.map((draw) => ({ frontier: laws(draw), loss: lossOf(draw) })),
    ),
    budgets: fit.budgets,
    budgetDraws: fit.budgets.map((_, i) => drawn.map((draw) => draw.budgets[i].parabola)),
    warnings,
  };
}

/** The lower envelope. @throws QuernError if fewer than two sizes are best anywhere */
export function envelopeLaw(runs: readonly ScalingRun[], o: FitRequest): FittedLaw {
  const fit = fitEnvelope(runs);
  if (fit === null) {
    throw new QuernError(
      "fewer than two sizes are best at any FLOPs, so there is no envelope; train several sizes with several token counts each",
    );
  }
  const drawn = bootstrapEnvelope(runs, o.bootstrap, o.seed);
  return {
    ...frontierLaw(
      laws(fit),
      fit.loss,
      drawn.map((draw) => ({ frontier: laws(draw), loss: draw.loss })),
    ),
    envelope: fit,
    warnings:
      fit.sizes < 4
        ? [`the data do not determine the fit: only ${fit.sizes} sizes are best anywhere; add sizes and token counts`]
        : [],
  };
}

/** Kaplan's form. */
export function kaplanLaw(points: LogPoints, o: FitRequest): FittedLaw {
  const { fit, drawn } = fitKaplan(points, { draws: o.bootstrap, seed: o.seed });
  const { objective, ...kaplan } = fit;
  const lossAt = (law: NonNullable<ScalingLaw["kaplan"]>, flops: number) => {
    const { params, tokens } = kaplanFrontier(law);
    return kaplanLoss(law, powerAt(params, flops), powerAt(tokens, flops));
  };
  const names = {
    ...{ Nc: (d: typeof kaplan) => d.Nc, Dc: (d: typeof kaplan) => d.Dc },
    ...{ alpha_N: (d: typeof kaplan) => d.alpha_N, alpha_D: (d: typeof kaplan) => d.alpha_D },
    a: (d: typeof kaplan) => kaplanFrontier(d).params.exponent,
    b: (d: typeof kaplan) => kaplanFrontier(d).tokens.exponent,
  };
  const usable = drawn.filter((draw) => Object.values(draw).every((value) => Number.isFinite(value) && value > 0));
  return {
    ...NOTHING,
    ...{ kaplan, objective, frontier: kaplanFrontier(kaplan), lossAt: (flops) => lossAt(kaplan, flops) },
    intervals: intervalsOf(drawn, names, 0.95),
    intervals80: intervalsOf(drawn, names, 0.8),
    draws: usable.map((draw) => ({ frontier: kaplanFrontier(draw), lossAt: (flops) => lossAt(draw, flops) })),
    stored: { kaplan_draws: thinned(usable).map((d) => [d.Nc, d.Dc, d.alpha_N, d.alpha_D] as const) as never },
    residuals: [...points.logL].map(
      (l, i) => l - Math.log(kaplanLoss(kaplan, Math.exp(points.logN[i]), Math.exp(points.logD[i]))),
    ),
    warnings: ["Kaplan's form has no irreducible loss; its losses are too low far beyond the data"],
  };
}
