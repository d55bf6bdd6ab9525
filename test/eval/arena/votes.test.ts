import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetWriteFile } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { markdownCounts, styleOf } from "../../../src/eval/arena/style.js";
import { arenaRank, readVotes } from "../../../src/eval/index.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quern-arena-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, data: string) => {
  const path = join(folder, name);
  writeFileSync(path, data);
  return path;
};
const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

const rows = [
  { model_a: "x", model_b: "y", winner: "model_a", tstamp: 30.5 },
  { model_a: "y", model_b: "z", winner: "model_b", tstamp: 10 },
  { model_a: "z", model_b: "x", winner: "tie", tstamp: 20 },
  { model_a: "y", model_b: "x", winner: "tie (bothbad)", tstamp: 5 },
];
const same = { models: ["x", "y", "z"], first: [0, 1, 2, 1], second: [1, 2, 0, 0], outcome: [1, 0, 0.5, 0.5] };
const shape = async (paths: readonly string[]) => {
  const { models, first, second, outcome, time, report } = await readVotes(paths);
  return { votes: { models, first: [...first], second: [...second], outcome: [...outcome] }, time, report };
};

describe("votes", () => {
  it("reads JSONL, JSON, CSV and Parquet", async () => {
    const csv = `,model_a,model_b,winner,tstamp\n${rows.map((row, i) => [i, ...Object.values(row)].join(",")).join("\n")}`;
    const parquet = join(folder, "votes.parquet");
    const column = (name: keyof (typeof rows)[0]) => rows.map((row) => row[name]);
    parquetWriteFile({
      filename: parquet,
      columnData: [
        ...(["model_a", "model_b", "winner"] as const).map((name) => ({ name, data: column(name) })),
        { name: "tstamp", data: column("tstamp"), type: "DOUBLE" },
      ],
    });
    for (const path of [
      file("votes.jsonl", lines(rows)),
      file("votes.json", JSON.stringify(rows, null, 2)),
      file("votes.csv", csv),
      parquet,
    ]) {
      const { votes, time } = await shape([path]);
      expect(votes).toEqual(same);
      expect([...(time ?? [])]).toEqual([30.5, 10, 20, 5]);
    }
    const twice = await shape([parquet, join(folder, "votes.csv"), join(folder, "votes.jsonl")]);
    expect(twice.votes.outcome).toEqual([...same.outcome, ...same.outcome, ...same.outcome]);
    expect(twice.report.read).toEqual({ files: 3, documents: 12, rows: 12 });
  });

  it("reads lm-arena's columns: one flag per result, both_bad, dates", async () => {
    const flags = rows.map(({ model_a, model_b, winner }) => ({
      ...{
        model_a,
        model_b,
        winner_model_a: Number(winner === "model_a"),
        winner_model_b: Number(winner === "model_b"),
      },
      winner_tie: Number(winner.startsWith("tie")),
    }));
    expect((await shape([file("flags.jsonl", lines(flags))])).votes).toEqual(same);
    const text = `model_a,model_b,winner_model_a,winner_model_b,winner_tie\n${flags.map((row) => Object.values(row).join(",")).join("\n")}`;
    expect((await shape([file("flags.csv", text)])).votes).toEqual(same);
    const dated = rows.map(({ winner, tstamp, ...row }, i) => ({
      ...row,
      winner: winner === "tie (bothbad)" ? "both_bad" : winner,
      timestamp: `2025-07-0${i + 1} 12:00:00`,
    }));
    const { votes, time } = await shape([file("dated.jsonl", lines(dated))]);
    expect(votes).toEqual(same);
    expect(time?.[1]).toBe((time?.[0] ?? 0) + 86_400);
  });

  it("reads a judge's annotations as its votes", async () => {
    const preference = (winner: string) => (winner === "model_a" ? 1.2 : winner === "model_b" ? 2 : 1.5);
    const judged = rows.map(({ model_a, model_b, winner }) => ({
      ...{ generator_1: model_a, generator_2: model_b, preference: preference(winner) },
      ...{ instruction: "x", output_1: "sixsix", output_2: "or" },
    }));
    const path = file("judged.json", JSON.stringify([...judged, { ...judged[0], preference: null }]));
    const { votes, report } = await shape([path]);
    expect(votes).toEqual(same);
    expect(report.skipped).toEqual({ unknown_winner: 1 });
    expect([...(await readVotes([path], { style: true })).style.slice(0, 4)]).toEqual([0.5, 0, 0, 0]);
  });

  it("counts lines that are not votes by reason, and a last line that is cut", async () => {
    const text =
      lines([
        ...rows,
        { model_a: "x", winner: "model_a" },
        { model_a: "x", model_b: " ", winner: "tie" },
        { model_a: "x", model_b: "x", winner: "tie" },
        { model_a: "x", model_b: "y", winner: "model_c" },
        { model_a: "x", model_b: "y", winner: null },
        { model_a: "x", model_b: "y" },
      ]) + '[1]\n{"model_a": "x", "model_b": "y", "winn';
    const path = file("cut.jsonl", text);
    const { votes, report } = await shape([path]);
    expect(votes).toEqual(same);
    expect(report.skipped).toEqual({ no_model: 2, not_an_object: 1, not_json: 1, same_model: 1, unknown_winner: 3 });
    expect(report.skippedAt.no_model[0]).toBe(`${path}, line 5: has no "model_b"; its keys are model_a, winner`);
    expect(report.skippedAt.unknown_winner[0]).toContain('the winner "model_c" is not model_a, model_b, tie');
    expect(report.skippedAt.not_json[0]).toContain("line 12");
    await expect(readVotes([path], { strict: true })).rejects.toThrow(/line 5.*--strict/);
    const json = file("cut.json", JSON.stringify(rows, null, 1).slice(0, -40));
    expect(await shape([json])).toMatchObject({
      votes: { outcome: [1, 0, 0.5] },
      report: { skipped: { not_json: 1 } },
    });
    const csv = file("cut.csv", "model_a,model_b,winner\nx,y,model_a\ny,x,mod");
    expect(await shape([csv])).toMatchObject({ votes: { outcome: [1] }, report: { skipped: { unknown_winner: 1 } } });
  });

  it("refuses files without votes", async () => {
    await expect(readVotes([file("none.jsonl", '{"a": 1}\n')])).rejects.toThrow(/no votes in .*no_model.*line 1/);
    await expect(readVotes([file("empty.csv", "")])).rejects.toThrow(/no votes in .*model_a, model_b and winner/);
    await expect(readVotes([file("empty.jsonl", "")])).rejects.toThrow(/empty.jsonl/);
    await expect(readVotes([join(folder, "missing.csv")])).rejects.toThrow(/missing.csv/);
    await expect(readVotes([join(folder, "missing.jsonl")])).rejects.toThrow(/missing.jsonl/);
  });
});

