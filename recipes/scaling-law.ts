/** @file What a law says about the runs of a sweep: the dial's size beside it, repeated text, and the picture of docs/scaling.md. */
import { countParameters } from "../src/model/index.js";
import { type LogSeries, renderLogChart, shortNumber } from "../src/pages/index.js";
import type { PredictionCheck, RunRow } from "../src/scale/index.js";
import { chooseSizes, parametricLoss, parametricOf, pretrainOptions, type ScalingLaw } from "../src/train/index.js";

/** Params that the dial's built-in constants choose for a budget. */
export function dialSize(flops: number, vocabSize: number): number {
  const options = pretrainOptions.parse({ out: "run", vocabSize });
  return countParameters(chooseSizes(options, flops, Number.POSITIVE_INFINITY, { vocabSize }).model);
}

interface Measured {
  readonly params: number;
  readonly tokens: number;
  readonly flops: number;
  readonly loss: number;
  readonly epochs: number;
}

const measuredOf = (runs: readonly RunRow[]): Measured[] =>
  runs.flatMap(({ params, tokens, flops, loss, status = "finished", unique_tokens: unique }) =>
    status === "finished" && typeof loss === "number"
      ? [
          {
            ...{ params: Number(params), tokens: Number(tokens), flops: Number(flops), loss },
            epochs: Number(tokens) / Number(unique),
          },
        ]
      : [],
  );

const EPOCHS = [0, 1, 2, 4, Number.POSITIVE_INFINITY] as const;

/** The mean of loss / law − 1 over the runs of a range of epochs. */
export function lossByEpochs(law: ScalingLaw, runs: readonly RunRow[]) {
  const form = parametricOf(law);
  if (form === null) return [];
  return EPOCHS.slice(1).flatMap((to, i) => {
    const own = measuredOf(runs).filter(({ epochs }) => epochs > EPOCHS[i] && epochs <= to);
    if (own.length === 0) return [];
    const excess = own.map(({ params, tokens, loss }) => loss / parametricLoss(form, params, tokens) - 1);
    return [
      { from: EPOCHS[i], to, runs: own.length, excess: excess.reduce((sum, each) => sum + each, 0) / own.length },
    ];
  });
}

/** Budgets within this factor are drawn together. */
const NEAR = 1.3;
const COLORS = ["a", "b", "c", "d"] as const;

/** A picture that needs no page: losses over size for each budget, the law's curves, and the predicted runs as crosses. */
export function lawPicture(law: ScalingLaw, runs: readonly RunRow[], checked: readonly PredictionCheck[]): string {
  const form = parametricOf(law);
  if (form === null) throw new Error("the picture needs a parametric law");
  const measured = measuredOf(runs);
  const budgets: number[] = [];
  for (const { flops } of measured.toSorted((a, b) => a.flops - b.flops)) {
    if (!budgets.some((each) => Math.abs(Math.log(each / flops)) < Math.log(NEAR))) budgets.push(flops);
  }
  const near = (flops: number) => measured.filter((run) => Math.abs(Math.log(run.flops / flops)) < Math.log(NEAR));
  const curve = (flops: number, sizes: readonly number[], color: LogSeries["color"]): LogSeries => {
    const [low, high] = [Math.min(...sizes) / 1.4, Math.max(...sizes) * 1.4];
    return {
      ...{ label: `${shortNumber(flops)} FLOPs`, color, kind: "line", note: shortNumber(flops), unnamed: true },
      points: Array.from({ length: 31 }, (_, i) => {
        const params = low * (high / low) ** (i / 30);
        return [params, parametricLoss(form, params, flops / (6 * params))] as const;
      }),
    };
  };
  // C = 6 · N · D in the curves, as in the law; the runs' own FLOPs also count attention.
  const lawFlops = (own: readonly Pick<Measured, "params" | "tokens">[]) =>
    Math.exp(own.reduce((sum, { params, tokens }) => sum + Math.log(6 * params * tokens), 0) / own.length);
  const series = budgets.flatMap((budget, i): LogSeries[] => {
    const own = near(budget);
    const color = COLORS[i % COLORS.length];
    return [
      {
        label: "runs",
        color,
        kind: "points",
        points: own.map((run) => [run.params, run.loss] as const),
        unnamed: true,
      },
      curve(
        lawFlops(own),
        own.map(({ params }) => params),
        color,
      ),
    ];
  });
  const ahead = checked.flatMap((run): LogSeries[] => [
    { label: "predicted runs", color: "d", kind: "cross", points: [[run.params, run.loss]], unnamed: true },
    curve(6 * run.params * run.tokens, [run.params / 1.5, run.params * 1.5], "d"),
  ]);
  const figure = renderLogChart({
    ...{ title: "A law of our own", xLabel: "params", yLabel: "held-out loss, nats per token" },
    series: [...series, ...ahead],
  });
  const svg = /<svg[\s\S]*<\/svg>/.exec(figure)?.[0] ?? "";
  return svg
    .replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" width="690" height="450" ')
    .replace(">", `>${STYLE}`);
}

const STYLE =
  "<style>svg{background:#fff}text{font:11px system-ui,sans-serif;fill:#444}.grid{stroke:#e4e4e4}.axis{stroke:#888}" +
  ".line{fill:none;stroke-width:1.4}.line.a{stroke:#2563eb}.line.b{stroke:#d97706}.line.c{stroke:#059669}.line.d{stroke:#c026d3}" +
  ".mark.a{fill:#2563eb}.mark.b{fill:#d97706}.mark.c{fill:#059669}.mark.d{fill:#c026d3}</style>";
