/** @file The leaderboard page: ratings with intervals, who beats whom, neighbours, style, and what was skipped. */
import { type ReadReport, readLines } from "../../documents/index.js";
import {
  type Cell,
  count,
  escapeHtml,
  figure,
  figures,
  page,
  paragraph,
  percent,
  section,
  table,
} from "../../pages/index.js";
import type { Ranking } from "./rank.js";

/** Models in the win matrix. */
const MOST_IN_MATRIX = 25;
/** Rows of the list of neighbours. */
const MOST_NEIGHBOURS = 50;

const points = (value: number) => value.toFixed(0);

/** Returns the HTML document. */
export function leaderboardPage(ranking: Ranking, report: ReadReport): string {
  const { models, method, votes, style, neighbours = [] } = ranking;
  const tied = models.filter(({ rank }) => rank === 1).map(({ model }) => model);
  const conclusion =
    tied.length === 1
      ? `${tied[0]} ranks first of ${models.length} models.`
      : `${tied.length} of ${models.length} models share rank 1; more votes would separate them.`;
  return page({
    title: "Arena leaderboard",
    subtitle: `${method === "bt" ? "Bradley–Terry" : "Elo"} ratings of ${models.length} models from ${count(votes)} votes`,
    conclusion,
    sections: [
      figures([
        figure("votes", count(votes)),
        figure("models", count(models.length)),
        figure("pairs that met", count(ranking.pairs.length), `of ${count((models.length * (models.length - 1)) / 2)}`),
        figure("intervals", percent(ranking.confidence, 0), INTERVALS[ranking.intervals]),
      ]),
      ...ranking.warnings.map((warning) => paragraph(warning, "warning")),
      section("Ratings", paragraph(MEANING[method], "small"), leaderboard(ranking), intervalChart(ranking)),
      section(
        "Wins between pairs",
        paragraph(
          "Share of the votes that the model of the row won against the model of the column. A tie is half a win. Below it stands the number of votes.",
          "small",
        ),
        winMatrix(ranking),
      ),
      section(
        "How many more votes",
        paragraph(
          "Votes between two neighbours after which the interval of their difference would exclude 0, if the difference stayed.",
          "small",
        ),
        table({
          label: "Neighbouring models",
          columns: [
            { name: "above", kind: "text" },
            { name: "below", kind: "text" },
            { name: "difference" },
            { name: "interval" },
            { name: "more votes" },
          ],
          rows: neighbours
            .slice(0, MOST_NEIGHBOURS)
            .map(({ above, below, difference, lower, upper, more_votes }) => [
              above,
              below,
              difference.toFixed(1),
              `${lower.toFixed(1)} to ${upper.toFixed(1)}`,
              more_votes === null ? "equal" : more_votes === 0 ? "separated" : count(more_votes),
            ]),
        }),
      ),
      section(
        "Style",
        style === undefined
          ? ""
          : paragraph(
              "Rating points that one standard deviation more of a feature is worth, at equal strength.",
              "small",
            ),
        table({
          label: "Effect of style",
          columns: [{ name: "feature", kind: "text" }, { name: "points" }, { name: "interval" }],
          rows: (style ?? []).map((effect) => [
            effect.feature,
            effect.points.toFixed(1),
            `${effect.lower.toFixed(1)} to ${effect.upper.toFixed(1)}`,
          ]),
        }),
      ),
      section("Votes read", ...readLines(report).map((line) => paragraph(line, "small"))),
    ],
  });
}

const INTERVALS: Readonly<Record<Ranking["intervals"], string>> = {
  sandwich: "sandwich",
  model: "from the model",
  bootstrap: "bootstrap",
};

const MEANING: Readonly<Record<Ranking["method"], string>> = {
  bt:
    "400 points multiply the odds of a win by ten. A model's rank is 1 + the number of models whose interval lies above its own, " +
    "so models that the votes cannot separate share a rank. Intervals are relative to the model rated 1000.",
  elo:
    "400 points multiply the odds of a win by ten. Elo ratings depend on the order of the votes and weigh recent ones more. " +
    "A model's rank is 1 + the number of models whose interval lies above its own.",
};

function leaderboard({ models }: Ranking): string {
  return table({
    label: "Leaderboard",
    columns: [
      { name: "model", kind: "text" },
      { name: "rank" },
      { name: "rating" },
      { name: "interval" },
      { name: "votes" },
    ],
    rows: models.map(({ model, rank, rating, lower, upper, votes }) => [
      model,
      String(rank),
      points(rating),
      `${points(lower)} to ${points(upper)}`,
      count(votes),
    ]),
  });
}

// Units of the view box, which fits a phone without shrinking the text.
const [NAME, PLOT, ROW] = [140, 225, 22];
/** Characters of a name in the chart. */
const LONGEST_NAME = 20;

/** A dot with a line per model; the table above has its numbers. */
function intervalChart({ models }: Ranking): string {
  const low = Math.min(...models.map(({ lower }) => lower));
  const high = Math.max(...models.map(({ upper }) => upper));
  const span = high - low || 1;
  const x = (value: number) => (NAME + ((value - low) / span) * PLOT).toFixed(1);
  const height = models.length * ROW;
  const rows = models.map(({ model, rating, lower, upper }, i) => {
    const y = i * ROW + ROW / 2;
    const name = [...model].length > LONGEST_NAME ? `${[...model].slice(0, LONGEST_NAME - 1).join("")}…` : model;
    return (
      `<text class="tick" text-anchor="end" x="${NAME - 10}" y="${y + 4}">${escapeHtml(name)}</text>` +
      `<path class="line a" d="M${x(lower)} ${y}H${x(upper)}"/><circle class="mark a" cx="${x(rating)}" cy="${y}" r="4"/>`
    );
  });
  const axis = [low, (low + high) / 2, high].map(
    (value, i) =>
      `<path class="grid" d="M${x(value)} 0V${height}"/><text class="tick" text-anchor="${["start", "middle", "end"][i]}" x="${x(value)}" y="${height + 16}">${points(value)}</text>`,
  );
  return `<figure class="chart"><svg viewBox="0 0 ${NAME + PLOT + 10} ${height + 22}" role="img" aria-label="Ratings with intervals">${axis.join("")}${rows.join("")}</svg></figure>`;
}

function winMatrix({ models, pairs }: Ranking): string {
  const shown = models.slice(0, MOST_IN_MATRIX).map(({ model }) => model);
  const shares = new Map<string, Cell>();
  const key = (a: string, b: string) => JSON.stringify([a, b]);
  for (const { model_a, model_b, wins_a, wins_b, ties } of pairs) {
    const total = wins_a + wins_b + ties;
    shares.set(key(model_a, model_b), cell((wins_a + ties / 2) / total, total));
    shares.set(key(model_b, model_a), cell((wins_b + ties / 2) / total, total));
  }
  const note =
    models.length > MOST_IN_MATRIX
      ? paragraph(`The ${MOST_IN_MATRIX} best models; ranking.json contains all pairs.`, "small")
      : "";
  const matrix = table({
    label: "Win matrix",
    columns: [{ name: "model", kind: "text" }, ...shown.map((name) => ({ name }))],
    rows: shown.map((row) => [
      row,
      ...shown.map((column) => (row === column ? "–" : (shares.get(key(row, column)) ?? "·"))),
    ]),
  });
  return note + matrix;
}

const cell = (share: number, votes: number): Cell => ({
  html: `${percent(share, 0)}<small>${count(votes)}</small>`,
});
