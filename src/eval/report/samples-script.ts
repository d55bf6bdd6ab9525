/** @file The browser's part of the report: unpacks the samples, searches and filters them, and shows a list that scrolls. */
import { SAMPLE_SCRIPT } from "./sample-script.js";

const LIST_SCRIPT = `
const at = (id) => document.getElementById(id);
const { tasks, documents, hasOther } = JSON.parse(at("page-data").textContent);
const [search, taskFilter, judge, verdict, change, training, list, rows, found, detail] =
  ["search", "task", "judge", "verdict", "change", "training", "list", "rows", "found", "detail"].map(at);
const texts = [];
const items = [];
let shown = [];
let chosen = -1;
let lower = null;
let query = "";

/** The text of stored parts. */
const textOf = ([parts]) => parts.map((part) => texts[part][0]).join("");

async function unpack() {
  for (const block of document.querySelectorAll("script.samples")) {
    const packed = atob(block.textContent);
    const bytes = new Uint8Array(packed.length);
    for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    const { s, x } = JSON.parse(await new Response(stream).text());
    for (const text of s) texts.push(text);
    for (const item of x) items.push(item);
    block.remove();
    found.textContent = "Reading " + items.length + " of " + documents + " documents …";
  }
}

/** The metric by which a document is right or wrong: the chosen one, else the first of its task with values 0 and 1. */
const judgedBy = ({ t }) => (judge.value === "" ? tasks[t].binary.indexOf(true) : tasks[t].metrics.indexOf(judge.value));
/** 1 right, 0 wrong, null not known. */
function outcome(item, values) {
  const metric = judgedBy(item);
  const value = metric < 0 || !values ? null : values[metric];
  if (value === null || value === undefined || !tasks[item.t].binary[metric]) return null;
  return (Number(value) === 1) !== tasks[item.t].lowerIsBetter[metric] ? 1 : 0;
}
const CHANGES = {
  gained: (item) => outcome(item, item.v) === 1 && outcome(item, item.o?.v) === 0,
  lost: (item) => outcome(item, item.v) === 0 && outcome(item, item.o?.v) === 1,
  value: (item) => item.o && JSON.stringify(item.o.v) !== JSON.stringify(item.v),
  obstacle: (item) => item.o?.x,
  new: (item) => item.o === null,
};
/** A document that cannot be compared has not flipped. */
const hasChange = (item, kind) => CHANGES[kind](item) && (kind === "obstacle" || !item.o?.x);

/** The parts that contain the query; each is searched once, whatever the number of prompts with it. */
function partsWith(text) {
  lower ??= texts.map(([part]) => part.toLowerCase());
  const parts = new Uint8Array(lower.length);
  lower.forEach((part, i) => { if (part.includes(text)) parts[i] = 1; });
  return parts;
}
function matches(item, text, parts) {
  const inText = (stored) => stored !== undefined && stored[0].some((part) => parts[part] === 1);
  const inPlain = (plain) => plain !== undefined && plain.toLowerCase().includes(text);
  const inAnswers = (of) => (of?.a ?? []).flat().some(inPlain) || (of?.f ?? []).some(([, results]) => results.some(inPlain));
  return (
    inText(item.p) || inPlain(item.g) || inAnswers(item) || inAnswers(item.o) || inPlain(tasks[item.t].name + " " + item.i) ||
    (item.c ?? []).some(([before, choice]) => inText(before) || inText(choice))
  );
}

function filter() {
  query = search.value.trim().toLowerCase();
  const parts = query === "" ? null : partsWith(query);
  const before = shown[chosen];
  shown = items.filter(
    (item) =>
      (taskFilter.value === "" || item.t === Number(taskFilter.value)) &&
      (verdict.value === "" || String(outcome(item, item.v)) === verdict.value) &&
      (!hasOther || change.value === "" || hasChange(item, change.value)) &&
      (!training || training.value === "" || String(item.k) === training.value) &&
      (parts === null || matches(item, query, parts)),
  );
  found.textContent = shown.length === items.length
    ? items.length.toLocaleString("en-US") + " documents"
    : shown.length.toLocaleString("en-US") + " of " + items.length.toLocaleString("en-US") + " documents";
  chosen = before === undefined ? -1 : shown.indexOf(before);
  list.scrollTop = chosen < 0 ? 0 : Math.max(0, chosen * ROW - list.clientHeight / 2);
  if (chosen < 0) choose(shown.length > 0 ? 0 : -1);
  else choose(chosen);
}

const ROW = 46;
const MARKS = { 1: ["✓", "right"], 0: ["✗", "wrong"], null: ["·", "not right or wrong"] };

/** The last part of a prompt: the question, after the examples. */
function previewOf(item) {
  const text = item.p[0].length > 0 ? texts[item.p[0].at(-1)][0] : textOf(item.c?.[0]?.[1] ?? [[]]);
  return text.trim().slice(0, 160) || item.g.slice(0, 160);
}
function row(index) {
  const item = shown[index];
  const [mark, meaning] = MARKS[outcome(item, item.v)];
  const changed = hasOther ? ["gained", "lost", "obstacle", "new"].find((kind) => hasChange(item, kind)) : undefined;
  return node("div", {
    id: "row-" + index, role: "option", class: "row", style: "top:" + index * ROW + "px", "data-index": index,
    "aria-selected": String(index === chosen), "aria-posinset": index + 1, "aria-setsize": shown.length,
  },
    node("span", { class: "mark-" + meaning.slice(0, 5), "aria-label": meaning, role: "img" }, mark),
    node("span", { class: "where" }, tasks[item.t].name + " " + item.i, changed ? node("em", {}, CHANGE_NAMES[changed]) : ""),
    node("span", { class: "preview" }, previewOf(item)));
}
/** Draws the rows in view, and some around it. */
function draw() {
  rows.style.height = shown.length * ROW + "px";
  const from = Math.max(0, Math.floor(list.scrollTop / ROW) - 8);
  const to = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 8);
  rows.replaceChildren(...Array.from({ length: Math.max(0, to - from) }, (_, i) => row(from + i)));
  if (chosen >= from && chosen < to) list.setAttribute("aria-activedescendant", "row-" + chosen);
  else list.removeAttribute("aria-activedescendant");
}
function choose(index) {
  chosen = index;
  if (index >= 0) {
    const top = index * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  }
  draw();
  const item = shown[index];
  detail.replaceChildren(...(item === undefined ? [node("p", { class: "muted" }, "No document matches.")] : sample(item)));
  markQuery();
  for (const box of detail.querySelectorAll(".prompt-box")) box.scrollTop = box.scrollHeight;
  if (item !== undefined) history.replaceState(null, "", "#" + encodeURIComponent(tasks[item.t].name) + "/" + item.i);
}
const move = (to) => shown.length > 0 && choose(Math.max(0, Math.min(shown.length - 1, to)));

/** Marks the query without changing the page's elements, where the browser can. */
function markQuery() {
  if (!window.Highlight) return;
  const ranges = [];
  if (query !== "") {
    for (const box of detail.querySelectorAll("[data-text]")) {
      const places = [];
      let text = "";
      const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
      for (let part = walker.nextNode(); part; part = walker.nextNode()) {
        places.push([text.length, part]);
        text += part.data;
      }
      const whole = text.toLowerCase();
      if (whole.length !== text.length) continue;
      const place = (offset) => places.findLast(([start]) => start <= offset);
      for (let i = whole.indexOf(query); i >= 0 && ranges.length < 500; i = whole.indexOf(query, i + query.length)) {
        const [from, to] = [place(i), place(i + query.length - 1)];
        const range = new Range();
        range.setStart(from[1], i - from[0]);
        range.setEnd(to[1], i + query.length - to[0]);
        ranges.push(range);
      }
    }
  }
  CSS.highlights.set("query", new Highlight(...ranges));
}

let timer = 0;
const changed = () => { clearTimeout(timer); timer = setTimeout(filter, 120); };
search.oninput = changed;
for (const control of [taskFilter, judge, verdict, change, training]) if (control) control.onchange = filter;
list.onscroll = draw;
rows.onclick = ({ target }) => {
  const index = target.closest(".row")?.dataset.index;
  if (index !== undefined) choose(Number(index));
};
new ResizeObserver(draw).observe(list);
const page = () => Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
const KEYS = {
  j: () => move(chosen + 1), ArrowDown: () => move(chosen + 1), k: () => move(chosen - 1), ArrowUp: () => move(chosen - 1),
  PageDown: () => move(chosen + page()), PageUp: () => move(chosen - page()), Home: () => move(0), End: () => move(shown.length - 1),
};
document.onkeydown = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target, key } = event;
  if (target.closest?.("input, select, textarea")) {
    if (target === search && (key === "Escape" || key === "Enter" || key === "ArrowDown")) {
      event.preventDefault();
      clearTimeout(timer);
      filter();
      list.focus();
    }
    return;
  }
  const inList = target === list;
  if (key === "/") { event.preventDefault(); search.focus(); search.select(); }
  else if (key === "t") { borders.checked = !borders.checked; borders.onchange(); }
  else if (KEYS[key] && (inList || key === "j" || key === "k")) { event.preventDefault(); KEYS[key](); }
  else if (key === "Enter" && inList) { event.preventDefault(); detail.focus(); }
  else if (key === "Escape" && detail.contains(target)) list.focus();
};
const borders = at("borders") ?? { checked: false };
borders.onchange = () => document.body.classList.toggle("plain-tokens", !borders.checked);
/** Links of the tables above choose filters. */
document.onclick = ({ target }) => {
  const link = target.closest?.("[data-filter]");
  if (!link) return;
  const wanted = JSON.parse(link.dataset.filter);
  search.value = "";
  for (const [name, value] of Object.entries({ task: "", judge: "", verdict: "", change: "", training: "", ...wanted })) {
    const control = at(name);
    if (control) control.value = name === "task" && value !== "" ? String(tasks.findIndex((task) => task.name === value)) : value;
  }
  filter();
  choose(shown.length > 0 ? 0 : -1);
  at("samples").scrollIntoView();
  list.focus({ preventScroll: true });
};
unpack().then(() => {
  const [name, id] = location.hash.slice(1).split("/");
  filter();
  const linked = shown.findIndex((item) => encodeURIComponent(tasks[item.t].name) === name && String(item.i) === id);
  if (linked > 0) { list.scrollTop = Math.max(0, linked * ROW - list.clientHeight / 2); choose(linked); }
  document.body.dataset.ready = "true";
}, (error) => { found.textContent = "The samples cannot be read: " + error.message + ". A browser of 2023 or later is needed."; });
`;

/** The whole script, once per page. */
export const SAMPLES_SCRIPT = `(() => {${SAMPLE_SCRIPT}${LIST_SCRIPT}})();`;
