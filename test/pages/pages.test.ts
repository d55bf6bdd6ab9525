import { describe, expect, it } from "vitest";
import {
  bars,
  count,
  diffHtml,
  duration,
  escapeHtml,
  funnelPicture,
  histogram,
  markedHtml,
  page,
  plainNumber,
  renderChart,
  size,
  spansOf,
  table,
  textHtml,
  ticks,
} from "../../src/pages/index.js";

const attack = "<img src=x>";

describe("text in a page", () => {
  it("is escaped, also inside quotes", () => {
    expect(escapeHtml(`<a href="x" id='y'>&`)).toBe("&#60;a href=&#34;x&#34; id=&#39;y&#39;&#62;&#38;");
  });

  it("shows control characters, and mutes undecodable bytes", () => {
    expect(textHtml("a\u0001\ufffdb\n")).toBe('a<span class="muted">\ufffd\ufffd</span>b\n');
  });

  it("marks spans", () => {
    expect(markedHtml("a < b < c", spansOf("a < b < c", /</g))).toBe("a <mark>&#60;</mark> b <mark>&#60;</mark> c");
  });

  it("becomes NaN where a number is expected", () => {
    const hostile = attack as unknown as number;
    const documents = { in: hostile, kept: hostile, dropped: hostile, edited: hostile };
    const parts = [
      count(hostile),
      size(hostile),
      duration(hostile),
      bars([{ name: attack, value: hostile, note: attack }], hostile),
      funnelPicture([{ step: attack, documents }]),
      histogram(attack, [hostile], null),
      table({ label: attack, columns: [{ name: attack }], rows: [[attack]] }),
      page({ title: attack, subtitle: attack, conclusion: attack, sections: [] }),
    ];
    for (const part of parts) expect(part).not.toContain("<img");
  });
});

describe("diffHtml", () => {
  /** Returns the text of one side and its marked parts. */
  const marks = (html: string, tag: string) =>
    [...html.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, "gs"))].map(([, text]) => text.trim());
  const plain = (html: string) => html.replace(/<[^>]*>/g, "");

  it("marks words that only one side has", () => {
    const { left, right } = diffHtml("one two three four", "one 2 three four five");
    expect(marks(left, "del")).toEqual(["two"]);
    expect(marks(right, "ins")).toEqual(["2", "five"]);
  });

  it("marks nothing in equal texts, everything in disjoint ones, and loses no text", () => {
    expect(diffHtml("a b", "a b")).toEqual({ left: "a b", right: "a b" });
    expect(diffHtml("a b", "c").left).toBe("<del>a b</del>");
    expect(diffHtml("", "c").right).toBe("<ins>c</ins>");
    let state = 1;
    const random = (n: number) => {
      state = (state * 48271) % 2147483647;
      return state % n;
    };
    for (let round = 0; round < 200; round++) {
      const text = () => Array.from({ length: random(12) }, () => "abc"[random(3)]).join(" ");
      const [a, b] = [text(), text()];
      const { left, right } = diffHtml(a, b);
      expect([plain(left), plain(right)]).toEqual([a, b]);
      // The unmarked text is the same on both sides.
      const rest = (html: string, tag: string) =>
        plain(html.replace(new RegExp(`<${tag}>.*?</${tag}>`, "gs"), ""))
          .split(" ")
          .filter(Boolean)
          .join(" ");
      expect(rest(left, "del")).toBe(rest(right, "ins"));
    }
  });
});

describe("table", () => {
  it("omits empty columns and groups the others", () => {
    const html = table({
      label: "t",
      columns: [
        { name: "step", kind: "text" },
        { name: "in", group: "words" },
        { name: "cut", group: "words" },
      ],
      rows: [
        ["a", "1", ""],
        ["b", "2", ""],
      ],
    });
    expect(html).not.toContain("cut");
    expect(html).toContain('colspan="1"');
    expect(table({ label: "t", columns: [], rows: [] })).toBe("");
  });
});

describe("numbers", () => {
  it("are short", () => {
    expect([1200, 12_000, 3_400_000, 0.25, 0.0003, 0].map(plainNumber)).toEqual([
      "1200",
      "12k",
      "3.4M",
      "0.25",
      "3e-4",
      "0",
    ]);
    expect([999, 1234, 12_345_678, 2_500_000_000].map(size)).toEqual(["999 B", "1.2 kB", "12.35 MB", "2.50 GB"]);
    expect([41, 372, 7500].map(duration)).toEqual(["41 s", "6 min 12 s", "2 h 5 min"]);
  });
});

describe("renderChart", () => {
  it("draws only finite values, and nothing without any", () => {
    const chart = (points: [number, number][]) =>
      renderChart({ title: "t", xLabel: "step", series: [{ label: "a", color: "a", points, smooth: true }] });
    expect(chart([])).toBe("");
    expect(chart([[1, Number.NaN]])).toBe("");
    expect(
      chart([
        [1, 2],
        [2, Number.POSITIVE_INFINITY],
        [3, 2],
      ]),
    ).not.toMatch(/NaN|Infinity/);
  });

  it("puts ticks at round values around the range", () => {
    expect(ticks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticks(2.9, 9.3, 5)).toEqual([2, 4, 6, 8, 10]);
    expect(ticks(5, 5, 5)[0]).toBeLessThanOrEqual(5);
  });
});

it("adds a table with the numbers of a chart", () => {
  const points = Array.from({ length: 1000 }, (_, i) => [i + 1, i / 7] as const);
  const html = renderChart({ title: "t", xLabel: "step", series: [{ label: "loss", color: "a", points }] });
  const rows = [...html.matchAll(/<tr>/g)].length;
  expect(rows).toBeGreaterThan(10);
  expect(rows).toBeLessThan(60);
  expect(html).toContain("The numbers");
});
