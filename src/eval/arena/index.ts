/** @file The arena: votes of people or judges between the answers of two models, and the ranking that they give. */
export { type ArenaRanking, type ArenaRankOptions, arenaRank } from "./arena-rank.js";
export { type Arena, type ArenaServeOptions, arenaServe, openArena } from "./arena-serve.js";
export type { ArenaModel } from "./battles.js";
export {
  type Neighbours,
  POINTS,
  type RankedModel,
  type Ranking,
  type RankOptions,
  rankVotes,
  type StyleEffect,
} from "./rank.js";
export { arenaRankOptions } from "./rank-options.js";
export { arenaServeOptions } from "./serve-options.js";
export { type SimulatedVotes, type SimulateVotesOptions, simulateVotes } from "./simulate.js";
export { simulateOptions } from "./simulate-options.js";
export type { VoteRecord, Winner } from "./vote-file.js";
export { type ReadVotesOptions, readVotes, type Votes } from "./votes.js";
