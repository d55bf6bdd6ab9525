/** @file What is told of a corpus: to its report, and to who asked for it. */
import type { ShardsHeader } from "../../tokenizer/index.js";
import type { FoundBenchmark } from "../decontaminate/decontaminate.js";
import type { Funnel } from "../funnel/funnel.js";
import type { MixResult } from "../mix/mix.js";
import type { Pair, QualityScores } from "./examples.js";

/** What came of one stage, for the funnel: documents and bytes of text. */
export interface CorpusStep {
  readonly step: string;
  readonly documents: { readonly in: number; readonly kept: number; readonly dropped: number; readonly edited: number };
  readonly bytes: { readonly in: number; readonly out: number };
  readonly reasons: Readonly<Record<string, { readonly documents: number }>>;
}

export interface DuplicateStage {
  readonly by: string;
  readonly clusters: number;
  readonly pieces: number;
  readonly pairs: readonly Pair[];
}

/** The whole of it. */
export interface CorpusStory {
  /** From cleaning's steps to the mix. */
  readonly steps: readonly CorpusStep[];
  readonly funnel: Funnel;
  readonly duplicates: readonly DuplicateStage[];
  readonly quality: QualityScores | null;
  readonly contamination: readonly Omit<FoundBenchmark, "file">[] | null;
  readonly mix: MixResult;
  /** Null where the recipe ends with the mix. */
  readonly shards: ShardsHeader | null;
  /** The folder of the mix and the file of what is held out, which may be empty. */
  readonly documents: string;
  readonly heldout: string;
}
