/** @file Draws points, lines and bands over a logarithmic x axis as one SVG figure with a table of its numbers. */
import { escapeHtml } from "./html.js";
import { type Point, ticks } from "./line-chart.js";
import { plainNumber } from "./numbers.js";
import { numbersBehind } from "./table.js";

export interface LogSeries {
  readonly label: string;
  readonly color: "a" | "b" | "c" | "d";
  /** `cross` marks points that stand for something else than the dots, such as minima. */
  readonly kind: "points" | "line" | "cross";
  readonly points: readonly Point[];
  /** Text at the last point. */
  readonly note?: string;
  /** Whether the legend leaves it out, for one of several alike. */
  readonly unnamed?: boolean;
}

export interface LogBand {
  readonly label: string;
  readonly color: LogSeries["color"];
  readonly points: readonly (readonly [x: number, low: number, high: number])[];
}

export interface LogChartOptions {
  readonly title: string;
  readonly series: readonly LogSeries[];
  readonly bands?: readonly LogBand[];
  readonly xLabel: string;
  readonly yLabel: string;
  /** Whether the y axis is logarithmic too. */
  readonly logY?: boolean;
  /** x from which on a line is no longer backed by data; the rest of the plot is shaded. */
  readonly extrapolatedFrom?: number;
  /** Whether to draw y = 0, for residuals. */
  readonly zeroLine?: boolean;
}

const [WIDTH, HEIGHT] = [460, 300];
const MARGIN = { top: 12, right: 54, bottom: 38, left: 58 };

/** `2e18`, `450k`, `0.3`. */
export const shortNumber = (value: number): string =>
  Math.abs(value) >= 1e7 ? value.toExponential(1).replace("e+", "e").replace(".0e", "e") : plainNumber(value);

