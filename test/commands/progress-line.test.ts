import { describe, expect, it } from "vitest";
import { createProgressLine, duration, formatProgress } from "../../src/commands/progress-line.js";

function stage(isTTY: boolean) {
  const written: string[] = [];
  let time = 0;
  const stream = { isTTY, columns: 60, write: (text: string) => written.push(text) };
  const line = createProgressLine(stream, () => time);
  return { written, line, at: (milliseconds: number) => (time = milliseconds) };
}

describe("formatProgress", () => {
  it("shows the amount done, the rate and the time left", () => {
    const progress = { task: "pretrain", done: 120, total: 2000, unit: "step", note: "loss 4.31" };
    expect(formatProgress(progress, 3.2)).toBe("pretrain  120/2000 step  6 %  3.20 step/s  9 min 48 s left  loss 4.31");
    expect(formatProgress({ task: "read", done: 1_500_000, total: 2_000_000, unit: "byte" }, 1e6)).toBe(
      "read  1.5/2.0 MB  75 %  1.0 MB/s  1 s left",
    );
    expect(formatProgress({ task: "crawl", done: 17, unit: "page" }, undefined)).toBe("crawl  17 page");
    expect(formatProgress({ task: "nothing", done: 0, total: 0, unit: "step" }, undefined)).toContain("100 %");
  });

  it("drops the rate and the percentage before the note", () => {
    const note = "loss 4.310, 13617 tokens/s, 41 % of peak";
    const progress = { task: "train", done: 120, total: 2000, unit: "step", note };
    expect(formatProgress(progress, 11.2, 79)).toBe(`train  120/2000 step  2 min 48 s left  ${note}`);
    expect(formatProgress(progress, 11.2, 90)).toContain("6 %");
    expect(formatProgress(progress, 11.2, 20)).toBe("train  120/2000 ste…");
  });

  it("formats durations", () => {
    expect([0.2, 59, 61, 3600, 7500].map(duration)).toEqual(["1 s", "59 s", "1 min 1 s", "1 h 0 min", "2 h 5 min"]);
  });
});

describe("createProgressLine", () => {
  it("redraws one line on a terminal, with limited rate and width", () => {
    const { written, line, at } = stage(true);
    for (let time = 0; time <= 1000; time += 10) {
      at(time);
      line.onProgress({
        task: "train",
        done: time,
        total: 2000,
        unit: "step",
        note: "a note that is very long ".repeat(4),
      });
    }
    expect(written.length).toBe(11);
    for (const text of written) {
      expect(text.startsWith("\r\u001b[K")).toBe(true);
      expect(text.length - 4).toBeLessThan(60);
    }
    expect(written.at(-1)).toContain("1 s left");
    line.clear();
    line.clear();
    expect(written.length).toBe(12);
  });

  it("writes an occasional plain line elsewhere", () => {
    const { written, line, at } = stage(false);
    for (let time = 0; time <= 30_000; time += 100) {
      at(time);
      line.onProgress({ task: "train", done: time, total: 30_000, unit: "step" });
    }
    expect(written.length).toBe(3);
    for (const text of written) expect(text).toMatch(/^train {2}.*\n$/);
  });

  it("prints nothing for short tasks", () => {
    const { written, line, at } = stage(false);
    for (const [time, task] of [
      [0, "fetch"],
      [500, "read"],
      [900, "write"],
    ] as const) {
      at(time);
      line.onProgress({ task, done: 1, total: 1, unit: "file" });
    }
    expect(written).toEqual([]);
  });
});
