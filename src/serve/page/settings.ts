/** @file The settings of the page, which the browser keeps. */
import { signal } from "@preact/signals";

export interface Settings {
  readonly temperature: number;
  readonly topP: number;
  /** 0 keeps all tokens. */
  readonly topK: number;
  readonly minP: number;
  /** Undefined: as many as the context has room for. */
  readonly maxTokens: number | undefined;
  /** Undefined: another one each time. */
  readonly seed: number | undefined;
  readonly system: string;
  /** Whether tokens are coloured by their probability. */
  readonly isColoured: boolean;
  /** Whether Markdown is shown as it is written. */
  readonly isPlain: boolean;
  readonly model: string;
}

export const DEFAULTS: Settings = {
  temperature: 0.7,
  topP: 0.95,
  topK: 0,
  minP: 0,
  maxTokens: undefined,
  seed: undefined,
  system: "",
  isColoured: false,
  isPlain: false,
  model: "",
};

const SETTINGS = "quern.settings";
const KEY = "quern.key";

/** A browser may refuse to keep anything. */
function stored(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function store(name: string, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // The page works without.
  }
}

function readSettings(): Settings {
  try {
    const found = JSON.parse(stored(SETTINGS) ?? "{}") as Record<string, unknown>;
    const number = (name: keyof Settings) => (typeof found[name] === "number" ? found[name] : undefined);
    return {
      temperature: number("temperature") ?? DEFAULTS.temperature,
      topP: number("topP") ?? DEFAULTS.topP,
      topK: number("topK") ?? DEFAULTS.topK,
      minP: number("minP") ?? DEFAULTS.minP,
      maxTokens: number("maxTokens"),
      seed: number("seed"),
      system: typeof found.system === "string" ? found.system : "",
      isColoured: found.isColoured === true,
      isPlain: found.isPlain === true,
      model: typeof found.model === "string" ? found.model : "",
    };
  } catch {
    return DEFAULTS;
  }
}

export const settings = signal(readSettings());

export function change(changed: Partial<Settings>): void {
  settings.value = { ...settings.value, ...changed };
  store(SETTINGS, JSON.stringify(settings.value));
}

export const apiKey = signal(stored(KEY) ?? "");

/** @param isKept whether the browser keeps it after the page is closed */
export function setApiKey(key: string, isKept: boolean): void {
  apiKey.value = key;
  store(KEY, isKept ? key : undefined);
}
