/** @file What a server is doing now: completions that wait for a slot, and those that have one. */
import type { PromptStart } from "../infer/index.js";
import { createMetrics, type Metrics } from "./metrics.js";
import type { Models } from "./models.js";

/** One completion, from the request to its end. */
export interface ActivityEntry {
  /** It got a slot. */
  start(): void;
  /** It has another token. */
  token(): void;
  end(): void;
}

export interface Activity {
  readonly metrics: Metrics;
  enter(model: string): ActivityEntry;
  countPrompt(model: string, start: PromptStart): void;
}

export function createActivity(models: Models, slots: number): Activity {
  const running = new Map<string, number>();
  const waiting = new Map<string, number>();
  const change = (counts: Map<string, number>, id: string, by: number) => counts.set(id, (counts.get(id) ?? 0) + by);
  const metrics = createMetrics(() =>
    models.list.map(({ id }) => ({
      id,
      isLoaded: models.isLoaded(id),
      slots,
      running: running.get(id) ?? 0,
      waiting: waiting.get(id) ?? 0,
    })),
  );
  return {
    metrics,
    enter(model) {
      const begun = performance.now();
      let state = waiting;
      let tokens = 0;
      change(waiting, model, 1);
      const start = () => {
        change(state, model, -1);
        state = running;
        change(running, model, 1);
      };
      return {
        start,
        token() {
          if (tokens === 0) metrics.firstToken.observe({ model }, (performance.now() - begun) / 1000);
          tokens += 1;
        },
        end() {
          change(state, model, -1);
          metrics.generatedTokens.add({ model }, tokens);
        },
      };
    },
    countPrompt(model, { promptTokens, cachedTokens }) {
      metrics.promptTokens.add({ model }, promptTokens);
      metrics.cachedTokens.add({ model }, cachedTokens);
    },
  };
}
