/** @file The option schema of `quern arena rank` and `arenaRank()`. */
import { z } from "zod";
import { forceOption, readingOptions } from "../../options.js";

export const arenaRankOptions = z.object({
  files: z
    .array(z.string())
    .min(1)
    .describe("votes: JSONL, JSON, CSV or Parquet files, or folders of JSONL and Parquet")
    .meta({ value: "FILE" }),
  method: z
    .enum(["bt", "elo"])
    .default("bt")
    .describe("bt: Bradley–Terry, fitted to all votes at once; elo: ratings updated vote by vote")
    .meta({ value: "NAME" }),
  bootstrap: z
    .int()
    .min(2)
    .max(100_000)
    .optional()
    .describe("intervals from N resamples of the votes (default: sandwich intervals for bt, 100 resamples for elo)")
    .meta({ value: "N" }),
  confidence: z
    .number()
    .min(0.5)
    .max(0.9999)
    .default(0.95)
    .describe("coverage of the intervals")
    .meta({ value: "SHARE" }),
  seed: z.int().min(0).default(1234).describe("seed of the resamples").meta({ value: "S" }),
  style: z
    .boolean()
    .default(false)
    .describe("control for style (bt): length, headers, lists and bold text of the two answers become covariates"),
  anchor: z
    .string()
    .optional()
    .describe("model rated 1000 (bt; default the first of the files)")
    .meta({ value: "MODEL" }),
  order: z
    .enum(["time", "file"])
    .optional()
    .describe("order of the votes (elo; default time if each vote has a tstamp, else file)")
    .meta({ value: "NAME" }),
  k: z.number().positive().optional().describe("points that an even vote moves (elo; default 4)").meta({ value: "K" }),
  homeAdvantage: z
    .number()
    .optional()
    .describe("points added to model_a's rating when predicting a vote (elo; default 0)")
    .meta({ value: "POINTS" }),
  margin: z
    .string()
    .min(1)
    .optional()
    .describe("key of the margin of victory; a larger margin moves more points (elo)")
    .meta({ value: "KEY" }),
  reversion: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe("share of the distance from 1000 that ratings lose between two seasons (elo; default 0)")
    .meta({ value: "SHARE" }),
  season: z.number().positive().optional().describe("days in a season (elo; default 30)").meta({ value: "DAYS" }),
  strict: readingOptions.strict.describe("stop at the first damaged or wrong vote instead of skipping it"),
  out: z.string().optional().describe("folder for leaderboard.html and ranking.json").meta({ value: "DIR" }),
  force: forceOption,
});
