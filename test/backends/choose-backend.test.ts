/** `auto` takes what is measured to be fastest, and no software adapter. */
import { expect, it } from "vitest";
import type { Backend } from "../../src/backends/backend.js";
import { chooseFrom } from "../../src/backends/choose-backend.js";
import type { Program } from "../../src/backends/index.js";

const row = (name: string, report?: { gpu: string | null; isSoftware?: boolean; problem?: string }): Backend => ({
  name,
  choose: () => Promise.reject(new Error("not opened")),
  limits: () => ({ alignment: 64, maxBindingBytes: 64 }),
  open: () => Promise.reject(new Error("not opened")),
  ...(report ? { examineGpu: async () => ({ backend: name, ...report }) } : {}),
});

/** Programs that take so many milliseconds. */
const compile = (milliseconds: Readonly<Record<string, number>>) => async (backend: string) =>
  ({
    run: () => new Promise((resolve) => setTimeout(resolve, milliseconds[backend])),
    dispose: () => {},
  }) as unknown as Program;

it("takes the fastest device, and says what it compared", async () => {
  const table = [row("slow"), row("quick", { gpu: "A GPU" })];
  const choice = await chooseFrom(table, "auto", compile({ slow: 200, quick: 1 }));
  expect(choice.name).toBe("quick");
  expect(choice.line).toMatch(/^computing on quick: A GPU, the fastest here \(\d+ GFLOP\/s, slow \d+\)$/);
});

it("takes the first row where there is no GPU, or only software", async () => {
  const table = [
    row("first"),
    row("soft", { gpu: "SwiftShader", isSoftware: true }),
    row("none", { gpu: null, problem: "no driver (x)" }),
  ];
  const choice = await chooseFrom(table, "auto", compile({}));
  expect(choice).toEqual({
    name: "first",
    line: "computing on first, the only one here (not soft: SwiftShader; not none: no driver)",
  });
});

it("refuses a backend without its GPU, and an unknown one", async () => {
  const table = [row("first"), row("none", { gpu: null, problem: "no driver: install it" })];
  await expect(chooseFrom(table, "none", compile({}))).rejects.toThrow("no driver: install it");
  await expect(chooseFrom(table, "tpu", compile({}))).rejects.toThrow(
    'unknown backend "tpu"; available: auto, first, none',
  );
});
