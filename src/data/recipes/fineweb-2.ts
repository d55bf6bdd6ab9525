/**
 * @file FineWeb-2's recipe (Penedo et al. 2025, arXiv:2506.20920): FineWeb's filters for 43 other languages, each with its own
 * thresholds and stop words. Languages without thresholds use the English ones; drop such documents with
 * `language({ keep: [...] })`.
 */
import { finewebQuality } from "../filters/fineweb-quality.js";
import { gopherQuality } from "../filters/gopher-quality.js";
import { gopherRepetition } from "../filters/gopher-repetition.js";
import { language } from "../filters/language.js";
import { normalize } from "../normalize/normalize.js";
import { personalData } from "../personal-data/personal-data.js";
import { defineRecipe } from "./recipe.js";

export default defineRecipe({
  name: "fineweb-2",
  steps: [
    language({ keep: [] }),
    gopherRepetition({ thresholds: "fineweb-2" }),
    finewebQuality({ thresholds: "fineweb-2" }),
    gopherQuality({ thresholds: "fineweb-2" }),
    normalize(),
    personalData(),
  ],
});
