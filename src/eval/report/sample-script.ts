/** @file The browser's part of the report that shows one document. Names of fields are those of `PageDocument`. */

import { FIRST_CODE } from "./page-data.js";
import { MEASURES } from "./sample-view.js";

export const SAMPLE_SCRIPT = String.raw`
const CHANGE_NAMES = { gained: "newly right", lost: "newly wrong", obstacle: "not comparable", new: "only in this run" };
const MEASURES = ${JSON.stringify(MEASURES)};
const OBSTACLES = { document: "the document differs", prompt: "the prompt differs", choices: "the choices differ" };

/** An element with attributes and children; text children are never parsed as HTML. */
function node(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(name, value);
  made.append(...children.flat());
  return made;
}
/** Control characters become visible. */
const visible = (text) => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "\ufffd");
const heading = (text, note) => node("h3", {}, text, note ? node("span", { class: "muted" }, " · " + note) : "");

/** A stored text: a span per token where tokens are known. A token that shares its characters with others tells how many. */
function tokenSpans([parts]) {
  let at = 0;
  return parts.flatMap((part) => {
    const [text, codes] = texts[part];
    if (codes === undefined) return [visible(text)];
    const spans = [];
    let start = 0;
    for (let i = 0; i < codes.length; i++) {
      let count = 1;
      const length = codes.charCodeAt(i) - ${FIRST_CODE};
      while (i + 1 < codes.length && codes.charCodeAt(i + 1) === ${FIRST_CODE}) { count++; i++; }
      const token = visible(text.slice(start, start + length));
      start += length;
      const kind = "token c" + (at++ % 5) + (token.includes("\n") ? " line" : "");
      if (token !== "") spans.push(node("span", { class: kind, title: count === 1 ? null : count + " tokens" }, token));
    }
    if (start < text.length) spans.push(visible(text.slice(start)));
    return spans;
  });
}
const box = (children, kind) => node("pre", { class: "excerpt " + kind, tabindex: "0", "data-text": "" }, children);
const tokensOf = ([, tokens]) => (tokens === null ? "" : tokens.toLocaleString("en-US") + (tokens === 1 ? " token" : " tokens"));
const fixed = (value, digits) => (typeof value === "number" ? value.toFixed(digits) : "–");
const signed = (value, digits) => (value > 0 ? "+" : "") + value.toFixed(digits);
const shownValue = (value) =>
  value === null || value === undefined ? "–" : typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(6))) : typeof value === "string" ? value : JSON.stringify(value);

function tableOf(label, heads, lines) {
  return node("div", { class: "wide", role: "region", tabindex: "0", "aria-label": label }, node("table", {},
    node("thead", {}, node("tr", {}, heads.map(([name, kind]) => node(name === "" ? "td" : "th", name === "" ? {} : { scope: "col", class: kind }, name)))),
    node("tbody", {}, lines.map(({ cells, kind }) => node("tr", { class: kind ?? "" },
      cells.map((cell, i) => node(i === 0 ? "th" : "td", i === 0 ? { scope: "row" } : { class: heads[i][1] }, cell)))))));
}

function metricTable(item) {
  const { metrics } = tasks[item.t];
  const other = item.o;
  const lines = metrics.flatMap((metric, i) => {
    if (item.v[i] === null && !other?.v[i]) return [];
    const differs = other && JSON.stringify(item.v[i]) !== JSON.stringify(other.v[i]);
    return [{ cells: [metric, shownValue(item.v[i]), ...(other ? [shownValue(other.v[i])] : [])], kind: differs ? "differs" : "" }];
  });
  const heads = [["metric", "text"], ["this run", "number"], ...(other ? [["other run", "number"]] : [])];
  return lines.length === 0 ? [] : [tableOf("Metric values", heads, lines)];
}

function choiceTable(item) {
  const { c: choices, r: right, b: preferred = [], o: other } = item;
  const has = (index) => choices.some((choice) => choice[index] !== null);
  const theirs = other && other.l && other.l.length === choices.length ? other.l : null;
  const theirBest = theirs ? theirs.indexOf(Math.max(...theirs)) : -1;
  const heads = [["", "text"], ["choice", "text"], ["log p", "number"], ...(has(4) ? [["per character", "number"]] : []), ...(has(5) ? [["per byte", "number"]] : []),
    ...(has(6) ? [["without prompt", "number"]] : []), ...(choices[0][1][1] === null ? [] : [["tokens", "number"]]), ["greedy", "text"],
    ...(theirs ? [["other run", "number"]] : [])];
  const lines = choices.map(([before, text, score, greedy, characters, bytes, without], i) => {
    const measures = MEASURES.filter((_, m) => preferred[m] === i);
    const all = measures.length === preferred.filter((each) => each !== null && each !== undefined).length;
    const badges = [
      ...(right?.includes(i) ? [node("b", { class: "badge good" }, "right")] : []),
      ...(measures.length === 0 ? [] : [node("b", { class: "badge" }, "preferred" + (all ? "" : " by " + measures.join(", ")))]),
      ...(theirBest === i && choices.length > 1 ? [node("b", { class: "badge" }, "preferred by the other run")] : []),
    ];
    const divided = (by) => (by ? fixed(score === null ? null : score / by, 4) : "–");
    return {
      kind: right?.includes(i) ? "right" : "",
      cells: [String(i), node("span", { class: "choice", "data-text": "" }, before[0].length > 0 ? [node("span", { class: "before" }, tokenSpans(before)), node("wbr", {})] : [], tokenSpans(text), badges.length > 0 ? node("span", { class: "badges" }, badges) : []),
        fixed(score, 3), ...(has(4) ? [divided(characters)] : []), ...(has(5) ? [divided(bytes)] : []), ...(has(6) ? [fixed(without, 3)] : []),
        ...(text[1] === null ? [] : [String(text[1])]), greedy ? "yes" : "no",
        ...(theirs ? [fixed(theirs[i], 3)] : [])],
    };
  });
  const notes = [
    choices.length > 1 && right === null ? "the samples do not tell which is right" : "",
    has(4) ? "log p per character and byte of the choice" : "",
  ];
  const note = notes.filter(Boolean).join(", ");
  return [heading(choices.length === 1 ? "Continuation" : "Choices", note), tableOf("Choices", heads, lines)];
}

function answersOf(of, name) {
  if (!of?.a) return [];
  const repeats = of.a.flat();
  return [
    heading(name, repeats.length > 1 ? repeats.length + " answers" : ""),
    ...repeats.map((text) => box([text === "" ? node("span", { class: "muted" }, "(nothing)") : visible(text)], "")),
    tableOf("Filtered answers", [["filter", "text"], ["result", "text"]], of.f.map(([filter, results]) => ({ cells: [filter, node("span", { class: "choice", "data-text": "" }, results.map(visible).join(" · ") || "(nothing)")] }))),
  ];
}

/** The parts of a document's page. */
function sample(item) {
  const { o: other } = item;
  const name = tasks[item.t].name;
  const prompt = textOf(item.p);
  const sizes = [tokensOf(item.p), prompt.length === 0 ? "" : [...prompt].length.toLocaleString("en-US") + " characters"];
  return [
    node("h3", { class: "title" }, name + ", document " + item.i),
    ...(other === null ? [node("p", { class: "small" }, "The other run does not have this document.")] : []),
    ...(other?.x ? [node("p", { class: "warning" }, "Not comparable with the other run: " + OBSTACLES[other.x] + ".")] : []),
    ...(item.k === 1 ? [node("p", { class: "warning" }, "The training data contains this document.")] : []),
    ...metricTable(item),
    heading(item.l === undefined ? "Prompt" : "Text", sizes.filter(Boolean).join(", ") || "empty"),
    ...(prompt === "" ? [] : [box(tokenSpans(item.p), "prompt-box")]),
    ...(other?.p && textOf(other.p) !== prompt ? [heading("Prompt of the other run", tokensOf(other.p)), box(tokenSpans(other.p), "prompt-box")] : []),
    ...(item.c ? choiceTable(item) : []),
    ...(item.l === undefined ? [] : [node("p", {}, "Log-likelihood " + fixed(item.l, 3) + (other?.l ? "; of the other run " + fixed(other.l[0], 3) + " (" + signed(item.l - other.l[0], 3) + ")" : ""))]),
    ...answersOf(item, "Answer"),
    ...answersOf(other, "Answer of the other run"),
    heading("Target"),
    box([visible(item.g) || node("span", { class: "muted" }, "(nothing)")], ""),
    ...(other?.g !== undefined && other.g !== item.g ? [heading("Target of the other run"), box([visible(other.g)], "")] : []),
  ];
}
`;
