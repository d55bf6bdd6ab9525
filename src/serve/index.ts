/** @file Serving models over HTTP: OpenAI's interface, metrics, tokens. */
export { QuernError } from "../errors.js";
export type { ModelInfo } from "./models.js";
export { type ServeOptions, type Server, serve } from "./serve.js";
export { serveOptions } from "./serve-options.js";
