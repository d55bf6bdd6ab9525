/**
 * @file Ablation of the extractor's profiles: toggles every hint, tag and way of hiding, one at a time, on the pages of
 * QUERN_SHARED of each type. Then, for five random splits, it fits the profiles to one half of the pages and scores both
 * halves. The difference shows how much fitting to these pages inflates the score.
 *
 *     QUERN_SHARED=… npm run bench data-extract-ablation
 */

import { Hint } from "../src/data/extract/hints.js";
import { measure } from "../src/data/extract/measure.js";
import { PAGE_TYPES, type PageType } from "../src/data/extract/page-type.js";
import { PROFILES, type Profile, selectContent } from "../src/data/extract/select.js";
import { parseTree, type Tree } from "../src/data/extract/tree.js";
import { writeNodes } from "../src/data/extract/write.js";
import { extract } from "../src/data/index.js";
import { decodePage } from "../src/documents/charset/charset.js";
import { articleFigure, halves, mean, readSets, type Score, scoreOf } from "./extraction-sets.js";

interface Change {
  readonly name: string;
  readonly apply: (profile: Profile) => Profile;
}

const TAGS = ["nav", "footer", "aside", "form", "header", "button", "figcaption"];
const WAYS = ["hidden", "aria-hidden", "none"] as const;

function toggled<T>(list: Iterable<T>, item: T): T[] {
  const all = [...list];
  return all.includes(item) ? all.filter((one) => one !== item) : [...all, item];
}

const changes: readonly Change[] = [
  ...Object.entries(Hint).map(([name, bit]) => ({
    name: `hint ${name}`,
    apply: (profile: Profile) => ({ ...profile, hints: profile.hints ^ bit }),
  })),
  ...TAGS.map((tag) => ({
    name: `tag ${tag}`,
    apply: (profile: Profile) => ({ ...profile, tags: new Set(toggled(profile.tags, tag)) }),
  })),
  ...WAYS.map((way) => ({
    name: `hidden by ${way}`,
    apply: (profile: Profile) => ({ ...profile, hidden: toggled(profile.hidden, way) }),
  })),
];

/** Smaller changes of a score count as none. */
const NOTHING = 0.003;
/** A change is adopted if it raises the total score and improves this many more pages than it worsens. */
const SUPPORT = 3;

const pages = readSets();
const types: PageType[] = [];
const base: Score[] = [];
const gains: number[][] = [];

/** Returns a function from profile to score for a page, or undefined if the page's text comes from embedded data. */
function scorer(i: number): ((profile: Profile) => Score) | undefined {
  const page = pages[i];
  const { type, title, source } = extract(page.bytes);
  types[i] = type;
  if (source === "data") return undefined;
  const tree: Tree = parseTree(decodePage(page.bytes).text);
  const withNoscript = source === "noscript";
  const seen = new Map<string, Score>();
  return (profile) => {
    measure(tree.root, { withNoscript });
    const roots = selectContent(tree.root, {
      type,
      focus: "balanced",
      title: tree.title || title || "",
      withNoscript,
      profile,
    });
    const text = writeNodes(roots, "text");
    const known = seen.get(text);
    if (known !== undefined) return known;
    const score = scoreOf(page, text);
    seen.set(text, score);
    return score;
  };
}

for (let i = 0; i < pages.length; i++) {
  const score = scorer(i);
  const own = PROFILES[types[i]];
  base[i] = score === undefined ? scoreOf(pages[i], extract(pages[i].bytes).text) : score(own);
  gains[i] = score === undefined ? changes.map(() => 0) : changes.map(({ apply }) => score(apply(own)).f1 - base[i].f1);
}

const split = halves(pages, 1);
for (const type of PAGE_TYPES) {
  const own = pages.flatMap((_, i) => (types[i] === type ? [i] : []));
  console.log(`\n${type}, ${own.length} pages: toggled, better + worse in one half, in the other`);
  changes.forEach(({ name }, k) => {
    const count = (first: boolean, sign: number): number =>
      own.filter((i) => split[i] === first && gains[i][k] * sign > NOTHING).length;
    const [a, b, c, d] = [count(true, 1), count(true, -1), count(false, 1), count(false, -1)];
    if (a + b + c + d > 0) console.log(`  ${name.padEnd(22)} ${a} + ${b}, ${c} + ${d}`);
  });
}

function figures(scores: readonly Score[], chosen: (i: number) => boolean): { articles: number; pages: number } {
  const of = (set: string): Score[] => scores.filter((_, i) => pages[i].set === set && chosen(i));
  return { articles: articleFigure(of("articles")).f1, pages: mean(of("pages").map(({ f1 }) => f1)) };
}

const splits = [1, 2, 3, 4, 5].map((seed) => {
  const first = halves(pages, seed);
  const profiles = new Map<PageType, Profile>();
  const changed: string[] = [];
  for (const type of PAGE_TYPES) {
    let profile = PROFILES[type];
    const own = pages.flatMap((_, i) => (types[i] === type && first[i] ? [i] : []));
    changes.forEach(({ name, apply }, k) => {
      const sum = own.reduce((total, i) => total + gains[i][k], 0);
      const better = own.filter((i) => gains[i][k] > NOTHING).length;
      const worse = own.filter((i) => gains[i][k] < -NOTHING).length;
      if (sum > 0 && better - worse >= SUPPORT) {
        profile = apply(profile);
        changed.push(`${type}: ${name}`);
      }
    });
    profiles.set(type, profile);
  }
  const scores = pages.map((_, i) => {
    const profile = profiles.get(types[i])!;
    return profile === PROFILES[types[i]] ? base[i] : (scorer(i)?.(profile) ?? base[i]);
  });
  return { changed, chosen: figures(scores, (i) => first[i]), other: figures(scores, (i) => !first[i]) };
});
const average = (of: (split: (typeof splits)[number]) => number): number =>
  Math.round(mean(splits.map(of)) * 1e4) / 1e4;
console.log(
  JSON.stringify({
    bench: "data-extract-ablation",
    now: figures(base, () => true),
    chosen: { articles: average((s) => s.chosen.articles), pages: average((s) => s.chosen.pages) },
    other: { articles: average((s) => s.other.articles), pages: average((s) => s.other.pages) },
    splits,
  }),
);
