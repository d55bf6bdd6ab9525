/** @file Progress on standard error: one live line on a terminal, occasional plain lines elsewhere. */
import { escapeControls } from "../printable.js";
import type { OnProgress, Progress } from "../progress.js";

export interface ProgressLine {
  readonly onProgress: OnProgress;
  /** Clears the live line so that another line can be printed; the next report draws it again. */
  clear(): void;
}

export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Shortest interval between two redraws of a terminal, in milliseconds. */
const REDRAW = 100;
/** Time before the first line of a log, and interval of further lines, in milliseconds. */
const LOG_FIRST = 2_000;
const LOG_EVERY = 10_000;
/** The rate is averaged over about this many milliseconds. */
const RATE_WINDOW = 5_000;

/** Returns a progress line that writes to `stream`; `now` returns milliseconds. */
export function createProgressLine(stream: ProgressStream, now: () => number = () => performance.now()): ProgressLine {
  let task: string | undefined;
  let drawnAt = Number.NEGATIVE_INFINITY;
  let drawn = false;
  let samples: { readonly time: number; readonly done: number }[] = [];

  const clear = () => {
    if (drawn) stream.write("\r\u001b[K");
    drawn = false;
  };
  const onProgress: OnProgress = (progress) => {
    const time = now();
    const finished = progress.total !== undefined && progress.done >= progress.total;
    if (progress.task !== task) {
      task = progress.task;
      samples = [];
      drawnAt = stream.isTTY ? Number.NEGATIVE_INFINITY : time - LOG_EVERY + LOG_FIRST;
    }
    samples.push({ time, done: progress.done });
    while (samples.length > 2 && time - samples[1].time > RATE_WINDOW) samples.shift();
    // A fast loop reports thousands of times per second, but the rate needs only the first and last sample.
    if (samples.length > 400) samples = samples.filter((_, index) => index % 2 === 0 || index === samples.length - 1);
    const due = time - drawnAt >= (stream.isTTY ? REDRAW : LOG_EVERY);
    if (!due && !(finished && stream.isTTY)) return;
    drawnAt = time;
    const rate = rateOf(samples);
    if (stream.isTTY) {
      stream.write(`\r\u001b[K${escapeControls(formatProgress(progress, rate, (stream.columns || 80) - 1))}`);
      drawn = true;
    } else {
      stream.write(`${escapeControls(formatProgress(progress, rate))}\n`);
    }
  };
  return { onProgress, clear };
}

function rateOf(samples: readonly { readonly time: number; readonly done: number }[]): number | undefined {
  const first = samples[0];
  const last = samples[samples.length - 1];
  if (last.time - first.time < 200 || last.done <= first.done) return undefined;
  return ((last.done - first.done) / (last.time - first.time)) * 1000;
}

/**
 * `pretrain  120/2000 step  6 %  3.2 step/s  9 min 47 s left  loss 4.31`; `rate` is in units per second. A line that
 * exceeds `width` drops the rate first, then the percentage, then its end.
 */
export function formatProgress(
  { task, done, total, unit, note }: Progress,
  rate: number | undefined,
  width = Number.POSITIVE_INFINITY,
): string {
  const count = total === undefined ? amount(done, unit) : part(done, total, unit);
  const percent = total === undefined ? "" : `${total === 0 ? 100 : Math.floor((100 * done) / total)} %`;
  const speed = rate === undefined ? "" : `${amount(rate, unit)}/s`;
  const left =
    rate === undefined || total === undefined || done >= total ? "" : `${duration((total - done) / rate)} left`;
  const tries = [
    [task, count, percent, speed, left, note ?? ""],
    [task, count, percent, left, note ?? ""],
    [task, count, left, note ?? ""],
  ].map((parts) => parts.filter((text) => text !== "").join("  "));
  const line = tries.find((text) => text.length <= width) ?? tries[2];
  return line.length <= width ? line : `${line.slice(0, width - 1)}…`;
}

/** Returns `1.2/3.4 MB`: the unit once, unless the two units differ. */
function part(done: number, total: number, unit: string): string {
  const whole = amount(total, unit);
  const some = amount(done, unit);
  const suffix = whole.slice(whole.indexOf(" "));
  return some.endsWith(suffix) ? `${some.slice(0, -suffix.length)}/${whole}` : `${some}/${whole}`;
}

function amount(count: number, unit: string): string {
  if (unit === "byte") {
    if (count >= 1e9) return `${(count / 1e9).toFixed(2)} GB`;
    if (count >= 1e6) return `${(count / 1e6).toFixed(1)} MB`;
    if (count >= 1e3) return `${(count / 1e3).toFixed(0)} kB`;
    return `${Math.round(count)} B`;
  }
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)}M ${unit}`;
  if (count >= 1e5) return `${(count / 1e3).toFixed(0)}k ${unit}`;
  return `${Number.isInteger(count) ? count : count.toFixed(count < 10 ? 2 : count < 100 ? 1 : 0)} ${unit}`;
}

/** `12 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
