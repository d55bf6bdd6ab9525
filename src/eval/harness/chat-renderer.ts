/** @file Renders the turns of a prompt by the model's own chat template, as lm-eval does. */
import { QuernError } from "../../errors.js";
import { type LanguageModel, requireChatTemplate } from "../../infer/index.js";
import { renderChat } from "../../tokenizer/index.js";
import type { ChatRenderer } from "./contexts.js";

/**
 * Returns the renderer of a model. If a template refuses the turns, they are rendered without the system turn, as in lm-eval;
 * `onSystemDropped` is called then. A server that keeps its tokenizer renders itself: its prompts are the turns as JSON.
 * @throws QuernError if the model has no chat template
 */
export function chatRendererOf(model: LanguageModel, onSystemDropped: () => void = () => {}): ChatRenderer {
  const { tokenizer } = model;
  if (tokenizer === undefined) return (turns) => JSON.stringify(turns);
  requireChatTemplate(tokenizer, model.name);
  return async (turns, addGenerationPrompt) => {
    const options = { addGenerationPrompt, continueFinalMessage: !addGenerationPrompt };
    try {
      return await renderChat(tokenizer, turns.map(copyOf), options);
    } catch (error) {
      if (!(error instanceof QuernError) || turns.every(({ role }) => role !== "system")) throw error;
      const text = await renderChat(tokenizer, turns.filter(({ role }) => role !== "system").map(copyOf), options);
      onSystemDropped();
      return text;
    }
  };
}

const copyOf = ({ role, content }: { readonly role: string; readonly content: string }) => ({ role, content });
