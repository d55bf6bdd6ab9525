/** @file Where Quern keeps what can be fetched or made again: data packages, compiled programs. */
import { homedir } from "node:os";
import { join } from "node:path";

/** The folder that `QUERN_CACHE` names, else the operating system's own place for caches. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env, platform: string = process.platform): string {
  if (environment.QUERN_CACHE) return environment.QUERN_CACHE;
  if (platform === "win32") return join(environment.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "quern");
  if (platform === "darwin") return join(homedir(), "Library", "Caches", "quern");
  return join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "quern");
}
