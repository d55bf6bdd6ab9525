/** @file Patterns of files in a data set: `*` within a folder, `**` across folders, `?`, `[0-9]`, `{a,b}`. */

/** Returns what a pattern matches. Names that begin with a dot match only where the pattern has the dot. */
export function filePattern(pattern: string): RegExp {
  const source = pattern.replace(
    /\*\*\/|\*\*|\*|\?|\[(!?)([^\]]+)\]|\{([^}]*)\}|[\s\S]/g,
    (part, not: string | undefined, set: string | undefined, options: string | undefined) => {
      if (part === "**/") return "(?:(?!\\.|__)[^/]+/)*";
      if (part === "**") return "(?:(?!\\.|__)[^/]+/)*[^/]*";
      if (part === "*") return "[^/]*";
      if (part === "?") return "[^/]";
      if (set !== undefined) return `[${not === "!" ? "^" : ""}${set.replace(/[\\^[\]]/g, "\\$&")}]`;
      if (options !== undefined) return `(?:${options.split(",").map(escaped).join("|")})`;
      return escaped(part);
    },
  );
  const hidden = /(?:^|\/)\./.test(pattern) ? "" : "(?!(?:.*/)?\\.)";
  return new RegExp(`^${hidden}${source}$`);
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
