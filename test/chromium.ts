/** @file The system's Chromium, for tests that are skipped where there is none. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Its path: what QUERN_CHROMIUM names, else the first in the PATH. */
export function chromium(): string | undefined {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const paths = (process.env.PATH ?? "").split(delimiter).flatMap((path) => names.map((name) => join(path, name)));
  return [process.env.QUERN_CHROMIUM ?? "", ...paths].find((path) => path !== "" && existsSync(path));
}
