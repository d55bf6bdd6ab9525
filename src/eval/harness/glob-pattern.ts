/** @file Patterns of names, as in lm-eval's `--tasks mmlu_*`. */

/** Turns a pattern of Python's fnmatch into a regular expression. */
export function globPattern(pattern: string): RegExp {
  const source = pattern.replace(
    /\[(!?)([^\]]+)\]|[\s\S]/g,
    (part, not: string | undefined, set: string | undefined) => {
      if (set !== undefined) return `[${not === "!" ? "^" : ""}${set.replace(/[\\^[\]]/g, "\\$&")}]`;
      if (part === "*") return "[\\s\\S]*";
      return part === "?" ? "[\\s\\S]" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    },
  );
  return new RegExp(`^${source}$`);
}
