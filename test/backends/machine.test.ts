import { describe, expect, it } from "vitest";
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import { examineMachine, measurePeak } from "../../src/backends/index.js";

const compiler = await findCompiler();

describe("examineMachine", () => {
  it("describes the machine, with a line to quote with a benchmark figure", async () => {
    const report = await examineMachine({ measure: false });
    expect(report.cores).toBeGreaterThan(0);
    expect(report.freeMemory).toBeLessThanOrEqual(report.memory);
    expect(report.instructionSets).toContain(report.instructionSet);
    expect(report.peak).toBeNull();
    expect(report.bf16InstructionSet).toBeNull();
    expect(report.line).toContain(report.processor);
    expect(report.line).toContain(report.instructionSet);
    expect(report.line).toMatch(/Node \d+\.\d+\.\d+, .*, \d{4}-\d\d-\d\d$/);
    expect(report.line).not.toContain("\n");
    expect(compiler === null).toBe(report.compiler === null);
  });
});

describe("measurePeak", () => {
  it("measures every peak, and 0 for bf16 without bf16 products", async () => {
    // The figures depend on the machine; bf16.test.ts tests bf16IsFaster, which compares them.
    const peak = await measurePeak();
    const hasBf16 = runnableSets(compiler).some((set) => set.bf16Products);
    for (const figure of [peak.gflopsOneThread, peak.gflops]) expect(figure).toBeGreaterThan(0);
    expect([peak.bf16OneThread > 0, peak.bf16 > 0]).toEqual([hasBf16, hasBf16]);
    const hasTiles = runnableSets(compiler).some((set) => set.tiles);
    expect([peak.amxOneThread > 0, peak.amx > 0]).toEqual([hasTiles, hasTiles]);
    expect(peak.read).toBeUndefined();
  });

  it.runIf(compiler !== null)("stops at the signal", async () => {
    await expect(measurePeak({ signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  });
});
