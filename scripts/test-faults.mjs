/**
 * @file `npm run test:faults`: reproduces public bug reports that are kept outside the repository. QUERN_SHARED names a
 * folder in which `faults/NAME/run.sh` runs each case on a built checkout; this file lists the expected output. The last
 * line is `N passed, N failed`. The repository's tests check the same behaviour with their own inputs.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, install, requireNode } from "./steps.mjs";

const urls = (...paths) => [...paths.map((path) => `"url":"http://example.org/${path}"`)];

/** Texts that the output must contain, patterns that it must not match, and how often a text must occur. */
const EXPECTED = {
  "01-jinja-strip-characters": { has: ["\\n  - step one\\n</think>\\n\\n    return x"] },
  "02-jinja-python-values": { has: ["True|None|['a', True, None]|{'a': 1}|2.0|Hello world"] },
  "04-jinja-missing-constructs": { has: ['render "{{x}}|3|a|b"'] },
  "06-digits-pretokenizer": { has: ["[262,221,17,18,19,20,534]"] },
  "07-truncation-kept-in-file": { has: ["[72,354,338]"] },
  "08-generation-config-ends": { not: [/quern/] },
  "10-index-lists-tied-head": { has: ['"nats_per_token":6.43486'] },
  "11-safetensors-newer-types": { has: ['"nats_per_token":6.51099'] },
  "13-content-encoding-unknown": { has: urls("none", "utf8", "8bit", "aws", "quoted") },
  "14-content-encoding-already-undone": { has: urls("br", "deflate") },
  "16-chunk-sizes-padded": { has: ["the bread of the village."], not: [/0{10}/, /\\n0"/] },
  "17-content-type-malformed": { has: urls("nosemi", "twice", "quoted", "html", "any") },
  "18-arc-space-in-address": { has: urls("one", "two", "three") },
  "20-robots-sitemap-in-group": { has: ["false"], not: [/true/] },
  "22-query-not-utf8": { has: ["s?q=%EF%F0%E8", "s?q=%EC%E8%F0", "2 documents, 2 kept"] },
  "23-sid-is-an-address": { has: ["sid=07/01/02/0304", "sid=99/09/08/1234", "#!topic/a", "#!topic/b"] },
  "25-redirect-raw-utf8": { has: ["/%D0%BF%D1%83%D1%82%D1%8C", "/s?q=%EF%F3%F2%FC", "/ziel-%C3%BC"] },
  "26-charset-in-a-comment": { has: ['"charset":"utf-8"'], not: [/\ufffd/] },
  "28-undeclared-central-european": {
    has: ["Starý mlýn stojí u řeky", "prie upės", "Stary młyn stoi nad rzeką", "lângă râu", "nehrin kıyısında"],
  },
  "30-standfirst-in-header": { has: ["The old mill is saved\\n", "the council has said on Monday evening."] },
  "31-label-in-list": { has: ["500 g flour", "1 tsp salt"] },
  "33-superscript": { not: [/\b106\b/] },
  "34-declarative-shadow-dom": { has: ["Sentence number 3 tells"] },
  "35-json-ld-semicolon": { times: ["The council voted on Monday", 2] },
  "36-pii-email-in-long-address": { not: [/@gmail/] },
  "37-pii-ip-in-logs": { has: ["OpenSSL 1.1.1.1"], not: [/93\.184|8\.8\.4\.4|23\.12/] },
  "40-json-gz-is-lines": { has: ["3 documents"] },
  "41-zstd-long-window": { has: ["20000"] },
  "43-robots-txt-is-no-document": { not: [/"url"/] },
  "44-fp8-weights": { has: ['"nats_per_token":6.51283'] },
  "45-refrain": { times: ["Turn, wheel, turn", 3] },
  "parquet-hangs": { not: [/exit 137/] },
};

requireNode();
const shared = process.env.QUERN_SHARED;
const faults = join(shared ?? "", "faults");
if (shared === undefined || !existsSync(faults)) {
  console.error("quern: set QUERN_SHARED to a folder that contains faults/; npm run test:faults has nothing to run");
  process.exit(1);
}
install();
if (build() !== 0) process.exit(1);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), "quern-faults-"));
let passed = 0;
let failed = 0;
try {
  for (const name of readdirSync(faults).filter((name) => existsSync(join(faults, name, "run.sh")))) {
    const { stdout, stderr, signal } = spawnSync("sh", [join(faults, name, "run.sh")], {
      encoding: "utf8",
      env: { ...process.env, QUERN: root, TMPDIR: folder },
      timeout: 300_000,
    });
    const wrong = signal === null ? problemOf(name, stdout + stderr) : "it did not end within five minutes";
    if (wrong === undefined) passed += 1;
    else failed += 1;
    console.log(`${wrong === undefined ? "passed" : "FAILED"} ${name}${wrong === undefined ? "" : `: ${wrong}`}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

/** Returns the problem with a case's output; undefined if it is as expected. */
function problemOf(name, output) {
  const expected = EXPECTED[name];
  if (expected === undefined) return "scripts/test-faults.mjs has no expected output for it";
  const { has = [], not = [], times } = expected;
  if (/internal error: |^ {4}at .*:\d+:\d+/m.test(output)) return `it crashed: ${output.slice(0, 300)}`;
  const missing = has.find((text) => !output.includes(text));
  if (missing !== undefined) return `no ${JSON.stringify(missing)} in ${JSON.stringify(output.slice(0, 300))}`;
  const found = not.find((pattern) => pattern.test(output));
  if (found !== undefined) return `${found} in ${JSON.stringify(output.slice(0, 300))}`;
  if (times !== undefined && output.split(times[0]).length - 1 !== times[1])
    return `not ${times[1]} times "${times[0]}"`;
  return undefined;
}
