/** @file The rows of a log that a kill may have cut. */
import { parseJsonText } from "../../../documents/index.js";

/** Returns the objects of JSON lines; other lines, such as one that was cut off, are left out. */
export function rowsOf(text: string): readonly Readonly<Record<string, unknown>>[] {
  return text.split("\n").flatMap((line) => {
    const parsed = parseJsonText(line);
    return parsed !== undefined && "value" in parsed ? [parsed.value] : [];
  });
}
