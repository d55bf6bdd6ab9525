/** `quern push`, against a hub on this machine. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineModel, initialValues, parametersOf, writeModel } from "../../../src/model/index.js";
import { saveTokenizer, trainTokenizer } from "../../../src/tokenizer/index.js";
import { pushModel, writeRunRecord } from "../../../src/train/index.js";

const commit = "89abcdef0123456789abcdef0123456789abcdef";
let root: string;
let run: string;
let checkpoint: string;
let server: Server;
let hub: string;
let requests: { method: string; path: string; token?: string; body: string }[];
let fails: { path: RegExp; status: number } | undefined;
let blobs: Map<string, Buffer>;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "quern-push-"));
  run = join(root, "run");
  checkpoint = join(run, "checkpoints", "12");
  const config = defineModel({ layers: 1, width: 16, heads: 2, sequence: 32, vocabSize: 270 });
  await saveTokenizer(await trainTokenizer(["some text to train on"], { vocabSize: 270 }), checkpoint);
  const values = new Map(parametersOf(config).map((each) => [each.name, initialValues(each, 1)]));
  await writeModel(checkpoint, config, (name) => values.get(name) as Float32Array, { endOfText: 0 });
  writeFileSync(join(checkpoint, "training_state.safetensors"), "private");
  await writeRunRecord(run, {
    version: "0.1.0",
    seed: 7,
    config: { text: ["/home/me/secret/notes.jsonl", "hf://datasets/some/corpus"], model: "hf://some/base" },
    data: { documents: 1234, training_text: "1.5 MB" },
    plan: { algorithm: "sft", steps: 12, batch: 4, training_tokens: 56789, precision: "fp32" },
    result: { bits_per_byte: 1.23456, gzip_bits_per_byte: 2.5 },
  });
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      const body = Buffer.concat(parts);
      const path = decodeURIComponent((request.url ?? "").replace(/\?.*/, ""));
      const { method = "", headers } = request;
      requests.push({ method, path, token: headers.authorization, body: body.toString("latin1") });
      const send = (json: unknown, status = 200) => {
        response.writeHead(status, { "content-type": "application/json" });
        response.end(JSON.stringify(json));
      };
      if (fails?.path.test(path)) return send({ error: "no such luck" }, fails.status);
      if (path === "/api/repos/create") return send({ url: `${hub}/me/mill`, id: "1" });
      if (path === "/api/models/me/mill/preupload/main") {
        const files = JSON.parse(body.toString()).files as { path: string }[];
        const mode = (name: string) => (name.endsWith(".safetensors") ? "lfs" : "regular");
        return send({ files: files.map((file) => ({ path: file.path, uploadMode: mode(file.path) })) });
      }
      if (path === "/me/mill.git/info/lfs/objects/batch") {
        const objects = JSON.parse(body.toString()).objects as { oid: string; size: number }[];
        const upload = (oid: string) => ({ upload: { href: `${hub}/blob/${oid}`, header: {} } });
        return send({ transfer: "basic", objects: objects.map((each) => ({ ...each, actions: upload(each.oid) })) });
      }
      if (method === "PUT" && path.startsWith("/blob/")) {
        blobs.set(path.slice("/blob/".length), body);
        return send({});
      }
      if (path === "/api/models/me/mill/commit/main") {
        return send({ success: true, commitOid: commit, commitUrl: `${hub}/me/mill/commit/${commit}`, hookOutput: "" });
      }
      return send({ error: `${method} ${path}` }, 404);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  hub = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await rm(root, { recursive: true });
});
beforeEach(() => {
  requests = [];
  blobs = new Map();
  fails = undefined;
});

const NAMES = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
const environment = () => ({ HF_TOKEN: "hf_secret", HF_ENDPOINT: hub });
const push = (more: Partial<Parameters<typeof pushModel>[0]> = {}) =>
  pushModel({ model: run, address: "hf://me/mill", license: "apache-2.0", environment: environment(), ...more });

