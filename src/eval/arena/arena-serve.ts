/** @file `arenaServe()`: opens models and serves the arena's page until it is stopped. */
import { randomInt } from "node:crypto";
import type { z } from "zod";
import type { CompileOptions } from "../../backends/index.js";
import { QuernError } from "../../errors.js";
import { CheckpointModel, openTextModel, requireChatTemplate, ServerModel } from "../../infer/index.js";
import { checkOptions, type NameOption } from "../../options.js";
import { type ArenaModel, createBattles } from "./battles.js";
import { arenaServeOptions } from "./serve-options.js";
import { startArenaServer } from "./server.js";
import { openVoteFile } from "./vote-file.js";

export type ArenaServeOptions = z.input<typeof arenaServeOptions> & {
  /** Receives errors of models. */
  readonly onError?: (message: string) => void;
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  /** How errors name an option. */
  readonly named?: NameOption;
};

export interface Arena {
  readonly url: string;
  /** Names of the models in the votes. */
  readonly models: readonly string[];
  /** Votes so far. */
  readonly votes: number;
  /** Stops the server and closes the models. */
  close(): Promise<void>;
}

/**
 * Opens the models and starts the arena.
 * @throws QuernError for fewer than two models, a model without a chat template, a port in use, or a file of something else
 */
export async function arenaServe({ onError = () => {}, target, named, ...given }: ArenaServeOptions): Promise<Arena> {
  const options = checkOptions(arenaServeOptions, given, named);
  const { models: names, votes, port, host, system, maxTokens: tokens, temperature, threads } = options;
  if (new Set(names).size < 2 || new Set(names).size < names.length) {
    throw new QuernError(`${named?.("models") ?? "models"} must name two or more different models`, { exitCode: 2 });
  }
  const opened: ArenaModel[] = [];
  const closeModels = () => Promise.all(opened.map(({ model }) => model.dispose()));
  try {
    for (const name of names) {
      const server = /^(https?:\/\/[^#]+)#(.+)$/.exec(name);
      if (server !== null) {
        const model = new ServerModel({ baseUrl: server[1], model: server[2] });
        opened.push({
          name: names.filter((each) => each.endsWith(`#${server[2]}`)).length > 1 ? name : server[2],
          model,
          sampling: { tokens, temperature },
        });
        continue;
      }
      const text = await openTextModel(name);
      try {
        requireChatTemplate(text.tokenizer, text.folder);
      } catch (error) {
        await text.close();
        throw error;
      }
      const model = new CheckpointModel(text, { ...target, cpu: { threads, ...target?.cpu } });
      opened.push({ name, model, sampling: { tokens, temperature: temperature ?? 0.8, seed: randomInt(2 ** 30) } });
    }
    return await openArena(opened, { votes, port, host, system, onError });
  } catch (error) {
    await closeModels();
    throw error;
  }
}

/** Serves an arena of open models, which `close` closes too. */
export async function openArena(
  models: readonly ArenaModel[],
  options: {
    readonly votes: string;
    readonly port: number;
    readonly host: string;
    readonly system?: string;
    readonly onError: (message: string) => void;
  },
): Promise<Arena> {
  const file = await openVoteFile(options.votes);
  try {
    const server = await startArenaServer(createBattles(models, file, options.system), options);
    return {
      url: server.url,
      models: models.map(({ name }) => name),
      get votes() {
        return file.votes;
      },
      async close() {
        await server.close();
        await file.close();
        await Promise.all(models.map(({ model }) => model.dispose()));
      },
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}
