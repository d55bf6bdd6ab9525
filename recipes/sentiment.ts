/**
 * @file Human ratings: a reward model of what people think of movies, and how far four methods can follow it.
 *
 *     pip download --no-deps --no-binary :all: vaderSentiment==3.3.2 && tar xzf vaderSentiment-3.3.2.tar.gz
 *     (cd vaderSentiment-3.3.2/additional_resources && tar xzf hutto_ICWSM_2014.tar.gz)
 *     node dist/recipes/sentiment.js --ratings vaderSentiment-3.3.2 [--model RUN] [--minutes 8 --steps 160]
 *
 * The steps, top to bottom: rated sentences → a base model, fine-tuned on movie sentences → a reward model from pairs that
 * individual raters ordered, beside the raters' own ceiling → DPO, PPO, GRPO and best-of-n on beginnings of sentences → their
 * reward–KL frontier, judged by VADER's rules, which the reward model never saw → sentiment.html and sentiment.json.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { dpo, grpo, openRewardModel, ppo, reward, sft } from "../src/align/index.js";
import { examineMachine } from "../src/backends/index.js";
import { defineCommand } from "../src/commands/command.js";
import { runProcess } from "../src/commands/process.js";
import { checkpointPath } from "../src/model/index.js";
import { CHART_SCRIPT, page, paragraph, renderChart, section, table } from "../src/pages/index.js";
import { pretrain } from "../src/train/index.js";
import { bestOfPoints, type FrontierPoint, frontierSentence, policyPoint, samplePolicy } from "./frontier.js";
import { raterPairs, readMovieRatings, readOtherSentences, splitHalfCeiling, splitSentences } from "./movie-ratings.js";
import { createVader, readVaderLexicon } from "./vader.js";

/** Words of a prompt, and tokens of a completion. */
const PROMPT_WORDS = 3;
const TOKENS = 24;
/** Points of each run, and completions of each prompt that a point is measured on. */
const POINTS = 4;
const SAMPLES = 4;
const BEST_OF = [1, 2, 4, 8, 16];
/** What holds each method near its reference; two runs of each. */
const BETAS = { DPO: [0.3, 0.05], PPO: [0.1, 0.02], GRPO: [0.05, 0.005] } as const;
const LEARNING_RATE = { DPO: 2e-4, PPO: 3e-4, GRPO: 3e-4 } as const;
const COLORS = { "best of n": "d", DPO: "a", PPO: "b", GRPO: "c" } as const;

