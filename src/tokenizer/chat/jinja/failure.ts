/** @file Template errors: the template's own, Python's, and features that this interpreter does not support. */

/** A template that cannot be parsed, fails, or needs an unsupported feature. `line` is set where the position is known. */
export class TemplateFailure extends Error {
  override name = "TemplateFailure";
  line: number | undefined;

  constructor(message: string, line?: number) {
    super(message);
    this.line = line;
  }
}

/** Fails for a feature that this interpreter does not reproduce exactly as Python. */
export function refuse(what: string): never {
  throw new TemplateFailure(`${what} is not supported`);
}

export function fail(message: string): never {
  throw new TemplateFailure(message);
}

/** Maximum characters of one text, and items of one list. */
const MAX_CHARACTERS = 1 << 26;
const MAX_ITEMS = 1 << 22;

/** @throws TemplateFailure if a text of this length would be too long; called before it is created */
export function checkText(length: number | bigint): void {
  if (length > MAX_CHARACTERS)
    fail(`a text of ${length} characters is too long; at most ${MAX_CHARACTERS} are allowed`);
}

/** @throws TemplateFailure if a list of this length would be too long; called before it is created */
export function checkList(length: number | bigint): void {
  if (length > MAX_ITEMS) fail(`a list of ${length} items is too long; at most ${MAX_ITEMS} are allowed`);
}
