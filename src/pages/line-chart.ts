/** @file Draws a line chart as one SVG figure with a table of its numbers, so that pages need no chart library. */
import { escapeHtml } from "./html.js";
import { plainNumber } from "./numbers.js";
import { numbersBehind } from "./table.js";

export type Point = readonly [x: number, y: number];

export interface Series {
  readonly label: string;
  /** The colour, one of the report's: `a`, `b`, `c` or `d`. */
  readonly color: "a" | "b" | "c" | "d";
  /** Sorted by x. */
  readonly points: readonly Point[];
  /** Whether to draw the values faintly, with a smoothed line over them. */
  readonly smooth?: boolean;
  /** Whether to mark each point, for series of few points. */
  readonly marks?: boolean;
}

export interface ChartOptions {
  readonly title: string;
  readonly series: readonly Series[];
  readonly xLabel: string;
  /** Formats a value for the read-out under the pointer. */
  readonly format?: (value: number) => string;
  /** Whether the y axis begins at 0. */
  readonly fromZero?: boolean;
  /** Units of the view box. */
  readonly width?: number;
  readonly height?: number;
}

/** Longer series are averaged in groups: a screen shows no more points, and the file stays small. */
const MOST_POINTS = 600;

const MARGIN = { top: 12, right: 20, bottom: 38, left: 46 };

/** Returns the figure: title, legend, grid, lines. The attribute `data-chart` contains the data for the read-out. */
export function renderChart(options: ChartOptions): string {
  const { title, xLabel, width = 380, height = 230, fromZero = false, format = plainNumber } = options;
  const series = options.series
    .map((each) => ({ ...each, points: each.points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y)) }))
    .filter(({ points }) => points.length > 0);
  if (series.length === 0) return "";
  const drawn = series.map((each) => {
    const raw = thin(each.points);
    return { ...each, raw, line: each.smooth ? thin(smoothed(each.points)) : raw };
  });
  const all = drawn.flatMap(({ raw, line }) => [...raw, ...line]);
  const [xLow, xHigh] = widened(extent(series.flatMap(({ points }) => points.map(([x]) => x))));
  const ys = extent(all.map(([, y]) => y));
  const yTicks = ticks(fromZero ? Math.min(0, ys[0]) : ys[0], ys[1], 5);
  const xTicks = ticks(xLow, xHigh, 4).filter((tick) => tick >= xLow && tick <= xHigh);
  const yLow = Math.min(yTicks[0], ys[0]);
  const yHigh = Math.max(yTicks.at(-1) as number, ys[1]);
  const plotWidth = width - MARGIN.left - MARGIN.right;
  const plotHeight = height - MARGIN.top - MARGIN.bottom;
  const x = (value: number) => MARGIN.left + ((value - xLow) / (xHigh - xLow)) * plotWidth;
  const y = (value: number) => MARGIN.top + (1 - (value - yLow) / (yHigh - yLow)) * plotHeight;
  const path = (points: readonly Point[]) =>
    points.map(([px, py], index) => `${index === 0 ? "M" : "L"}${x(px).toFixed(1)} ${y(py).toFixed(1)}`).join("");

  const grid = yTicks.map(
    (tick) =>
      `<line class="grid" x1="${MARGIN.left}" x2="${width - MARGIN.right}" y1="${y(tick).toFixed(1)}" y2="${y(tick).toFixed(1)}"/>` +
      `<text class="tick" text-anchor="end" x="${MARGIN.left - 8}" y="${(y(tick) + 4).toFixed(1)}">${escapeHtml(plainNumber(tick))}</text>`,
  );
  const bottom = height - MARGIN.bottom;
  const xAxis = xTicks.map(
    (tick) =>
      `<text class="tick" text-anchor="middle" x="${x(tick).toFixed(1)}" y="${bottom + 18}">${escapeHtml(plainNumber(tick))}</text>`,
  );
  const lines = drawn.map(({ raw, line, color, smooth, marks }) =>
    [
      smooth ? `<path class="line faint ${color}" d="${path(raw)}"/>` : "",
      `<path class="line ${color}" d="${path(line)}"/>`,
      ...(marks
        ? raw.map(
            ([px, py]) => `<circle class="mark ${color}" r="3" cx="${x(px).toFixed(1)}" cy="${y(py).toFixed(1)}"/>`,
          )
        : []),
    ].join(""),
  );
  const legend =
    series.length === 1
      ? ""
      : series.map(({ label, color }) => `<span class="key ${color}">${escapeHtml(label)}</span>`).join("");
  const data = {
    x: { low: xLow, high: xHigh, left: MARGIN.left, width: plotWidth, label: xLabel },
    box: { width, height, top: MARGIN.top, bottom },
    series: drawn.map(({ label, line }) => ({
      label,
      points: line.map(([px, py]) => [px, format(py)]),
      at: line.map(([, py]) => Number(y(py).toFixed(1))),
    })),
  };
  return `<figure class="chart" data-chart="${escapeHtml(JSON.stringify(data))}">
<figcaption><b>${escapeHtml(title)}</b>${legend}</figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">
${grid.join("")}
<line class="axis" x1="${MARGIN.left}" x2="${width - MARGIN.right}" y1="${bottom}" y2="${bottom}"/>
${xAxis.join("")}
<text class="label" text-anchor="middle" x="${MARGIN.left + plotWidth / 2}" y="${height - 4}">${escapeHtml(xLabel)}</text>
${lines.join("\n")}
<line class="pointer" y1="${MARGIN.top}" y2="${bottom}" x1="-10" x2="-10"/>
</svg><output></output>
${numbersBehind({ label: title, ...numbersOf(drawn, xLabel, format) })}
</figure>`;
}

