/** @file The figures of a server, in Prometheus' text format (version 0.0.4). */

type Labels = Readonly<Record<string, string | number>>;

interface Metric {
  /** Lines without the head. */
  lines(name: string): string[];
}

export interface Counter extends Metric {
  add(labels: Labels, by?: number): void;
}

export interface Histogram extends Metric {
  observe(labels: Labels, value: number): void;
}

const escaped = (value: string | number) =>
  String(value).replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
const labelled = (labels: Labels) => {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
};

function counter(): Counter {
  const values = new Map<string, number>();
  return {
    add(labels, by = 1) {
      const key = labelled(labels);
      values.set(key, (values.get(key) ?? 0) + by);
    },
    lines: (name) => [...values].map(([labels, value]) => `${name}${labels} ${value}`),
  };
}

function gauge(read: () => Iterable<readonly [Labels, number]>): Metric {
  return { lines: (name) => Array.from(read(), ([labels, value]) => `${name}${labelled(labels)} ${value}`) };
}

function histogram(bounds: readonly number[]): Histogram {
  const series = new Map<string, { readonly labels: Labels; readonly counts: number[]; sum: number; count: number }>();
  return {
    observe(labels, value) {
      const key = labelled(labels);
      const found = series.get(key) ?? { labels, counts: bounds.map(() => 0), sum: 0, count: 0 };
      series.set(key, found);
      found.count += 1;
      found.sum += value;
      for (const [i, bound] of bounds.entries()) if (value <= bound) found.counts[i] += 1;
    },
    lines: (name) =>
      [...series.values()].flatMap(({ labels, counts, sum, count }) => [
        ...bounds.map((le, i) => `${name}_bucket${labelled({ ...labels, le })} ${counts[i]}`),
        `${name}_bucket${labelled({ ...labels, le: "+Inf" })} ${count}`,
        `${name}_sum${labelled(labels)} ${sum}`,
        `${name}_count${labelled(labels)} ${count}`,
      ]),
  };
}

/** Seconds: from a cached prompt of a small model to a long prompt on a slow machine. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What a server is doing now, by model. */
export interface ModelLoad {
  readonly id: string;
  readonly isLoaded: boolean;
  readonly slots: number;
  /** Completions that have a slot, and those that wait for one. */
  readonly running: number;
  readonly waiting: number;
}

export function createMetrics(loads: () => Iterable<ModelLoad>) {
  const byModel = (value: (load: ModelLoad) => number) =>
    gauge(() => Array.from(loads(), (load) => [{ model: load.id }, value(load)] as const));
  const requests = counter();
  const promptTokens = counter();
  const cachedTokens = counter();
  const generatedTokens = counter();
  const aborted = counter();
  const firstToken = histogram(SECONDS);
  const all: readonly (readonly [name: string, type: string, help: string, metric: Metric])[] = [
    ["quern_requests_total", "counter", "Requests by route and status.", requests],
    ["quern_aborted_total", "counter", "Requests whose client left before the end.", aborted],
    ["quern_prompt_tokens_total", "counter", "Tokens of prompts.", promptTokens],
    ["quern_cached_tokens_total", "counter", "Tokens of prompts that were in the cache.", cachedTokens],
    ["quern_generated_tokens_total", "counter", "Tokens generated.", generatedTokens],
    ["quern_time_to_first_token_seconds", "histogram", "Time from a request to its first token.", firstToken],
    ["quern_slots", "gauge", "Completions that a model can decode at once.", byModel(({ slots }) => slots)],
    ["quern_slots_busy", "gauge", "Completions that have a slot.", byModel(({ running }) => running)],
    ["quern_queue", "gauge", "Completions that wait for a slot.", byModel(({ waiting }) => waiting)],
    ["quern_model_loaded", "gauge", "1 if the model is in memory.", byModel(({ isLoaded }) => Number(isLoaded))],
  ];
  return {
    requests,
    aborted,
    promptTokens,
    cachedTokens,
    generatedTokens,
    firstToken,
    text: () =>
      all
        .flatMap(([name, type, help, metric]) => [
          `# HELP ${name} ${help}`,
          `# TYPE ${name} ${type}`,
          ...metric.lines(name),
        ])
        .join("\n")
        .concat("\n"),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
