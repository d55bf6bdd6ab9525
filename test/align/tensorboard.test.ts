/** `--report-to tensorboard`: the scalars of metrics.jsonl in event files, before and after a resume. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { sft } from "../../src/align/index.js";
import { POLICY, scratch } from "./fixtures.js";

const files = scratch();
afterAll(() => files.remove());

interface ReadEvent {
  readonly step: number;
  readonly begins: boolean;
  readonly scalars: Readonly<Record<string, number>>;
}

/** Reads an event file; checksums are compared with TensorBoard's in test/train/run/event-file.test.ts. */
function readEvents(path: string): ReadEvent[] {
  const bytes = readFileSync(path);
  const events: ReadEvent[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const fields = fieldsOf(bytes.subarray(at + 12, at + 12 + length));
    const values = fields.filter(([number]) => number === 5).flatMap(([, summary]) => fieldsOf(summary as Buffer));
    const scalars = values.map(([, value]) => {
      const [[, tag], [, number]] = fieldsOf(value as Buffer);
      return [(tag as Buffer).toString(), number as number];
    });
    const step = fields.find(([number]) => number === 2)?.[1] ?? 0;
    events.push({
      step: step as number,
      begins: fields.some(([number]) => number === 7),
      scalars: Object.fromEntries(scalars),
    });
    at += 16 + length;
  }
  return events;
}

/** Fields of a message of Protocol Buffers. */
function fieldsOf(bytes: Buffer): [number: number, value: number | Buffer][] {
  const fields: [number, number | Buffer][] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const size = { 1: 8, 5: 4 }[key & 7] ?? ((key & 7) === 2 ? varint() : 0);
    if ((key & 7) === 0) fields.push([key >> 3, varint()]);
    else if ((key & 7) === 1) fields.push([key >> 3, bytes.readDoubleLE(at)]);
    else if ((key & 7) === 5) fields.push([key >> 3, bytes.readFloatLE(at)]);
    else fields.push([key >> 3, bytes.subarray(at, at + size)]);
    at += size;
  }
  return fields;
}

it("writes what metrics.jsonl has, and a new file when a run is resumed", { timeout: 60_000 }, async () => {
  const rows = Array.from({ length: 8 }, (_, i) => ({ prompt: `${i} and 1 is`, completion: ` ${i + 1}` }));
  const data = [files.jsonl("data.jsonl", rows)];
  const out = files.path("run");
  const stop = new AbortController();
  const options = { model: POLICY, data, evalData: data, out, steps: 4, batch: 2, evalEvery: 2, threads: 1 };
  const interrupted = sft({
    ...{ ...options, reportTo: "tensorboard", signal: stop.signal },
    onProgress: ({ task, done }) => void (task === "train" && done === 2 && stop.abort()),
  });
  await expect(interrupted).rejects.toThrow("interrupted at step 2");
  await sft({ out, resume: true });

  const names = readdirSync(out).filter((name) => name.startsWith("events.out.tfevents."));
  expect(names).toHaveLength(2);
  const [first, second] = names.sort().map((name) => readEvents(join(out, name)));
  expect(first.map(({ step }) => step)).toEqual([0, 1, 1, 2]);
  expect(second.filter(({ begins }) => begins).map(({ step }) => step)).toEqual([3]);
  expect(Math.min(...second.slice(1).map(({ step }) => step))).toBe(3);

  const lines = files.lines("run/metrics.jsonl");
  const shown = [...first, ...second].filter(({ scalars }) => Object.keys(scalars).length > 0);
  expect(shown).toHaveLength(lines.length);
  for (const [i, { step, ...line }] of lines.entries()) {
    expect(shown[i].step).toBe(step);
    for (const [name, value] of Object.entries(line)) {
      const tag = name.startsWith("validation_") ? name.replace("validation_", "validation/") : `train/${name}`;
      expect(shown[i].scalars[tag], tag).toBe(Math.fround(value));
    }
  }
});
