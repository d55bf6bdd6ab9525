/**
 * @file Battles: two models, drawn at random and unnamed, answer the same messages, until a person votes. The models' names are
 * known only to this file before the vote.
 */
import { randomInt, randomUUID } from "node:crypto";
import { type Chat, createChat, type GenerationOptions, type LanguageModel } from "../../infer/index.js";
import type { VoteFile, Winner } from "./vote-file.js";

/** A model of an arena. */
export interface ArenaModel {
  /** Its name in the votes. */
  readonly name: string;
  readonly model: LanguageModel;
  /** How it samples its answers. */
  readonly sampling?: GenerationOptions;
}

export type Side = "a" | "b";
export type BattleState = "new" | "answering" | "answered" | "voting" | "voted" | "failed";

interface Player {
  readonly at: number;
  readonly chat: Chat;
}

export interface Battle {
  readonly id: string;
  readonly players: Readonly<Record<Side, Player>>;
  state: BattleState;
}

/** A request that does not fit the battle's state. */
export class BattleError extends Error {}

/** Battles kept in memory; older ones can no longer be voted on. */
const MOST_BATTLES = 1000;

export interface Battles {
  /** Starts a battle between two models, in random order. */
  start(): Battle;
  /** @throws BattleError if there is no such battle */
  find(id: unknown): Battle;
  /**
   * Sends a message to both models, which answer at the same time; a model that another battle uses answers later.
   * @throws the first error of a model, after which the battle cannot go on
   */
  answer(
    battle: Battle,
    message: string,
    callbacks: { readonly signal?: AbortSignal; readonly onText: (side: Side, piece: string) => void },
  ): Promise<void>;
  /** Records the vote and reveals the models. @throws BattleError before both answers, and after a vote */
  vote(battle: Battle, winner: Winner): Promise<{ readonly model_a: string; readonly model_b: string }>;
}

/** @param models at least two, which stay open */
export function createBattles(models: readonly ArenaModel[], file: VoteFile, system?: string): Battles {
  const battles = new Map<string, Battle>();
  /** What each model does last; a decoder serves one caller at a time. */
  const queues: Promise<unknown>[] = models.map(() => Promise.resolve());
  let started = 0;
  const playerOf = (at: number): Player => {
    const { model, sampling } = models[at];
    // A model with a seed answers the same message differently in the next battle.
    const seed = sampling?.seed === undefined ? {} : { seed: sampling.seed + 1000 * started };
    return { at, chat: createChat(model, system, { ...sampling, ...seed }) };
  };
  const inTurn = <T>(at: number, work: () => Promise<T>): Promise<T> => {
    const result = queues[at].then(work);
    queues[at] = result.catch(() => {});
    return result;
  };
  return {
    start() {
      started += 1;
      const a = randomInt(models.length);
      const b = (a + 1 + randomInt(models.length - 1)) % models.length;
      const battle: Battle = { id: randomUUID(), players: { a: playerOf(a), b: playerOf(b) }, state: "new" };
      battles.set(battle.id, battle);
      const [oldest] = battles.keys();
      if (battles.size > MOST_BATTLES) battles.delete(oldest);
      return battle;
    },
    find(id) {
      const battle = typeof id === "string" ? battles.get(id) : undefined;
      if (battle === undefined) throw new BattleError("there is no such battle; start a new one");
      return battle;
    },
    async answer(battle, message, { signal, onText }) {
      if (battle.state !== "new" && battle.state !== "answered") {
        throw new BattleError(`this battle is ${battle.state}; start a new one`);
      }
      battle.state = "answering";
      const say = async (side: Side) => {
        const { at, chat } = battle.players[side];
        await inTurn(at, async () => {
          signal?.throwIfAborted();
          const { finishReason } = await chat.say(message, { signal, onText: (piece) => onText(side, piece) });
          if (finishReason === "aborted") signal?.throwIfAborted();
        });
      };
      // Both must end before an error is thrown: the next battle may use the same models.
      const results = await Promise.allSettled([say("a"), say("b")]);
      const failure = results.find((result) => result.status === "rejected");
      battle.state = failure === undefined ? "answered" : "failed";
      if (failure !== undefined) throw failure.reason;
    },
    async vote(battle, winner) {
      if (battle.state !== "answered") {
        const why = battle.state === "voted" ? "has a vote already" : "has no two complete answers to vote on";
        throw new BattleError(`this battle ${why}`);
      }
      battle.state = "voting";
      const { a, b } = battle.players;
      const names = { model_a: models[a.at].name, model_b: models[b.at].name };
      try {
        await file.append({
          ...names,
          winner,
          tstamp: Date.now() / 1000,
          conversation_a: a.chat.messages,
          conversation_b: b.chat.messages,
        });
      } catch (error) {
        battle.state = "answered";
        throw error;
      }
      battle.state = "voted";
      return names;
    },
  };
}
