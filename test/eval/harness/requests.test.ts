import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { ChatTurn } from "../../../src/eval/harness/contexts.js";
import { readTaskDocuments } from "../../../src/eval/harness/documents.js";
import { TaskRegistry } from "../../../src/eval/harness/registry.js";
import {
  buildRequests,
  type EvalRequest,
  fewshotCount,
  type RequestOptions,
} from "../../../src/eval/harness/requests.js";
import { PythonFloat } from "../../../src/tokenizer/index.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../fixtures/eval/harness");
/** Made by test/oracle/lm_eval_requests.py. */
const { made_group: group, ...expected } = JSON.parse(readFileSync(join(root, "requests.json"), "utf8"));

/** The oracle's chat template. */
function chat(turns: readonly ChatTurn[], addGenerationPrompt: boolean): string {
  const text = turns.map(({ role, content }) => `<${role}>${content}</>`).join("");
  return addGenerationPrompt ? `${text}<assistant>` : text.slice(0, -3);
}

const VARIANTS: Readonly<Record<string, RequestOptions>> = {
  plain: {},
  shots: { numFewshot: 2 },
  chat: { numFewshot: 2, chat, fewshotAsMultiturn: true, system: "Be brief." },
  "one turn": { numFewshot: 2, chat, fewshotAsMultiturn: false },
};

/** Lists a request as the oracle does. */
function asOracle(request: EvalRequest): unknown[] {
  const head = [request.documentIndex, request.index, request.type];
  if (request.type === "loglikelihood") return [...head, request.context, request.continuation];
  if (request.type === "loglikelihood_rolling") return [...head, request.text];
  const options = Object.entries(request.options).map(([key, value]) => [
    key,
    value instanceof PythonFloat ? value.value : value,
  ]);
  return [...head, request.context, Object.fromEntries(options)];
}

describe("requests", () => {
  const registry = new TaskRegistry();
  registry.addFolder(join(root, "tasks"));

  for (const [name, variants] of Object.entries<Record<string, unknown>>(expected)) {
    for (const [variant, wanted] of Object.entries(variants)) {
      it(`equal lm-eval's: ${name}, ${variant}`, async () => {
        const task = registry.select([name]).tasks.get(name)!;
        const options = VARIANTS[variant];
        const build = async () => {
          const shots = fewshotCount(task, options.numFewshot);
          const documents = await readTaskDocuments(task, shots, { data: join(root, "data") });
          return (await buildRequests(task, documents, options)).map(asOracle);
        };
        if (Array.isArray(wanted)) expect(await build()).toEqual(wanted);
        else await expect(build()).rejects.toThrow(`task ${name}`);
      });
    }
  }

  it("gives the tasks of a group its overrides", () => {
    const { tasks, groups } = registry.select(["made_group"]);
    const found = [...tasks].map(([name, { config }]) => [name, [config.numFewshot, config.description]]);
    expect(Object.fromEntries(found)).toEqual(group.tasks);
    const children = [...groups].map(([name, { children }]) => [name, children.map((child) => child.name)]);
    expect(Object.fromEntries(children)).toEqual(group.groups);
  });
});
