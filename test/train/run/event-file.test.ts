/** Event files against TensorBoard's own writer (test/oracle/tensorboard_events.py). */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { createEventFile } from "../../../src/train/run/event-file.js";

const folder = mkdtempSync(join(tmpdir(), "quern-events-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const oracle = JSON.parse(
  readFileSync(new URL("../../oracle/fixtures/align/events.json", import.meta.url), "utf8"),
) as { wall_time: number; base64: string; steps: { step: number; scalars: Record<string, number> }[] };

it("writes the bytes that TensorBoard writes", async () => {
  let at = 0;
  const file = await createEventFile(folder, { firstStep: 1, now: () => oracle.wall_time + at });
  // The oracle's session begins a second later; everything after the first record is compared.
  for (const { step, scalars } of oracle.steps) {
    at = step;
    await file.append(step, scalars);
  }
  const [own, theirs] = [readFileSync(file.path), Buffer.from(oracle.base64, "base64")];
  expect(own.length).toBe(theirs.length);
  expect(own.subarray(0, 40)).toEqual(theirs.subarray(0, 40)); // the version of the format
  expect(own.subarray(40 + 31)).toEqual(theirs.subarray(40 + 31)); // the scalars
});

it("names files by the second and the host, and never writes into an earlier one", async () => {
  const now = () => 1_700_000_100.25;
  const [first, second] = [
    await createEventFile(folder, { firstStep: 1, now }),
    await createEventFile(folder, { firstStep: 5, now }),
  ];
  expect(first.path).toBe(join(folder, `events.out.tfevents.1700000100.${hostname()}`));
  expect(second.path).toBe(join(folder, `events.out.tfevents.1700000101.${hostname()}`));
});

it("says which folder cannot be written", async () => {
  await expect(createEventFile(join(folder, "none"), { firstStep: 1 })).rejects.toThrow(/cannot write .*none/);
});
