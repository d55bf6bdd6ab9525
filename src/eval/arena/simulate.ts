/** @file Simulated votes: models answer prompts, and a judge votes between every two of them. */
import { join } from "node:path";
import type { z } from "zod";
import type { CompileOptions } from "../../backends/index.js";
import { isRemote, withOutput } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { randomStream } from "../../model/index.js";
import { checkOptions } from "../../options.js";
import { answersOf } from "../judge/live/answering.js";
import { type AnswerSet, readJudgePrompts } from "../judge/live/answers.js";
import { pairsOf } from "../judge/live/judge-answers.js";
import { appendJudgeVotes } from "../judge/live/judge-votes.js";
import { judgePairs, type Pair } from "../judge/live/judging.js";
import { type JudgingCalls, openJudge } from "../judge/live/open-judge.js";
import { type Costs, costsOf, type DropCounts, dropCounts, type Prices } from "../judge/live/summary.js";
import { simulateOptions } from "./simulate-options.js";

export type SimulateVotesOptions = z.input<typeof simulateOptions> & JudgingCalls;

export interface SimulatedVotes extends DropCounts, Costs {
  readonly judge: string;
  /** Names of the models in the votes. */
  readonly models: readonly string[];
  readonly battles: number;
  /** Votes that were appended; battles without a preference, or with a vote from before, add none. */
  readonly votes: number;
  readonly file: string;
}

interface Battle {
  readonly pair: Pair;
  readonly generators: readonly [string, string];
}

/** Answers and judgements are kept, so that the same call resumes. */
const layout = { writes: (path: string) => /^(judgements|votes|answers_\d+)\.jsonl$|^outputs_\d+\.json$/.test(path) };

/**
 * Lets models answer prompts, and a judge vote between every two answers, in both orders. A battle whose orders disagree is a tie.
 * @throws QuernError for fewer than two models, and as `judgeAnswers`
 */
export async function simulateVotes(options: SimulateVotesOptions): Promise<SimulatedVotes> {
  const { judge, target: _, named, signal: __, onProgress: ___, onWarning: ____, ...given } = options;
  const o = checkOptions(simulateOptions, given, named);
  if (new Set(o.models).size < Math.max(2, o.models.length)) {
    throw new QuernError(`${named?.("models") ?? "models"} must name two or more different models`, { exitCode: 2 });
  }
  const inputs = [o.prompts, ...o.models, ...(typeof judge === "string" ? [judge] : [])];
  const request = {
    ...{ verb: "arena simulate", out: o.out, layout, force: o.force },
    inputs: inputs.filter((path) => !isRemote(path)),
  };
  return withOutput(request, () => vote(o, options));
}

async function vote(
  o: z.output<typeof simulateOptions>,
  { judge: given, signal, onProgress, onWarning, ...options }: SimulateVotesOptions,
): Promise<SimulatedVotes> {
  const target: CompileOptions = { ...options.target, cpu: { threads: o.threads, ...options.target?.cpu } };
  const prompts = await readJudgePrompts(o.prompts, signal);
  const isOpen = typeof given === "object";
  const judge = isOpen ? given : await openJudge(given, { ...o, target, signal, onWarning });
  try {
    const sets: AnswerSet[] = [];
    for (const [i, name] of o.models.entries()) {
      const set = await answersOf(name, prompts, {
        ...{ system: o.system, tokens: o.maxTokens, temperature: o.temperature, seed: o.seed },
        ...{ log: join(o.out, `answers_${i}.jsonl`), outputs: join(o.out, `outputs_${i}.json`) },
        ...{ target, signal, onProgress, onWarning },
      });
      const earlier = sets.findIndex(({ generator }) => generator === set.generator);
      if (earlier >= 0)
        throw new QuernError(`${o.models[earlier]} and ${name} have answers of ${set.generator}; rename one`);
      sets.push(set);
    }
    const all: Battle[] = [];
    const unjudged: { readonly reason: string; readonly place: string }[] = [];
    for (const [i, a] of sets.entries()) {
      for (const b of sets.slice(i + 1)) {
        const found = pairsOf(prompts, a, b);
        all.push(...found.pairs.map((pair) => ({ pair, generators: [a.generator, b.generator] as const })));
        unjudged.push(...found.unjudged);
      }
    }
    const battles = drawn(all, o.battles ?? all.length, o.seed);
    const judged = await judgePairs(
      battles.map(({ pair }) => pair),
      judge,
      { log: join(o.out, "judgements.jsonl"), signal, onProgress },
    );
    const file = o.votes ?? join(o.out, "votes.jsonl");
    const voted = battles.map(({ generators }, i) => ({ pair: judged[i], generators }));
    return {
      ...{ judge: judge.name, models: sets.map(({ generator }) => generator), battles: battles.length },
      votes: await appendJudgeVotes(file, voted, judge.name),
      file,
      ...dropCounts(judged, unjudged),
      ...costsOf(judged, o.price as Prices | undefined),
    };
  } finally {
    if (!isOpen) await judge.close();
  }
}

/** Draws battles without repetition, and keeps their order. */
function drawn(battles: readonly Battle[], count: number, seed: number): readonly Battle[] {
  if (count >= battles.length) return battles;
  const stream = randomStream(seed, "battles");
  const ranks = battles.map((_, i) => ({ i, at: stream.uniform(i) }));
  const chosen = ranks.sort((a, b) => a.at - b.at).slice(0, count);
  return chosen
    .map(({ i }) => i)
    .sort((a, b) => a - b)
    .map((i) => battles[i]);
}
