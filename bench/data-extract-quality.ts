/**
 * @file Quality of extraction on both sets in QUERN_SHARED: overall, by type, and on both halves of five random splits.
 *
 *     QUERN_SHARED=… npm run bench data-extract-quality
 */
import { extract } from "../src/data/index.js";
import { articleFigure, halves, mean, type Page, readSets, type Score, scoreOf } from "./extraction-sets.js";

const pages = readSets();
const scores = pages.map((page) => scoreOf(page, extract(page.bytes).text));
const round = (value: number): number => Math.round(value * 1e4) / 1e4;

function figures(chosen: (i: number) => boolean): { articles: number; pages: number } {
  const of = (set: Page["set"]): Score[] => scores.filter((_, i) => pages[i].set === set && chosen(i));
  return { articles: round(articleFigure(of("articles")).f1), pages: round(mean(of("pages").map(({ f1 }) => f1))) };
}

const articles = articleFigure(scores.filter((_, i) => pages[i].set === "articles"));
const types: Record<string, { precision: number; recall: number; f1: number }> = {};
for (const type of new Set(pages.filter(({ set }) => set === "pages").map((page) => page.type))) {
  const own = scores.filter((_, i) => pages[i].set === "pages" && pages[i].type === type);
  const average = (of: (score: Score) => number): number => round(mean(own.map(of)));
  types[type] = {
    precision: average((s) => s.precision),
    recall: average((s) => s.recall),
    f1: average((s) => s.f1),
  };
}
const splits = [1, 2, 3, 4, 5].map((seed) => {
  const first = halves(pages, seed);
  return { first: figures((i) => first[i]), second: figures((i) => !first[i]) };
});
console.log(
  JSON.stringify({
    bench: "data-extract-quality",
    articles: { precision: round(articles.precision), recall: round(articles.recall), f1: round(articles.f1) },
    pages: figures(() => true).pages,
    types,
    splits,
  }),
);
