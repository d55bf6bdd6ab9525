/**
 * @file `npm test`: installs dependencies if needed, checks types, lints, builds and runs the tests (`npm test -- test/model`
 * runs some). The last line is `N passed, N failed`; the type check, the lint and the build count as one test each.
 * With --slow it runs the files `*.slow.test.ts` too, as `npm run test:all` does.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, install, requireNode, runTool } from "./steps.mjs";

requireNode();
install();

let passed = 0;
let failed = 0;
let skipped = 0;

function step(name, work) {
  console.log(`\n${name}`);
  const start = performance.now();
  const code = work();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${name}: ${code === 0 ? "passed" : "FAILED"} (${seconds} s)`);
  if (code === 0) passed += 1;
  else failed += 1;
}

step("type check", () =>
  Math.max(...["tsconfig.check.json", "tsconfig.page.json"].map((project) => runTool("typescript", ["-p", project]))),
);
step("lint and format", () => runTool("@biomejs/biome", ["check", "--error-on-warnings"]));
step("build", () => build());

console.log("\ntests");
const folder = mkdtempSync(join(tmpdir(), "quern-test-"));
const report = join(folder, "report.json");
try {
  const vitest = [
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...process.argv.slice(2).filter((word) => word !== "--slow"),
  ];
  const code = runTool("vitest", vitest, process.argv.includes("--slow") ? { QUERN_TEST_SLOW: "1" } : {});
  const result = readReport(report);
  passed += result.passed;
  failed += result.failed;
  skipped += result.skipped;
  // Counts a failure outside any test, such as running out of memory.
  if (code !== 0 && result.failed === 0) failed += 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (skipped > 0) console.log(`\n${skipped} tests were skipped; see the reasons above`);
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

function readReport(path) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(path, "utf8"));
    // A file that fails to load reports no tests, so count it as one failure.
    const broken = testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length;
    return { passed: numPassedTests, failed: numFailedTests + broken, skipped: numPendingTests };
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}
