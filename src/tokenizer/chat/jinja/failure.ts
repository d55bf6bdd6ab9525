/** @file What goes wrong in a template: its own errors, Python's, and what this interpreter does not know. */

/** A template that cannot be parsed, fails, or needs something unknown. `line` is filled in where the template is known to be. */
export class TemplateFailure extends Error {
  override name = "TemplateFailure";
  line: number | undefined;

  constructor(message: string, line?: number) {
    super(message);
    this.line = line;
  }
}

/** Refuses what Python might render in a way that is not known here. */
export function refuse(what: string): never {
  throw new TemplateFailure(`${what} is not supported`);
}

export function fail(message: string): never {
  throw new TemplateFailure(message);
}

/** Characters that one text may have, and items that one list may have. */
const MOST_CHARACTERS = 1 << 26;
const MOST_ITEMS = 1 << 22;

/** @throws TemplateFailure if a text that is about to be made would be too long */
export function checkText(length: number | bigint): void {
  if (length > MOST_CHARACTERS)
    fail(`a text of ${length} characters is too long; at most ${MOST_CHARACTERS} are allowed`);
}

/** @throws TemplateFailure if a list that is about to be made would be too long */
export function checkList(length: number | bigint): void {
  if (length > MOST_ITEMS) fail(`a list of ${length} items is too long; at most ${MOST_ITEMS} are allowed`);
}