const sentiment = defineCommand({
  description:
    "Train a reward model on human ratings of movie sentences, and compare the reward–KL frontiers of DPO, PPO, GRPO and best-of-n.",
  options: z.object({
    ratings: z
      .string()
      .describe("folder of vaderSentiment-3.3.2, with its inner archive extracted")
      .meta({ value: "DIR" }),
    model: z
      .string()
      .optional()
      .describe("base model, such as the speedrun's run (default: one is trained on the archive's sentences)")
      .meta({ value: "RUN" }),
    minutes: z
      .number()
      .positive()
      .default(8)
      .describe("minutes for the base model, if one is trained, fine-tuning and the reward model")
      .meta({ value: "M" }),
    steps: z.int().min(POINTS).default(160).describe("optimizer steps of each of the six runs").meta({ value: "N" }),
    prompts: z.int().min(4).default(128).describe("held-out prompts that a point is measured on").meta({ value: "N" }),
    out: z.string().default("runs/sentiment").describe("folder of the runs").meta({ value: "DIR" }),
    seed: z.int().min(0).default(0).describe("seed of all random numbers"),
  }),
  async run({ ratings, model, minutes, steps, prompts: promptCount, out, seed }, { print, log, signal, onProgress }) {
    const started = performance.now();
    print((await examineMachine({ measure: false })).line);
    await mkdir(out, { recursive: true });
    const write = async (name: string, rows: readonly object[]) => {
      const path = join(out, name);
      await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
      return path;
    };
    const calls = { seed, force: true, signal, onProgress, onNote: log };

    // 1. Sentences, split by text; pairs that two raters put in an order.
    const sentences = await readMovieRatings(ratings);
    const { train, heldOut } = splitSentences(sentences);
    const pairs = raterPairs(train, 12_000, seed);
    const heldOutPairs = raterPairs(heldOut, 2000, seed);
    const count = sentences.reduce((sum, one) => sum + one.ratings.length, 0);
    print(`${sentences.length} sentences, ${count} ratings; ${heldOut.length} sentences held out`);
    const texts = await write(
      "sentences.jsonl",
      train.map(({ text }) => ({ text })),
    );
    const rows = (list: typeof pairs) =>
      list.map(({ chosen, rejected }) => ({ prompt: "", chosen: chosen.text, rejected: rejected.text }));
    const files = {
      pairs: await write("pairs.jsonl", rows(pairs)),
      heldOut: await write("held-out-pairs.jsonl", rows(heldOutPairs)),
    };

    // 2. A base model, and what it learns from movie sentences.
    let base = model;
    if (base === undefined) {
      const others = (await readOtherSentences(ratings)).map((text) => ({ text }));
      const text = [texts, await write("other-sentences.jsonl", others)];
      base = join(out, "base");
      await pretrain({ text, out: base, minutes: 0.5 * minutes, ...{ seed, force: true, signal, onProgress } });
    }
    const tuned = await sft({
      ...calls,
      model: base,
      data: [texts],
      out: join(out, "sft"),
      minutes: 0.2 * minutes,
      batch: 32,
    });
    const start = tuned.checkpoint;

    // 3. A reward model, beside the raters' own ceiling.
    const rated = await reward({
      ...{ ...calls, model: start, data: [files.pairs], evalData: [files.heldOut], out: join(out, "reward") },
      ...{ minutes: 0.3 * minutes, batch: 16, center: 0.01, evalEvery: "end" },
    });
    const accuracy = rated.evaluation as { accuracy: number; accuracy_low: number; accuracy_high: number };
    const ceiling = splitHalfCeiling(heldOutPairs, seed);
    print(
      `reward model: ${percent(accuracy.accuracy)} [${percent(accuracy.accuracy_low)}, ${percent(accuracy.accuracy_high)}] of ` +
        `${heldOutPairs.length} held-out pairs; half of the other raters: ${percent(ceiling)}`,
    );

    // 4. Beginnings of sentences as prompts, and pairs of the model's own completions for DPO.
    const beginnings = (list: typeof train) => [
      ...new Set(list.map(({ text }) => text.split(/\s+/).slice(0, PROMPT_WORDS).join(" "))),
    ];
    const learned = beginnings(train);
    const prompts = beginnings(heldOut)
      .filter((prompt) => !learned.includes(prompt))
      .slice(0, promptCount);
    const promptFile = await write(
      "prompts.jsonl",
      learned.map((prompt) => ({ prompt })),
    );
    const proxy = await openRewardModel(rated.checkpoint);
    const judges = { gold: createVader(await readVaderLexicon(join(ratings, "vaderSentiment"))), proxy };
    const sampling = { tokens: TOKENS, signal };
    const asked = learned.slice(0, Math.min(learned.length, 8 * steps));
    const drawn = await samplePolicy(start, asked, { ...sampling, n: 4, seed: seed + 1 });
    const scores = await proxy.score(drawn.map(({ text }) => text));
    const preferred = asked.flatMap((prompt, i) => {
      const order = [0, 1, 2, 3].map((k) => 4 * i + k).sort((a, b) => scores[b] - scores[a]);
      const answer = (k: number) => drawn[k].text.slice(prompt.length);
      const row = { prompt, chosen: answer(order[0]), rejected: answer(order[3]) };
      return row.chosen === "" || row.rejected === "" || row.chosen === row.rejected ? [] : [row];
    });
    const ownPairs = await write("own-pairs.jsonl", preferred);

    // 5. The frontier: two runs of each method, measured along the way, and best-of-n.
    const saveEvery = Math.floor(steps / POINTS);
    const length = saveEvery * POINTS;
    const many = await samplePolicy(start, prompts, { ...sampling, n: Math.max(...BEST_OF), seed: seed + 2 });
    const points: FrontierPoint[] = await bestOfPoints(many, judges, BEST_OF);
    for (const method of ["DPO", "PPO", "GRPO"] as const) {
      for (const beta of BETAS[method]) {
        const run = join(out, `${method.toLowerCase()}-${beta}`);
        const options = {
          ...calls,
          model: start,
          out: run,
          steps: length,
          saveEvery,
          learningRate: LEARNING_RATE[method],
        };
        // Far from the reference, and with little entropy left, is where over-optimisation shows.
        const rollouts = {
          ...{ prompts: [promptFile], reward: [rated.checkpoint], tokens: TOKENS, maxKl: 1000, minEntropy: 0 },
        };
        if (method === "DPO") await dpo({ ...options, data: [ownPairs], beta, batch: 8 });
        else if (method === "PPO") await ppo({ ...options, ...rollouts, klCoef: beta, batch: 32, updates: 2 });
        else await grpo({ ...options, ...rollouts, beta, batch: 8, group: 8 });
        for (let step = saveEvery; step <= length; step += saveEvery) {
          const name = { method, setting: `β ${beta}, step ${step}` };
          const o = { ...sampling, n: SAMPLES, seed: seed + 3 };
          points.push(await policyPoint(name, checkpointPath(run, step), start, prompts, judges, o));
        }
      }
    }
    await proxy.dispose();

    // 6. A table, a picture, and what it shows.
    print("\nmethod     setting              KL, nats  VADER  95 % interval    reward model");
    for (const { method, setting, kl, gold, gold_low, gold_high, proxy: score } of points) {
      const interval = `[${gold_low.toFixed(2)}, ${gold_high.toFixed(2)}]`;
      print(
        `${method.padEnd(11)}${setting.padEnd(20)}${kl.toFixed(2).padStart(9)}${gold.toFixed(2).padStart(7)}  ${interval.padEnd(16)}${score.toFixed(2).padStart(13)}`,
      );
    }
    const shows = frontierSentence(points);
    print(`\n${shows}`);
    const seconds = (performance.now() - started) / 1000;
    const result = { seed, minutes, steps, seconds, sentences: sentences.length, ratings: count };
    const everything = { ...result, reward: { ...accuracy, ceiling, steps: rated.steps }, points, shows };
    await writeFile(join(out, "sentiment.json"), `${JSON.stringify(everything, null, 2)}\n`);
    await writeFile(join(out, "sentiment.html"), picture(points, shows));
    print(`${join(out, "sentiment.html")}; done in ${(seconds / 60).toFixed(1)} minutes`);
    return everything;
  },
});