/** Rows of a chart's table: enough to read a trend, few enough to print. */
const TABLE_ROWS = 24;

function numbersOf(
  series: readonly { readonly label: string; readonly line: readonly Point[] }[],
  xLabel: string,
  format: (value: number) => string,
) {
  const xs = [...new Set(series.flatMap(({ line }) => line.map(([x]) => x)))].sort((a, b) => a - b);
  const stride = Math.max(1, Math.ceil(xs.length / TABLE_ROWS));
  // Short series keep all their points.
  const few = series.filter(({ line }) => line.length <= TABLE_ROWS).flatMap(({ line }) => line.map(([x]) => x));
  const shown = [...new Set([...xs.filter((_, i) => i % stride === 0), ...xs.slice(-1), ...few])].sort((a, b) => a - b);
  const values = series.map(({ line }) => new Map(line));
  return {
    columns: [{ name: xLabel }, ...series.map(({ label }) => ({ name: label }))],
    rows: shown.map((x) => [
      plainNumber(x),
      ...values.map((known) => (known.has(x) ? format(known.get(x) as number) : "")),
    ]),
  };
}

/** Script for the read-out under the pointer; once per page. */
export const CHART_SCRIPT = `for (const figure of document.querySelectorAll(".chart")) {
  const { x, box, series } = JSON.parse(figure.dataset.chart);
  const svg = figure.querySelector("svg"), line = figure.querySelector(".pointer"), out = figure.querySelector("output");
  const hide = () => { out.style.opacity = 0; line.setAttribute("x1", -10); line.setAttribute("x2", -10); };
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("pointermove", (event) => {
    const frame = svg.getBoundingClientRect(), scale = box.width / frame.width;
    const at = (event.clientX - frame.left) * scale;
    const wanted = x.low + ((at - x.left) / x.width) * (x.high - x.low);
    const rows = series.map(({ label, points }) => {
      let best = points[0];
      for (const point of points) if (Math.abs(point[0] - wanted) < Math.abs(best[0] - wanted)) best = point;
      return { label, point: best };
    });
    const place = rows.reduce((a, b) => Math.abs(b.point[0] - wanted) < Math.abs(a.point[0] - wanted) ? b : a).point[0];
    const px = x.left + ((place - x.low) / (x.high - x.low)) * x.width;
    line.setAttribute("x1", px); line.setAttribute("x2", px);
    out.textContent = [x.label + " " + Math.round(place), ...rows.map((row) => row.label + " " + row.point[1])].join("   ");
    out.style.opacity = 1;
  });
}`;

/** Averages consecutive points so that at most `MOST_POINTS` remain. */
function thin(points: readonly Point[]): Point[] {
  if (points.length <= MOST_POINTS) return [...points];
  const size = points.length / MOST_POINTS;
  return Array.from({ length: MOST_POINTS }, (_, index) => {
    const group = points.slice(Math.floor(index * size), Math.floor((index + 1) * size));
    return [mean(group.map(([x]) => x)), mean(group.map(([, y]) => y))];
  });
}

/** Exponential moving average over about a fiftieth of the points, with bias correction as in Adam. */
function smoothed(points: readonly Point[]): Point[] {
  const decay = Math.exp(-1 / Math.max(1, points.length / 50));
  let sum = 0;
  let weight = 0;
  return points.map(([x, y]) => {
    sum = decay * sum + (1 - decay) * y;
    weight = decay * weight + (1 - decay);
    return [x, sum / weight];
  });
}

/** Returns about `count` round values (1, 2 or 5 times a power of ten) that cover `low` … `high`. */
export function ticks(low: number, high: number, count: number): number[] {
  const span = high > low ? high - low : Math.abs(high) || 1;
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil((high > low ? high : low + span) / step - 1e-9);
  // Multiplying avoids the rounding errors of summing, such as 0.30000000000000004.
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

function extent(values: readonly number[]): [number, number] {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ] as [number, number]);
}

function widened([low, high]: [number, number]): [number, number] {
  return high > low ? [low, high] : [low - 1, high + 1];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
