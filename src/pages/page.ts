/** @file An HTML page: one file without requests, for light and dark mode and for phones. */
import { escapeHtml } from "./html.js";
import { STYLE } from "./style.js";

export interface PageOptions {
  readonly title: string;
  /** A line under the title. */
  readonly subtitle?: string;
  /** One sentence with the result. */
  readonly conclusion?: string;
  /** HTML; empty sections are omitted. */
  readonly sections: readonly string[];
  /** Scripts, once each. */
  readonly scripts?: readonly string[];
  /** Whether scripts may call the server of the page. Default false. */
  readonly connects?: boolean;
}

/** Returns the whole HTML document. Its content security policy forbids all requests, but for those of `connects`. */
export function page({
  title,
  subtitle = "",
  conclusion = "",
  sections,
  scripts = [],
  connects = false,
}: PageOptions): string {
  const head = [
    `<h1>${escapeHtml(title)}</h1>`,
    subtitle === "" ? "" : `<p>${escapeHtml(subtitle)}</p>`,
    conclusion === "" ? "" : `<p class="conclusion">${escapeHtml(conclusion)}</p>`,
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';${connects ? " connect-src 'self';" : ""} frame-src 'self'; img-src data:">
<title>${escapeHtml(title)} · Quern</title>
<style>${STYLE}</style>
</head>
<body>
<header>${head.join("")}</header>
<main>
${sections.filter((section) => section !== "").join("\n")}
</main>
${scripts.map((script) => `<script>${script}</script>`).join("\n")}
</body>
</html>
`;
}

/** A section with a heading; empty without a body. */
export function section(heading: string, ...body: readonly string[]): string {
  const html = body.filter((part) => part !== "").join("\n");
  return html === "" ? "" : `<section><h2>${escapeHtml(heading)}</h2>${html}</section>`;
}

/** A collapsed part with a summary and a body, both HTML. */
export const folded = (summary: string, body: string, open = false) =>
  body === "" ? "" : `<details${open ? " open" : ""}><summary>${summary}</summary>${body}</details>`;

/** A paragraph of text. */
export const paragraph = (text: string, kind: "plain" | "small" | "warning" = "plain") =>
  text === "" ? "" : `<p${kind === "plain" ? "" : ` class="${kind}"`}>${escapeHtml(text)}</p>`;
