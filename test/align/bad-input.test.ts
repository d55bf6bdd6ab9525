/** Wrong input of every kind: one clear error with its exit code, or a count; checkpoints that are there stay. */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dpo, grpo, merge, ppo, QuernError, reward, sft } from "../../src/align/index.js";
import { pretrain } from "../../src/train/index.js";
import { POLICY, scratch } from "./fixtures.js";

const files = scratch();
afterAll(() => files.remove());

let runs = 0;
const common = () => ({ model: POLICY, out: files.path(`run-${runs++}`), steps: 1, batch: 2, threads: 1 });
const file = (name: string, text: string) => {
  writeFileSync(files.path(name), text);
  return files.path(name);
};
const user = { role: "user", content: "hi" };
const assistant = { role: "assistant", content: "yo" };
const pair = { prompt: "a", chosen: "b", rejected: "c" };

/** The error of a call: one sentence. */
async function failure(call: Promise<unknown>) {
  const error = await call.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason as QuernError,
  );
  expect(error).toBeInstanceOf(QuernError);
  expect(error.message).not.toMatch(/\n|undefined|NaN of|\[object/);
  return error as QuernError;
}

/** A run that is planned, and what it says about its data. */
async function notes<O extends object>(verb: (options: O) => Promise<unknown>, options: O) {
  const said: string[] = [];
  await verb({ ...options, dryRun: true, onNote: (line: string) => void said.push(line) });
  return said.join("\n");
}

describe("conversations", () => {
  const chats = (...rows: object[]) => [files.jsonl(`chats-${runs++}.jsonl`, rows)];
  const run = (data: string[], more = {}) => failure(sft({ ...common(), data, ...more }));

  it.each([
    ["nosuch.jinja", /cannot read nosuch\.jinja/, 2],
    ["chatlm", /no chat template "chatlm"; did you mean "chatml"/, 2],
    [file("syntax.jinja", "{% for m in"), /line 1: the chat template cannot be parsed/, 1],
    [file("roles.jinja", '{{ raise_exception("roles must alternate") }}'), /line 1: .*roles must alternate/, 1],
  ])("template %s", async (template, message, exitCode) => {
    const error = await run(chats({ messages: [user, assistant] }), { template });
    expect(error.message).toMatch(message);
    expect(error.exitCode).toBe(exitCode);
  });

  it.each([
    [
      "an unknown role",
      [{ role: "alien", content: "x" }],
      /line 1: message 1 of messages has the role "alien"; known are system/,
    ],
    [
      "ShareGPT's role",
      [user, { role: "gpt", content: "x" }],
      /message 2 .*has the role "gpt"; did you mean "assistant"\?/,
    ],
    ["a role that is no text", [{ role: 7, content: "x" }], /message 1 of messages is not an object with a role/],
    ["no content", [{ role: "user" }, assistant], /message 1 of messages has no content/],
    ["a number", [{ role: "user", content: 5 }], /has the content 5, which is no text/],
    ["no messages", [], /the conversation has no messages/],
    ["nothing to learn", [user], /no token to learn in 1 example;/],
  ])("%s", async (_, messages, message) => {
    const error = await run(chats({ messages }));
    expect(error.message).toMatch(message);
    expect(error.exitCode).toBe(2);
  });

  it("takes a call of a tool without content", async () => {
    const call = { role: "assistant", tool_calls: [{ function: { name: "f", arguments: {} } }], content: "" };
    expect(await notes(sft, { ...common(), data: chats({ messages: [user, call] }) })).not.toMatch(/empty/);
  });

  it("counts empty answers", async () => {
    const data = chats({ messages: [user, { ...assistant, content: " " }] }, { messages: [user, assistant] });
    expect(await notes(sft, { ...common(), data })).toMatch(/^1 example has an empty answer/m);
  });

  it("refuses files without rows, of another form, or missing ones", async () => {
    expect((await run([file("empty.jsonl", "")])).message).toMatch(/empty\.jsonl/);
    expect((await run([file("text.jsonl", "not json")])).message).toMatch(/text\.jsonl, line 1/);
    expect((await run(chats(pair))).message).toMatch(
      /a preference example; .* needed are prompt, completion; or messages/,
    );
    expect((await run([files.path("none.jsonl")])).message).toMatch(/none\.jsonl: there is no such file/);
  });
});

