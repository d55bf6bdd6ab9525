/** @file The section of the report with all samples: search, filters, a list and the chosen document. */
import { escapeHtml, paragraph, section } from "../../pages/index.js";
import type { PageData } from "./page-data.js";

type Option = readonly [value: string, name: string];

/** Returns the section with its data; empty without samples. */
export function samplesSection(data: PageData, hasOther: boolean, hasTokens: boolean): string {
  const { tasks, documents, blocks, cutTo, missing, isDecontaminated } = data;
  const notes = [
    ...(missing.length === 0
      ? []
      : [`Samples were not saved for ${missing.join(", ")}; quern eval saves them with --log-samples.`]),
    ...(cutTo === null
      ? []
      : [
          `Texts longer than ${cutTo} characters are cut in the middle to keep this page small; samples_TASK.jsonl has them whole.`,
        ]),
  ];
  if (documents === 0) return section("Samples", ...notes.map((note) => paragraph(note, "warning")));
  const metrics = [...new Set(tasks.flatMap(({ metrics, binary }) => metrics.filter((_, i) => binary[i])))];
  const controls = [
    '<label class="search">Search <input id="search" type="search" placeholder="prompt, choice, target or answer" aria-keyshortcuts="/" autocomplete="off" spellcheck="false"></label>',
    select("task", "Task", [["", "all tasks"], ...tasks.map(({ name }, i): Option => [String(i), name])]),
    select("judge", "Judged by", [["", "the task's first metric"], ...metrics.map((key): Option => [key, key])]),
    select("verdict", "Result", [
      ["", "all"],
      ["1", "right"],
      ["0", "wrong"],
      ["null", "neither"],
    ]),
    hasOther
      ? select("change", "Against the other run", [
          ["", "all"],
          ["gained", "newly right"],
          ["lost", "newly wrong"],
          ["value", "any value changed"],
          ["obstacle", "not comparable"],
          ["new", "only in this run"],
        ])
      : "",
    isDecontaminated
      ? select("training", "Training data", [
          ["", "all"],
          ["1", "contains it"],
          ["0", "does not"],
        ])
      : "",
    hasTokens ? '<label class="check"><input id="borders" type="checkbox" checked> Token borders</label>' : "",
  ];
  const keys = `<p class="small"><kbd>/</kbd> searches, <kbd>↑</kbd> <kbd>↓</kbd> in the list or <kbd>J</kbd> <kbd>K</kbd> move, <kbd>Enter</kbd> opens the document, <kbd>Esc</kbd> returns to the list${hasTokens ? ", <kbd>T</kbd> shows token borders. Prompt and choices are tokenized apart" : ""}.</p>`;
  const setup = JSON.stringify({ tasks, documents, hasOther }).replace(/</g, "\\u003c");
  return [
    `<section id="samples"><h2>Samples</h2>${notes.map((note) => paragraph(note, "warning")).join("")}`,
    `<div class="controls" role="search">${controls.join("")}</div>${keys}`,
    `<p id="found" role="status" class="small">Reading ${documents} documents …</p>`,
    `<div class="browse"><div id="list" class="list" role="listbox" tabindex="0" aria-label="Documents"><div id="rows" class="rows" role="none"></div></div>`,
    `<div id="detail" class="detail" role="region" tabindex="-1" aria-label="The chosen document"></div></div>`,
    `<script type="application/json" id="page-data">${setup}</script>`,
    ...blocks.map((block) => `<script type="application/octet-stream" class="samples">${block}</script>`),
    `<style>${STYLE}</style></section>`,
  ].join("\n");
}

function select(id: string, name: string, options: readonly Option[]): string {
  const html = options.map(([value, text]) => `<option value="${escapeHtml(value)}">${escapeHtml(text)}</option>`);
  return `<label>${escapeHtml(name)} <select id="${id}">${html.join("")}</select></label>`;
}

const STYLE = `
:root { --good: #2f7656; --bad: #a94f33; } @media (prefers-color-scheme: dark) { :root { --good: #74c99f; --bad: #ec9c82; } }
@media (min-width: 72rem) { body { max-width: 84rem; } }
.controls { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: end; margin-bottom: .6rem; }
.controls label { display: grid; font-size: .82rem; color: var(--soft); gap: .15rem; min-width: 0; } .controls label { max-width: min(100%, 16rem); } .controls .search { flex: 1 1 18rem; max-width: 100%; }
.controls .check { display: flex; align-items: center; gap: .4rem; padding-bottom: .4rem; }
.controls input[type=search], .controls select { font: .95rem system-ui, sans-serif; color: var(--ink); background: var(--panel); border: 1px solid var(--rule);
  border-radius: 6px; padding: .3rem .5rem; min-width: 0; max-width: 100%; width: 100%; }
kbd { font: .78rem ui-monospace, monospace; border: 1px solid var(--rule); border-radius: 4px; padding: 0 .3em; background: var(--panel); }
.browse { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem; }
.list { position: relative; overflow-y: auto; height: 17rem; border: 1px solid var(--rule); border-radius: 8px; background: var(--panel); }
@media (min-width: 52rem) { .browse { grid-template-columns: minmax(0, 21rem) minmax(0, 1fr); align-items: start; }
  .list { height: calc(100vh - 3rem); position: sticky; top: 1rem; } }
.rows { position: relative; min-height: 100%; }
.row { position: absolute; left: 0; right: 0; height: 46px; padding: .25rem .7rem .2rem 2rem; border-bottom: 1px solid var(--rule); cursor: pointer; font-size: .84rem; line-height: 1.25rem; }
.row > span { display: block; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; } .row .preview { color: var(--soft); }
.row > [role=img] { position: absolute; left: .7rem; top: .25rem; font-weight: 700; } .mark-right { color: var(--good); } .mark-wrong { color: var(--bad); }
.row em { font-style: normal; color: var(--a); margin-left: .5em; } .row[aria-selected=true] { background: var(--paper); box-shadow: inset 4px 0 var(--a); }
.list:focus-visible .row[aria-selected=true] { outline: 2px solid var(--a); outline-offset: -2px; }
.detail { min-width: 0; } .detail h3.title { margin-top: 0; font-size: 1.05rem; } .detail .excerpt { max-height: 26rem; } .detail table { min-width: 50%; }
.detail .excerpt, .choice { font-family: ui-monospace, monospace; font-size: .84rem; white-space: pre-wrap; overflow-wrap: anywhere; } .choice { display: inline-block; min-width: 13rem; } .before { opacity: .72; }
.detail tbody th { min-width: 1.5rem; } .detail td:has(.choice) { min-width: 14rem; width: 60%; }
.token { color: #16181c; border-radius: 2px; } .token.line::before { content: "⏎"; opacity: .6; }
.plain-tokens .token { background: none; color: inherit; } .plain-tokens .token.line::before { content: none; }
.badges { display: flex; flex-wrap: wrap; gap: .2rem; margin-top: .2rem; font-family: system-ui, sans-serif; } .badge { font-weight: 500; font-size: .78rem; border: 1px solid var(--rule); border-radius: 999px; padding: 0 .55em; white-space: nowrap; }
.badge.good { background: var(--add); } tr.right > * { font-weight: 600; } tr.differs > * { font-weight: 600; }
::highlight(query) { background-color: #ffb000; color: #000; }
.plot { display: inline-block; width: 7rem; height: 1rem; vertical-align: middle; } .plot .chance { stroke: var(--b); stroke-width: 2; }
th .name { display: inline-block; white-space: nowrap; }
.link { border: 0; background: none; color: var(--a); padding: 0; font: inherit; text-decoration: underline; cursor: pointer; }
`;
