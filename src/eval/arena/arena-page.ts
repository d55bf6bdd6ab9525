/** @file The arena's page: a message, two answers side by side, four votes. It works with the keyboard alone. */
import { page } from "../../pages/index.js";

const BODY = `
<form id="ask"><label for="message">Message to both models</label>
<textarea id="message" rows="3" required maxlength="32000" autofocus></textarea>
<p class="small">Enter sends, Shift+Enter starts a new line. After the answers, another message continues the battle.</p>
<button id="send">Send</button></form>
<p id="status" role="status" class="conclusion"></p>
<div class="pair">
<article aria-labelledby="name-a"><h2 id="name-a">Answer A</h2><div id="a" class="sample" tabindex="0" aria-live="polite"></div></article>
<article aria-labelledby="name-b"><h2 id="name-b">Answer B</h2><div id="b" class="sample" tabindex="0" aria-live="polite"></div></article>
</div>
<div id="votes" role="group" aria-label="Vote">
<button data-winner="model_a" aria-keyshortcuts="a" disabled>A is better (A)</button>
<button data-winner="model_b" aria-keyshortcuts="b" disabled>B is better (B)</button>
<button data-winner="tie" aria-keyshortcuts="t" disabled>Tie (T)</button>
<button data-winner="tie (bothbad)" aria-keyshortcuts="x" disabled>Both are bad (X)</button>
<button id="next" aria-keyshortcuts="n" hidden>New battle (N)</button>
</div>
<style>textarea { width: 100%; font: inherit; padding: .6rem .8rem; background: var(--panel); color: var(--ink); border: 1px solid var(--rule); border-radius: 8px; }
#votes { display: flex; flex-wrap: wrap; gap: .6rem; margin-top: 1rem; } #votes button, #send { font-size: 1rem; padding: .5rem 1.1rem; }
button:disabled { opacity: .5; cursor: default; } .sample { min-height: 8rem; max-height: 60vh; } .sample .user { color: var(--soft); margin: 0 0 .5rem; white-space: pre-wrap; }
.sample .answer { margin: 0 0 1rem; white-space: pre-wrap; }</style>`;

/** Runs in the browser. States: idle, answering, answered, voted. */
const SCRIPT = `
const at = (id) => document.getElementById(id);
const [form, message, send, status, next] = ["ask", "message", "send", "status", "next"].map(at);
const votes = [...document.querySelectorAll("[data-winner]")];
let battle = null;
let state = "idle";
const enter = (to, text) => {
  state = to;
  status.textContent = text;
  for (const button of votes) button.disabled = to !== "answered";
  send.disabled = to === "answering" || to === "voted";
  message.disabled = send.disabled;
  next.hidden = to !== "voted" && to !== "failed";
};
const add = (side, kind, text) => {
  const part = document.createElement("p");
  part.className = kind;
  part.textContent = text;
  at(side).append(part);
  return part;
};
const post = (path, body) => fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const fail = (text) => {
  enter("failed", text);
  send.disabled = message.disabled = true;
  next.focus();
};
async function ask() {
  const text = message.value.trim();
  if (text === "" || (state !== "idle" && state !== "answered")) return;
  enter("answering", "Both models are answering …");
  message.value = "";
  const parts = {};
  for (const side of ["a", "b"]) {
    add(side, "user", text);
    parts[side] = add(side, "answer", "");
  }
  try {
    const response = await post("api/answers", { battle, message: text });
    if (!response.ok) return fail((await response.json()).error);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let done = false;
    for (;;) {
      const piece = await reader.read();
      if (piece.done) break;
      const lines = (rest + piece.value).split("\\n");
      rest = lines.pop();
      for (const line of lines) {
        const event = JSON.parse(line);
        if (event.battle) battle = event.battle;
        if (event.error) return fail(event.error);
        if (event.side) parts[event.side].textContent += event.text;
        if (event.done) done = true;
      }
    }
    if (!done) return fail("The server closed the connection; start a new battle.");
    enter("answered", "Which answer is better?");
    votes[0].focus();
  } catch (error) {
    fail("The server does not answer: " + error.message);
  }
}
async function vote(winner) {
  if (state !== "answered") return;
  enter("voting", "Saving the vote …");
  try {
    const response = await post("api/votes", { battle, winner });
    const result = await response.json();
    if (!response.ok) return enter("answered", result.error);
    at("name-a").textContent = "Answer A: " + result.model_a;
    at("name-b").textContent = "Answer B: " + result.model_b;
    enter("voted", "Thank you. A was " + result.model_a + ", B was " + result.model_b + ".");
    next.focus();
  } catch (error) {
    enter("answered", "The vote was not saved: " + error.message);
  }
}
function restart() {
  battle = null;
  for (const side of ["a", "b"]) {
    at(side).textContent = "";
    at("name-" + side).textContent = "Answer " + side.toUpperCase();
  }
  enter("idle", "");
  message.focus();
}
form.onsubmit = (event) => { event.preventDefault(); ask(); };
message.onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  ask();
};
for (const button of votes) button.onclick = () => vote(button.dataset.winner);
next.onclick = restart;
const KEYS = { a: "model_a", b: "model_b", t: "tie", x: "tie (bothbad)" };
document.onkeydown = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target === message) return;
  const key = event.key.toLowerCase();
  if (KEYS[key] && state === "answered") { event.preventDefault(); vote(KEYS[key]); }
  if (key === "n" && !next.hidden) { event.preventDefault(); restart(); }
};
enter("idle", "");`;

/** Returns the HTML document; it names no model. */
export function arenaPage(): string {
  return page({
    title: "Arena",
    subtitle: "Two models answer without their names. Vote, and the names appear.",
    sections: [BODY],
    scripts: [SCRIPT],
    connects: true,
  });
}
