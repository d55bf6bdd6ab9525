/**
 * @file The default recipe: FineWeb's filters (Penedo et al. 2024, arXiv:2406.17557) with its thresholds, then normalization
 * and removal of personal data. To make your own, copy it and import from "quern/data".
 */
import { c4Quality } from "../filters/c4-quality.js";
import { finewebQuality } from "../filters/fineweb-quality.js";
import { gopherQuality } from "../filters/gopher-quality.js";
import { gopherRepetition } from "../filters/gopher-repetition.js";
import { language } from "../filters/language.js";
import { url } from "../filters/url.js";
import { normalize } from "../normalize/normalize.js";
import { personalData } from "../personal-data/personal-data.js";
import { defineRecipe } from "./recipe.js";

export default defineRecipe({
  name: "fineweb",
  steps: [
    url({ lists: "fineweb" }),
    language({ keep: ["en"] }),
    gopherRepetition(),
    gopherQuality(),
    c4Quality({ requireTerminalMark: false }),
    finewebQuality(),
    normalize(),
    personalData(),
  ],
});