describe("quern push --dry-run", () => {
  it("shows the card and the files, and asks no hub", async () => {
    const result = await push({ dryRun: true, environment: { HF_ENDPOINT: hub } });
    expect(requests).toEqual([]);
    expect(result).toMatchObject({ repository: "me/mill", url: `${hub}/me/mill`, dry_run: true, commit: null });
    expect(result.files.map(({ path }) => path)).toEqual(["README.md", ...NAMES]);
    const total = NAMES.reduce((sum, name) => sum + readFileSync(join(checkpoint, name)).length, 0);
    expect(result.bytes).toBe(total + Buffer.byteLength(result.card));
  });

  it("has a card with data, figures, license and base model, but no path of this machine", async () => {
    const { card } = await push({ dryRun: true });
    const [, metadata] = /^---\n([\s\S]*?)\n---\n/.exec(card) ?? [];
    expect(metadata.split("\n")).toEqual([
      ...[
        "license: apache-2.0",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "base_model: some/base",
      ],
      ...["datasets:", "- some/corpus", "tags:", "- quern", "- llama"],
    ]);
    expect(card).toContain("# mill\n");
    expect(card).toMatch(/A llama of [\d,]+ parameters, trained by `quern sft` from some\/base\./);
    for (const row of [
      "| sources | `notes.jsonl`, `hf://datasets/some/corpus` |",
      ...["| documents | 1,234 |", "| training text | 1.5 MB |", "| bits per byte, held-out text | 1.235 |"],
      ...["| bits per byte of gzip | 2.5 |", "| steps | 12 |", "| training tokens | 56,789 |", "| seed | 7 |"],
    ]) {
      expect(card).toContain(row);
    }
    expect(card).toContain("quern generate --model hf://me/mill");
    expect(card).not.toContain("/home");
  });

  it("states that a license is missing", async () => {
    const warnings: string[] = [];
    const { card } = await push({ license: undefined, dryRun: true, onWarning: (each) => warnings.push(each) });
    expect(warnings).toEqual([expect.stringContaining("states no license; give one with --license")]);
    expect(card).toContain("license: unknown");
  });

  it("takes a checkpoint with the record of its run, and a folder without one", async () => {
    expect((await push({ model: checkpoint, dryRun: true })).card).toContain("| steps | 12 |");
    const alone = join(root, "alone");
    mkdirSync(alone);
    for (const name of NAMES) writeFileSync(join(alone, name), readFileSync(join(checkpoint, name)));
    const { card, files } = await push({ model: alone, dryRun: true });
    expect(card).toMatch(/A llama of [\d,]+ parameters\.\n/);
    expect(files.length).toBe(NAMES.length + 1);
  });
});

describe("quern push", () => {
  it("uploads the files and the card as one commit", async () => {
    const result = await push({ private: true });
    expect(result).toMatchObject({ dry_run: false, commit });
    const create = requests.find(({ path }) => path === "/api/repos/create");
    expect(JSON.parse(create?.body ?? "")).toMatchObject({ name: "mill", organization: "me" });
    expect(create?.body).toMatch(/private/);
    const commits = requests.filter(({ path }) => path.endsWith("/commit/main"));
    expect(commits).toHaveLength(1);
    const lines = Buffer.from(commits[0].body, "latin1")
      .toString("utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({ key: "header", value: { summary: "Upload run with Quern" } });
    const stored = new Map<string, Buffer>();
    for (const { key, value } of lines.slice(1)) {
      if (key === "file") stored.set(value.path, Buffer.from(value.content, value.encoding ?? "utf8"));
      else if (key === "lfsFile") stored.set(value.path, blobs.get(value.oid) as Buffer);
    }
    expect([...stored.keys()].sort()).toEqual(["README.md", ...NAMES].sort());
    for (const name of NAMES) expect(stored.get(name)?.equals(readFileSync(join(checkpoint, name)))).toBe(true);
    expect(stored.get("README.md")?.toString("utf8")).toBe(result.card);
    const weights = readFileSync(join(checkpoint, "model.safetensors"));
    expect(blobs.has(createHash("sha256").update(weights).digest("hex"))).toBe(true);
    for (const { path, token } of requests) if (!path.startsWith("/blob/")) expect(token).toBe("Bearer hf_secret");
  });

  it("updates a model that exists", async () => {
    fails = { path: /repos\/create/, status: 409 };
    expect((await push()).commit).toBe(commit);
  });

  it.each([
    [/repos\/create/, 401, /answers 401; set HF_TOKEN to a token with write access/],
    [/preupload/, 403, /answers 403; set HF_TOKEN/],
    [/commit/, 500, /cannot push to .*\/me\/mill: the hub answers 500 \(no such luck\)/],
  ])("reports an answer of %s with status %d", async (path, status, message) => {
    fails = { path, status };
    await expect(push()).rejects.toThrow(message);
  });

  it.each([
    ["an address that is none", { address: "me/mill" }, /not an address to push to; write hf:\/\/USER\/NAME/],
    ["a revision", { address: "hf://me/mill@main" }, /not an address to push to/],
    ["no token", { environment: {} }, /set HF_TOKEN to a token with write access/],
    ["a wrong token", { environment: { HF_TOKEN: "secret" } }, /begins with hf_/],
    ["a path without a model", { model: "/nowhere" }, /there is no such folder/],
    ["another model of the hub", { model: "hf://some/base" }, /uploads a run or a folder of this machine/],
    ["a license that is none", { license: "My License" }, /license must be a license id of the hub/],
  ])("refuses %s", async (_, more, message) => {
    await expect(push(more)).rejects.toMatchObject({ message: expect.stringMatching(message), exitCode: 2 });
    expect(requests).toEqual([]);
  });

  it("asks no hub when it is offline, and reports one that does not answer", async () => {
    await expect(push({ environment: { ...environment(), HF_HUB_OFFLINE: "1" } })).rejects.toThrow(/HF_HUB_OFFLINE/);
    expect(requests).toEqual([]);
    const nobody = { HF_TOKEN: "hf_secret", HF_ENDPOINT: "http://127.0.0.1:9" };
    await expect(push({ environment: nobody })).rejects.toThrow(/the upload failed \(.*\); check the network/);
  });

  it("stops when it is aborted", async () => {
    const signal = AbortSignal.abort(new Error("stopped"));
    await expect(push({ signal })).rejects.toThrow("stopped");
    expect(requests.some(({ path }) => path.endsWith("/commit/main"))).toBe(false);
  });
});
