/** @file The system's Chromium, for tests that are skipped where there is none. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";

/** Its path: what QUERN_CHROMIUM names, else the first in the PATH. */
export function chromium(): string | undefined {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const paths = (process.env.PATH ?? "").split(delimiter).flatMap((path) => names.map((name) => join(path, name)));
  return [process.env.QUERN_CHROMIUM ?? "", ...paths].find((path) => path !== "" && existsSync(path));
}

/** A page's document when its scripts have run, as HTML. @param dark whether the reader prefers dark pages */
export function domOf(browser: string, path: string, { dark = false } = {}): string {
  const flags = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--window-size=1200,900",
    "--virtual-time-budget=20000",
    `--blink-settings=preferredColorScheme=${dark ? 0 : 1}`,
  ];
  return execFileSync(browser, [...flags, "--dump-dom", pathToFileURL(path).href], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
    stdio: ["ignore", "pipe", "ignore"],
    timeout: 60_000,
  });
}