describe("preferences", () => {
  const verbs = { dpo, reward };
  describe.each(["dpo", "reward"] as const)("%s", (name) => {
    const run = (rows: object[], more = {}) =>
      failure(verbs[name]({ ...common(), data: [files.jsonl(`pairs-${runs++}.jsonl`, rows)], ...more }));

    it("refuses a file of conversations, and answers that are not the assistant's", async () => {
      const error = await run([{ messages: [user, assistant] }]);
      expect(error.message).toMatch(/line 1: the row is a messages example; .* needed are .*chosen, rejected/);
      expect(error.exitCode).toBe(2);
      const turned = await run([{ prompt: [user], chosen: [user], rejected: [assistant] }]);
      expect(turned.message).toMatch(/chosen ends with a message of the role "user"/);
      expect((await run([{ prompt: [user], chosen: [], rejected: [assistant] }])).message).toMatch(
        /chosen has no messages/,
      );
    });

    it("counts equal and empty answers", async () => {
      const rows = [pair, { ...pair, rejected: "b" }, { ...pair, rejected: "" }];
      const said = await notes(verbs[name], { ...common(), data: [files.jsonl(`${name}.jsonl`, rows)] });
      expect(said).toMatch(/^1 preference has equal answers/m);
      expect(said).toMatch(/^1 preference has an empty answer/m);
    });
  });
});

describe("other models", () => {
  const other = files.path("other");
  const data = [files.jsonl("pairs.jsonl", [pair, pair])];
  beforeAll(async () => {
    const documents = Array.from({ length: 4 }, (_, i) => ({ id: String(i), text: "Water is wet. ".repeat(40) }));
    const size = { layers: 1, width: 32, heads: 1, vocabSize: 270, sequence: 32, batch: 2, steps: 1 };
    await pretrain({ documents, out: other, ...size });
  });

  it("refuses a reference of another vocabulary, and one that is missing", async () => {
    const error = await failure(dpo({ ...common(), data, reference: other }));
    expect(error.message).toMatch(/reference .*other has \d+ tokens and the model 260/);
    expect((await failure(dpo({ ...common(), data, reference: "nowhere" }))).message).toMatch(/nowhere/);
  });

  it("refuses a value model of another shape", async () => {
    const prompts = [files.jsonl("prompts.jsonl", [{ prompt: "say" }])];
    const options = { ...common(), prompts, reward: [`exact`], tokens: 4, value: other };
    expect((await failure(ppo(options))).message).toMatch(/other has other sizes than the policy/);
  });

  it("refuses an adapter of another model", async () => {
    const lora = common();
    await sft({ ...lora, data: [files.jsonl("qa.jsonl", [{ prompt: "a", completion: "b" }])], lora: 2 });
    const call = merge({ model: other, adapter: lora.out, out: files.path("merged") });
    expect((await failure(call)).message).toMatch(/the adapter belongs to another model/);
    const none = merge({ adapter: other, out: files.path("merged") });
    expect((await failure(none)).message).toMatch(/is no LoRA adapter/);
  });
});

