/** @file Addresses of OpenAI-compatible servers, `URL` or `URL#NAME`, and the name of a server's only model. */
import { QuernError } from "../../../errors.js";
import { OpenAIClient, ServerError } from "../../../infer/index.js";

export const isAddress = (name: string) => /^https?:\/\//i.test(name);

/** Divides `URL#NAME`. */
export function addressOf(name: string): { readonly url: string; readonly model: string | undefined } {
  const at = name.indexOf("#");
  return at < 0 ? { url: name, model: undefined } : { url: name.slice(0, at), model: name.slice(at + 1) || undefined };
}

/** Milliseconds that a server has to list its models. */
const PATIENCE = 5000;
/** What servers of a single model take for its name. */
const UNNAMED = "default";

interface NamingOptions {
  readonly signal?: AbortSignal;
  readonly onWarning?: (warning: string) => void;
}

/**
 * Returns the name of the only model of a server; "default", with a warning, if the server does not list its models.
 * @throws QuernError if it lists several, or cannot be reached
 */
export async function onlyModel(baseUrl: string, { signal, onWarning }: NamingOptions = {}): Promise<string> {
  await using client = new OpenAIClient({ baseUrl });
  const limit = AbortSignal.timeout(PATIENCE);
  const advice = `name the model as ${client.baseUrl}#NAME`;
  let names: string[] = [];
  try {
    names = await client.models({ signal: signal === undefined ? limit : AbortSignal.any([signal, limit]) });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    const isReached = limit.aborted || (error instanceof ServerError && client.usage.requests > 0);
    if (!isReached) throw error;
  }
  if (names.length === 1) return names[0];
  if (names.length === 0) {
    onWarning?.(`${client.baseUrl} does not list its models, so requests ask for "${UNNAMED}"; ${advice}`);
    return UNNAMED;
  }
  const listed = `${names.slice(0, 5).join(", ")}${names.length > 5 ? " …" : ""}`;
  throw new QuernError(`${client.baseUrl} has ${names.length} models (${listed}); ${advice}`, { exitCode: 2 });
}
