/** @file The results of making a corpus, for its report and for the caller. */
import type { ShardsHeader } from "../../tokenizer/index.js";
import type { FoundBenchmark } from "../decontaminate/decontaminate.js";
import type { Funnel } from "../funnel/funnel.js";
import type { MixResult } from "../mix/mix.js";
import type { Pair, QualityScores } from "./examples.js";

/** Result of one stage for the funnel: documents and bytes of text. */
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

/** Results of all stages. */
export interface CorpusSummary {
  /** Steps of the funnel, from the first cleaning step to decontamination. */
  readonly steps: readonly CorpusStep[];
  readonly funnel: Funnel;
  readonly duplicates: readonly DuplicateStage[];
  readonly quality: QualityScores | null;
  readonly contamination: readonly Omit<FoundBenchmark, "file">[] | null;
  readonly mix: MixResult;
  /** Null if the recipe ends with the mix. */
  readonly shards: ShardsHeader | null;
  /** Folder of the mixed documents. */
  readonly documents: string;
  /** File of the held-out documents; it may be empty. */
  readonly heldout: string;
}
