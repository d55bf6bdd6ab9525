/** @file The tools of a request and which of them may be called, as all protocols have them. */
import type { JsonSchema, Tool, ToolChoice } from "./chat-request.js";
import { RequestError } from "./request-error.js";

interface GivenTool {
  readonly name: string;
  readonly description?: string | null;
  /** Schema of the arguments; none means that there are no arguments. */
  readonly parameters?: JsonSchema | null;
}

export function toolsOf(given: readonly GivenTool[]): Tool[] {
  return given.map(({ name, description, parameters }) => ({
    name,
    ...(description != null && { description }),
    parameters: parameters ?? { type: "object", properties: {} },
  }));
}

/** What a request says: a mode for all tools, or for those that it names. */
export type GivenChoice =
  | ToolChoice["mode"]
  | { readonly mode: "auto" | "required"; readonly names: readonly string[]; readonly param?: string };

/**
 * @param choice without one, tools may be called if there are any
 * @throws RequestError for a choice without tools, or of a tool that the request does not have
 */
export function toolChoiceOf(choice: GivenChoice | null, tools: readonly Tool[]): ToolChoice {
  const names = tools.map(({ name }) => name);
  const refuse = (message: string, param = "tool_choice") =>
    new RequestError(message, { param, code: "invalid_value" });
  if (choice === null) return { mode: names.length > 0 ? "auto" : "none", names };
  if (choice === "none") return { mode: "none", names };
  if (names.length === 0) throw refuse("tool_choice is only allowed with tools");
  if (typeof choice === "string") return { mode: choice, names };
  const missing = choice.names.find((name) => !names.includes(name));
  if (missing === undefined) return { mode: choice.mode, names: choice.names };
  throw refuse(`tool_choice names ${JSON.stringify(missing)}, which is not in tools`, choice.param);
}
