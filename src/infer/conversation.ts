/** @file What the chat template says of a model: whether it talks at all, and how its turns end. */
import { QuernError } from "../errors.js";
import { renderChat, type Tokenizer } from "../tokenizer/index.js";

/** @throws QuernError for a tokenizer without a chat template: a base model */
export function requireChatTemplate(tokenizer: Tokenizer, name: string): void {
  if (tokenizer.parts.config?.chat_template !== undefined) return;
  throw new QuernError(
    `${name} has no chat template: it is a base model, which continues texts; use quern generate, or choose a model made for chat`,
    { exitCode: 2 },
  );
}

const MARK = "\u2063quern\u2063";

/** Ids of special tokens with which the chat template ends an assistant's turn; configurations do not always name them. */
export async function endOfTurn(tokenizer: Tokenizer): Promise<number[]> {
  const messages = [
    { role: "user", content: "?" },
    { role: "assistant", content: MARK },
  ];
  const text = await renderChat(tokenizer, messages).catch((error: unknown) => {
    if (error instanceof QuernError) return ""; // the configuration's tokens have to do
    throw error;
  });
  const at = text.lastIndexOf(MARK);
  if (at < 0) return [];
  const rest = text.slice(at + MARK.length).trimStart();
  const found = [...tokenizer.special].filter(([content]) => rest.startsWith(content));
  // Where one special token is the beginning of another, the longer one stands there.
  return found
    .sort(([a], [b]) => b.length - a.length)
    .slice(0, 1)
    .map(([, id]) => id);
}
