import { describe, expect, it } from "vitest";
import { examineMachine, findCompiler, measurePeak, runnableSets } from "../../src/backends/index.js";

const compiler = await findCompiler();

describe("examineMachine", () => {
  it("tells what is here, with a line to set beside a figure", async () => {
    const report = await examineMachine({ measure: false });
    expect(report.cores).toBeGreaterThan(0);
    expect(report.freeMemory).toBeLessThanOrEqual(report.memory);
    expect(report.instructionSets).toContain(report.instructionSet);
    expect(report.peak).toBeNull();
    expect(report.line).toContain(report.processor);
    expect(report.line).toContain(report.instructionSet);
    expect(report.line).toMatch(/Node \d+\.\d+\.\d+, .*, \d{4}-\d\d-\d\d$/);
    expect(report.line).not.toContain("\n");
    expect(compiler === null).toBe(report.compiler === null);
  });
});

describe("measurePeak", () => {
  it("finds a peak that a processor of this century has", async () => {
    const peak = await measurePeak();
    expect(peak.gflopsOneThread).toBeGreaterThan(1);
    expect(peak.gflopsOneThread).toBeLessThan(2000);
    // Two products a lane take no longer than one; without the instruction there is nothing to measure.
    if (peak.bf16 > 0) expect(peak.bf16OneThread).toBeGreaterThan(1.2 * peak.gflopsOneThread);
    expect(peak.bf16 > 0).toBe(runnableSets(compiler).some((set) => set.bf16Products));
    expect(peak.gflops).toBeGreaterThan(0.5 * peak.gflopsOneThread); // other tests may hold the other cores
    expect(peak.read).toBeUndefined();
  });

  it.runIf(compiler !== null)("stops at the signal", async () => {
    await expect(measurePeak({ signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  });
});