describe("style", () => {
  it("counts code points and Markdown outside fenced code", () => {
    const answer =
      "# Head\n\n- one **bold**\n* two __more__\n1. three\ntext - no **not closed\n```\n# code\n- code\n```\n## Head 2 🙂";
    expect(markdownCounts(answer)).toEqual([[...answer].length, 2, 3, 2]);
  });

  it("compares conversations of all forms, and prefers conv_metadata", () => {
    const chat = (content: unknown) => [
      { role: "user", content: "a long question that does not count" },
      { role: "assistant", content },
    ];
    const expected = [(6 - 2) / 8, 0, 0, 0];
    const forms = [
      { conversation_a: chat("sixsix"), conversation_b: chat("or") },
      {
        conversation_a: chat([{ type: "text", text: "sixsix" }]),
        conversation_b: chat([{ type: "text", text: "or" }]),
      },
      { conversation_a: JSON.stringify(chat("sixsix")), conversation_b: JSON.stringify(chat("or")) },
      { response_a: '["sixsix"]', response_b: '["or"]' },
      { response_a: "sixsix", response_b: "or" },
    ];
    for (const form of forms) expect(styleOf(form)).toEqual(expected);
    const conv_metadata = {
      ...{
        sum_assistant_a_tokens: 30,
        sum_assistant_b_tokens: 10,
        header_count_a: { h1: 1, h2: 2 },
        header_count_b: { h1: 0 },
      },
      ...{ list_count_a: { ordered: 1, unordered: 0 }, list_count_b: { ordered: 2, unordered: 1 } },
      ...{ bold_count_a: { "**": 0, __: 0 }, bold_count_b: { "**": 0, __: 0 } },
    };
    expect(styleOf({ ...forms[0], conv_metadata })).toEqual([0.5, 1, -0.5, 0]);
    expect(styleOf({ ...forms[0], conv_metadata: { turns: 1 } })).toEqual(expected);
    expect(styleOf({ conversation_a: chat("x") })).toBeUndefined();
  });

  it("removes the advantage of a model that only writes more", async () => {
    // The voters prefer length alone: style control makes the models equal.
    let state = 1;
    const uniform = () => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    const voted = Array.from({ length: 3000 }, (_, n) => {
      const swapped = n % 2 === 1;
      const [terse, wordy] = [20 + Math.floor(uniform() * 60), 40 + Math.floor(uniform() * 120)];
      const wins = uniform() < 1 / (1 + Math.exp((-2 * (wordy - terse)) / (wordy + terse)));
      const sides = [
        { model: "wordy", text: "w".repeat(wordy) },
        { model: "terse", text: "t".repeat(terse) },
      ];
      const [a, b] = swapped ? [sides[1], sides[0]] : sides;
      const winner = wins === (a.model === "wordy") ? "model_a" : "model_b";
      return { model_a: a.model, model_b: b.model, winner, response_a: a.text, response_b: b.text };
    });
    const path = file("style.jsonl", lines([...voted, { model_a: "wordy", model_b: "terse", winner: "tie" }]));
    const plain = await arenaRank({ files: [path] });
    const controlled = await arenaRank({ files: [path], style: true });
    const gap = (models: readonly { model: string; rating: number }[]) =>
      (models.find(({ model }) => model === "wordy")?.rating ?? 0) -
      (models.find(({ model }) => model === "terse")?.rating ?? 0);
    expect(plain.models.map(({ rank }) => rank)).toEqual([1, 2]);
    expect(gap(plain.models)).toBeGreaterThan(80);
    expect(Math.abs(gap(controlled.models))).toBeLessThan(30);
    expect(controlled.models.map(({ rank }) => rank)).toEqual([1, 1]);
    expect(controlled.skipped).toEqual({ no_conversation: 1 });
    expect(controlled.style?.map(({ feature }) => feature)).toEqual(["length"]);
    expect(controlled.style?.[0].lower).toBeGreaterThan(0);
    expect(controlled.warnings[0]).toContain("never differ in headers, lists, bold");
    expect((await arenaRank({ files: [path], style: true, bootstrap: 20 })).intervals).toBe("bootstrap");
  });
});