/** Returns the figure; empty without points. Values that an axis cannot show are left out. */
export function renderLogChart(options: LogChartOptions): string {
  const { title, xLabel, yLabel, logY = false, extrapolatedFrom, zeroLine = false } = options;
  const shows = (x: number, y: number) => Number.isFinite(x) && Number.isFinite(y) && x > 0 && (!logY || y > 0);
  const series = options.series
    .map((each) => ({ ...each, points: each.points.filter(([x, y]) => shows(x, y)) }))
    .filter(({ points }) => points.length > 0);
  const bands = (options.bands ?? []).map((band) => ({
    ...band,
    points: band.points.filter(([x, low, high]) => shows(x, low) && shows(x, high)),
  }));
  if (series.length === 0) return "";
  const xs = series.flatMap(({ points }) => points.map(([x]) => Math.log10(x)));
  const scaleY = (value: number) => (logY ? Math.log10(value) : value);
  const ys = [
    ...series.flatMap(({ points }) => points.map(([, y]) => scaleY(y))),
    ...bands.flatMap(({ points }) => points.flatMap(([, low, high]) => [scaleY(low), scaleY(high)])),
    ...(zeroLine && !logY ? [0] : []),
  ];
  const [xLow, xHigh] = widened(xs);
  const [yLow, yHigh] = widened(ys);
  const bottom = HEIGHT - MARGIN.bottom;
  const right = WIDTH - MARGIN.right;
  const x = (value: number) =>
    (MARGIN.left + ((Math.log10(value) - xLow) / (xHigh - xLow)) * (right - MARGIN.left)).toFixed(1);
  const atY = (scaled: number) =>
    (MARGIN.top + (1 - (scaled - yLow) / (yHigh - yLow)) * (bottom - MARGIN.top)).toFixed(1);
  const y = (value: number) => atY(scaleY(value));
  const yTicks = logY
    ? logTicks(yLow, yHigh).map((value) => ({ at: Math.log10(value), text: shortNumber(value) }))
    : ticks(yLow, yHigh, 5)
        .filter((value) => value >= yLow && value <= yHigh)
        .map((value) => ({ at: value, text: plainNumber(value) }));
  const grid = yTicks.map(
    ({ at, text }) =>
      `<line class="grid" x1="${MARGIN.left}" x2="${right}" y1="${atY(at)}" y2="${atY(at)}"/>` +
      `<text class="tick" text-anchor="end" x="${MARGIN.left - 8}" y="${(Number(atY(at)) + 4).toFixed(1)}">${escapeHtml(text)}</text>`,
  );
  const axis = logTicks(xLow, xHigh).map(
    (value) =>
      `<text class="tick" text-anchor="middle" x="${x(value)}" y="${bottom + 18}">${escapeHtml(shortNumber(value))}</text>`,
  );
  const beyond =
    extrapolatedFrom === undefined || Math.log10(extrapolatedFrom) >= xHigh
      ? ""
      : `<rect class="beyond" x="${x(extrapolatedFrom)}" y="${MARGIN.top}" width="${(right - Number(x(extrapolatedFrom))).toFixed(1)}" height="${bottom - MARGIN.top}"/>` +
        `<text class="label" text-anchor="end" x="${right - 4}" y="${bottom - 6}">extrapolated</text>`;
  const path = (points: readonly Point[]) =>
    points.map(([px, py], i) => `${i === 0 ? "M" : "L"}${x(px)} ${y(py)}`).join("");
  const areas = bands.map(({ color, points }) => {
    const lows = points.map(([px, low]) => [px, low] as const);
    const highs = points.map(([px, , high]) => [px, high] as const).reverse();
    return points.length < 2 ? "" : `<path class="band ${color}" d="${path([...lows, ...highs])}Z"/>`;
  });
  const drawn = series.map(({ kind, color, points, note }) => {
    const [lastX, lastY] = points.at(-1) as Point;
    const label =
      note === undefined
        ? ""
        : `<text class="label" x="${(Number(x(lastX)) + 4).toFixed(1)}" y="${(Number(y(lastY)) + 4).toFixed(1)}">${escapeHtml(note)}</text>`;
    if (kind === "line") return `<path class="line ${color}" d="${path(points)}"/>${label}`;
    if (kind === "cross") {
      const arms = points.map(([px, py]) => `M${Number(x(px)) - 4} ${y(py)}h8M${x(px)} ${Number(y(py)) - 4}v8`);
      return `<path class="line ${color}" d="${arms.join("")}"/>${label}`;
    }
    const marks = points.map(([px, py]) => `<circle class="mark ${color}" r="2.4" cx="${x(px)}" cy="${y(py)}"/>`);
    return `${marks.join("")}${label}`;
  });
  const named = [...series.filter(({ unnamed }) => !unnamed), ...bands.filter(({ points }) => points.length > 1)];
  const legend = named.map(({ label, color }) => `<span class="key ${color}">${escapeHtml(label)}</span>`).join("");
  const zero =
    zeroLine && !logY ? `<line class="axis" x1="${MARGIN.left}" x2="${right}" y1="${atY(0)}" y2="${atY(0)}"/>` : "";
  return `<figure class="chart">
<figcaption><b>${escapeHtml(title)}</b>${legend}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(`${title}: ${yLabel} over ${xLabel}`)}">
${beyond}${grid.join("")}
<line class="axis" x1="${MARGIN.left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>${zero}
${axis.join("")}
<text class="label" text-anchor="middle" x="${(MARGIN.left + right) / 2}" y="${HEIGHT - 4}">${escapeHtml(xLabel)}</text>
<text class="label" text-anchor="middle" transform="translate(12 ${(MARGIN.top + bottom) / 2}) rotate(-90)">${escapeHtml(yLabel)}</text>
${areas.join("\n")}
${drawn.join("\n")}
</svg>
${numbersBehind({
  label: title,
  columns: [{ name: "series", kind: "text" }, { name: xLabel }, { name: yLabel }],
  rows: series.flatMap(({ label, points }) =>
    sampled(points).map(([px, py]) => [label, shortNumber(px), Number(py.toPrecision(5)).toString()]),
  ),
})}
</figure>`;
}

/** Rows of a series in the table. */
const TABLE_ROWS = 40;

function sampled(points: readonly Point[]): Point[] {
  const stride = Math.ceil(points.length / TABLE_ROWS);
  return points.filter((_, i) => i % stride === 0);
}

function widened(values: readonly number[]): [number, number] {
  const low = values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const room = high > low ? 0.04 * (high - low) : 0.5;
  return [low - room, high + room];
}

/** Powers of ten between two exponents; over less than two decades also 2 and 5 times them. */
function logTicks(low: number, high: number): number[] {
  const factors = high - low < 2 ? [1, 2, 5] : [1];
  const stride = Math.max(1, Math.ceil((high - low) / 6));
  const found: number[] = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power++) {
    if (power % stride !== 0) continue;
    for (const factor of factors) {
      const value = factor * 10 ** power;
      if (Math.log10(value) >= low && Math.log10(value) <= high) found.push(value);
    }
  }
  return found;
}