describe("rollouts", () => {
  const prompts = [files.jsonl("say.jsonl", [{ prompt: "say" }, { prompt: "x".repeat(3000) }])];
  const options = () => ({ ...common(), prompts, tokens: 4, group: 2 });
  const run = (more: object) => failure(grpo({ ...options(), reward: ["exact"], ...more }));

  it("counts prompts that are longer than the model, and refuses where none is left", async () => {
    expect(await notes(grpo, { ...options(), reward: ["exact"] })).toMatch(
      /^1 prompt dropped: longer than 508 tokens/m,
    );
    const long = [files.jsonl("long.jsonl", [{ prompt: "x".repeat(3000) }])];
    expect((await run({ prompts: long })).message).toMatch(/the prompt is longer than 508 tokens/);
    expect((await run({ tokens: 512 })).message).toMatch(/--tokens leaves no room for a prompt/);
  });

  it.each([
    ["throws.ts", 'throw new Error("boom")', /the reward throws failed \(boom at .*\) for .*say\.jsonl, line 1/, 1],
    ["nan.ts", "return NaN", /the reward nan returned NaN for .*say\.jsonl, line 1/, 1],
    ["text.ts", 'return "1"', /the reward text returned a value of type string|the reward text returned a .*string/, 1],
    ["nothing.ts", "", /the reward nothing returned nothing instead of a number/, 1],
  ])("a reward that %s", async (name, body, message, exitCode) => {
    const error = await run({ reward: [file(name, `export function reward() { ${body} }`)] });
    expect(error.message).toMatch(message);
    expect(error.exitCode).toBe(exitCode);
  });

  it("names what a reward lacks", async () => {
    expect((await run({ reward: ["length"] })).message).toMatch(/target .*of the reward length/);
    expect((await run({ reward: ["numeric"] })).message).toMatch(/no field answer/);
    expect((await run({ reward: [file("none.ts", "export const x = 1")] })).message).toMatch(/exports no reward/);
  });

  it("keeps the checkpoints of a run whose reward fails later, and resumes once it is mended", async () => {
    const body = (fails: boolean) =>
      `let calls = 0; export function reward() { if (++calls > 8 && ${fails}) throw new Error("late"); return calls % 3; }`;
    const source = file("late.ts", body(true));
    const o = { ...options(), reward: [source], steps: 4, saveEvery: 1 };
    expect((await failure(grpo(o))).message).toMatch(/late/);
    const kept = checksums(join(o.out, "checkpoints"));
    expect(kept.size).toBeGreaterThan(0);
    file("late.ts", body(false));
    await grpo({ out: o.out, resume: true });
    for (const [name, sum] of kept) {
      // Older checkpoints lose the state of their optimizer, which only a resume needs.
      if (!name.endsWith("training_state.safetensors"))
        expect(checksums(join(o.out, "checkpoints")).get(name)).toBe(sum);
    }
  });
});

describe("places and options", () => {
  it("never writes into the data, and keeps the plan of a run that is resumed", async () => {
    const rows = [{ prompt: "a", completion: "b" }];
    mkdirSync(files.path("folder"));
    const data = [files.jsonl("folder/qa.jsonl", rows)];
    const inside = sft({ ...common(), data: [files.path("folder")], out: files.path("folder/run") });
    expect((await failure(inside)).message).toMatch(/is inside the input/);
    const done = { ...common(), data };
    await sft(done);
    const before = checksums(join(done.out, "checkpoints"));
    const { out } = done;
    const again = async (call: Promise<unknown>, message: RegExp) => {
      const error = await failure(call);
      expect(error.message).toMatch(message);
      expect(error.exitCode).toBe(2);
    };
    await again(sft(done), /give --force to replace it/);
    await again(sft({ out, resume: true, learningRate: 1 }), /keeps its plan: --lr was not given there, and is 1 now/);
    await again(sft({ out, resume: true, steps: 9 }), /keeps its plan: --steps was 1/);
    await again(dpo({ out, resume: true }), /contains files of quern sft/);
    await again(sft({ out: files.path("nothing"), resume: true }), /contains no run to resume/);
    files.jsonl("folder/qa.jsonl", [{ prompt: "a", completion: "c" }]);
    await again(sft({ out, resume: true }), /the examples are not those that the run began with/);
    expect(checksums(join(out, "checkpoints"))).toEqual(before);
  });
});

/** SHA-256 of every file of a folder. */
function checksums(folder: string): Map<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    entries.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path, createHash("sha256").update(readFileSync(path)).digest("hex")];
    }),
  );
}