describe("arenaRank", () => {
  it("writes the leaderboard and the ranking", async () => {
    const out = join(folder, "board");
    const name = "<script>alert(1)</script>";
    const path = file("page.jsonl", lines([...rows, ...rows, { model_a: name, model_b: "x", winner: "tie" }, {}]));
    const ranking = await arenaRank({ files: [path], out });
    const written = JSON.parse(readFileSync(join(out, "ranking.json"), "utf8"));
    expect(written).toEqual(JSON.parse(JSON.stringify(ranking)));
    const html = readFileSync(join(out, "leaderboard.html"), "utf8");
    expect(html).not.toContain(name);
    for (const part of ["Arena leaderboard", "Win matrix", "more votes", "&#60;script", "skipped 1 no_model"]) {
      expect(html).toContain(part);
    }
    await expect(arenaRank({ files: [path], out })).rejects.toThrow("--force");
    await arenaRank({ files: [path], out, force: true, method: "elo", margin: undefined });
    expect(readFileSync(join(out, "leaderboard.html"), "utf8")).toContain("Elo ratings");
  });

  it("refuses options of the other method, and votes without the margin", async () => {
    const path = file("options.jsonl", lines(rows));
    await expect(arenaRank({ files: [path], k: 8 })).rejects.toThrow("k needs method elo");
    await expect(arenaRank({ files: [path], method: "elo", style: true })).rejects.toThrow("style needs method bt");
    await expect(arenaRank({ files: [path], method: "elo", margin: "goals" })).rejects.toThrow(/no_margin: .*"goals"/);
    await expect(arenaRank({ files: [path], style: true })).rejects.toThrow(/no_conversation/);
  });
});
