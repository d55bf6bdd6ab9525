/** @file Uploads a model to the Hugging Face Hub: the library function behind `quern push`. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { z } from "zod";
import { QuernError } from "../../errors.js";
import { adapterBase, findModel, isAdapter, openModel } from "../../model/index.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import { loadTokenizer } from "../../tokenizer/index.js";
import { readRunRecord } from "../run/run-folder.js";
import type { RunRecord } from "../run/run-record.js";
import { modelCard } from "./model-card.js";
import { pushOptions } from "./push-options.js";

export type PushOptions = z.input<typeof pushOptions> & {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly onWarning?: (warning: string) => void;
  /** `HF_TOKEN`, `HF_ENDPOINT` and `HF_HUB_OFFLINE`; default those of the process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
};

export interface PushResult {
  /** `USER/NAME` */
  readonly repository: string;
  readonly url: string;
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly bytes: number;
  /** The model card, README.md. */
  readonly card: string;
  readonly dry_run: boolean;
  /** The new commit; null after a dry run. */
  readonly commit: string | null;
}

/** The files of a model folder. Training state and records of the run stay here. */
const FILES =
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|adapter_config|model\.safetensors\.index)\.json$|^(merges\.txt|chat_template\.jinja)$|^(model(-\d+-of-\d+)?|adapter_model)\.safetensors$/;

const CARD = "README.md";

/**
 * Uploads a model folder with a model card as one commit.
 * @throws QuernError for an invalid address, a path without a model folder, a missing token, or an answer of the hub
 */
export async function pushModel(options: PushOptions): Promise<PushResult> {
  const { signal, onProgress, onWarning, environment = process.env, ...rest } = options;
  const { model: name, address, license, private: isPrivate, dryRun } = checkOptions(pushOptions, rest);
  const [, repository] = /^hf:\/\/([\w-][\w.-]*\/[\w-][\w.-]*)\/?$/.exec(address) ?? [];
  if (repository === undefined) {
    throw new QuernError(`${address} is not an address to push to; write hf://USER/NAME`, { exitCode: 2 });
  }
  const hub = (environment.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, "");
  const url = `${hub}/${repository}`;
  const token = environment.HF_TOKEN;
  if (!dryRun) checkAccess(url, environment);
  if (license === undefined) onWarning?.("the model card states no license; give one with --license");
  const folder = await folderOf(name);
  const card = await cardOf(name, folder, repository, license ?? "unknown");
  const names = (await readdir(folder)).filter((file) => FILES.test(file)).sort();
  const sizes = await Promise.all(names.map(async (file) => (await stat(join(folder, file))).size));
  const files = [
    { path: CARD, bytes: Buffer.byteLength(card) },
    ...names.map((path, i) => ({ path, bytes: sizes[i] })),
  ];
  const result = { repository, url, files, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), card };
  if (dryRun) return { ...result, dry_run: true, commit: null };
  const { createRepo, HubApiError, uploadFilesWithProgress } = await import("@huggingface/hub");
  const repo = { type: "model", name: repository } as const;
  const access = { hubUrl: hub, accessToken: token as string };
  try {
    await createRepo({ repo, visibility: isPrivate ? "private" : "public", ...access }).catch((error: unknown) => {
      // It exists already.
      if (!(error instanceof HubApiError) || error.statusCode !== 409) throw error;
    });
    signal?.throwIfAborted();
    const contents = [
      { path: CARD, content: new Blob([card]) },
      ...names.map((path) => ({ path, content: pathToFileURL(resolve(folder, path)) })),
    ];
    const sent = new Map<string, number>();
    const upload = uploadFilesWithProgress({
      ...{ repo, files: contents, commitTitle: `Upload ${basename(name)} with Quern`, abortSignal: signal, ...access },
      useWebWorkers: false,
    });
    for (let step = await upload.next(); ; step = await upload.next()) {
      if (step.done) {
        if (step.value === undefined) throw new QuernError(`cannot push to ${url}: the hub made no commit`);
        return { ...result, dry_run: false, commit: step.value.commit.oid };
      }
      const { value } = step;
      if (value.event !== "fileProgress" || value.state !== "uploading") continue;
      const size = files.find(({ path }) => path === value.path)?.bytes ?? 0;
      sent.set(value.path, size * value.progress);
      const done = [...sent.values()].reduce((sum, bytes) => sum + bytes, 0);
      onProgress?.({ task: `push ${repository}`, done: Math.round(done), total: result.bytes, unit: "byte" });
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof QuernError) throw error;
    throw pushError(error, url, error instanceof HubApiError ? error.statusCode : null);
  }
}

function checkAccess(url: string, { HF_TOKEN, HF_HUB_OFFLINE }: NonNullable<PushOptions["environment"]>): void {
  if (/^(1|true|yes|on)$/i.test(HF_HUB_OFFLINE ?? "")) {
    throw new QuernError(`cannot push to ${url}: HF_HUB_OFFLINE is set; unset it to use the network`);
  }
  if (!HF_TOKEN) {
    throw new QuernError(`cannot push to ${url}: set HF_TOKEN to a token with write access`, { exitCode: 2 });
  }
  if (!HF_TOKEN.startsWith("hf_")) {
    throw new QuernError(`cannot push to ${url}: HF_TOKEN is not a token of the hub, which begins with hf_`, {
      exitCode: 2,
    });
  }
}

function pushError(error: unknown, url: string, status: number | null): QuernError {
  const message = error instanceof Error ? error.message : String(error);
  if (status === 401 || status === 403) {
    return new QuernError(
      `cannot push to ${url}: the hub answers ${status}; set HF_TOKEN to a token with write access`,
      {
        cause: error,
      },
    );
  }
  if (status !== null) {
    const reason = message.split(/\. URL: |\n/)[0];
    return new QuernError(`cannot push to ${url}: the hub answers ${status} (${reason})`, { cause: error });
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : message;
  return new QuernError(`cannot push to ${url}: the upload failed (${cause}); check the network`, { cause: error });
}

/** Returns the folder to upload. @throws QuernError for a GGUF file or an address */
async function folderOf(name: string): Promise<string> {
  if (/^\w+:\/\//.test(name)) {
    throw new QuernError(`${name} is an address; quern push uploads a run or a folder of this machine`, {
      exitCode: 2,
    });
  }
  const folder = await findModel(name);
  if ((await stat(folder)).isDirectory()) return folder;
  throw new QuernError(`${folder} is a file; quern push uploads a folder, so run quern import first`, { exitCode: 2 });
}

async function cardOf(name: string, folder: string, repository: string, license: string): Promise<string> {
  const run = await recordOf(name, folder);
  const isLora = await isAdapter(folder);
  const given = run?.config?.model ?? run?.config?.from;
  const base = isLora ? await adapterBase(folder) : typeof given === "string" ? given : null;
  const model = await openModel(folder, { classifier: true });
  try {
    const tokenizer = await loadTokenizer(folder).catch(() => loadTokenizer(model.basePath ?? folder));
    const hasChatTemplate = tokenizer.parts.config?.chat_template !== undefined;
    return modelCard({ repository, config: model.config, license, base, isAdapter: isLora, hasChatTemplate, run });
  } finally {
    await model.close();
  }
}

/** Returns the record of the run that a model comes from: beside it, or above `checkpoints/STEP`. */
async function recordOf(name: string, folder: string): Promise<RunRecord | null> {
  const above = dirname(dirname(resolve(folder)));
  const places = basename(dirname(resolve(folder))) === "checkpoints" ? [name, above] : [name];
  for (const place of places) {
    const record = await readRunRecord(place);
    if (record !== null) return record;
  }
  return null;
}