/** The page with both charts and their numbers. */
function picture(points: readonly FrontierPoint[], conclusion: string): string {
  const chart = (title: string, of: (point: FrontierPoint) => number) =>
    renderChart({
      ...{ title, xLabel: "KL from the fine-tuned model, nats per completion", width: 560, height: 320 },
      series: Object.entries(COLORS).map(([label, color]) => ({
        ...{ label, color, marks: true },
        points: points
          .filter(({ method }) => method === label)
          .map((point) => [point.kl, of(point)] as const)
          .sort(([a], [b]) => a - b),
      })),
    });
  const numbers = points.map((point) => [
    ...[point.method, point.setting, point.kl.toFixed(2), point.gold.toFixed(3)],
    ...[`${point.gold_low.toFixed(3)} to ${point.gold_high.toFixed(3)}`, point.proxy.toFixed(3)],
  ]);
  const columns = [
    { name: "method", kind: "text" as const },
    { name: "setting", kind: "text" as const },
    ...["KL, nats", "VADER", "95 % interval", "reward model"].map((name) => ({ name })),
  ];
  return page({
    ...{ title: "Sentiment: reward and KL", conclusion, scripts: [CHART_SCRIPT] },
    sections: [
      section(
        "Frontier",
        paragraph("VADER judges completions of held-out prompts; the methods saw only the reward model's scores."),
        chart("VADER's mean compound score", ({ gold }) => gold),
        chart("The reward model's mean score", ({ proxy }) => proxy),
      ),
      section("Numbers", table({ label: "Points of the frontier", columns, rows: numbers })),
    ],
  });
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

await runProcess(
  [
    {
      words: "sentiment",
      summary: "a reward model of human ratings, and the reward–KL frontier",
      load: async () => ({ default: sentiment }),
    },
  ],
  ["sentiment", ...process.argv.slice(2)],
);
