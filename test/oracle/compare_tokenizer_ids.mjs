// Compares Quern's ids with those written by tokenizer_ids.py; see there for usage.
import { readFileSync } from "node:fs";

const [path, name, cases, library = "../../dist/src/tokenizer/index.js"] = process.argv.slice(2);
const { loadTokenizer } = await import(library);
const tokenizer = await loadTokenizer(path, { pattern: name });
let wrong = 0;
const lines = readFileSync(cases, "utf8").trim().split("\n");
for (const line of lines) {
  const { text, ids } = JSON.parse(line);
  const mine = [...tokenizer.encode(text)];
  if (mine.join() !== ids.join() && wrong++ < 5) {
    const first = mine.findIndex((id, index) => id !== ids[index]);
    const around = tokenizer.decode(mine.slice(Math.max(0, first - 2), first + 4));
    console.log(
      "differs",
      JSON.stringify({ around, mine: mine.slice(first, first + 5), ids: ids.slice(first, first + 5) }),
    );
  }
  const normal = tokenizer.parts.normalizer === "NFC" ? text.normalize("NFC") : text;
  if (tokenizer.decode(mine) !== normal && wrong++ < 5) console.log("does not decode to itself", JSON.stringify(text));
}
console.log(`${name}: ${lines.length} texts, ${wrong} wrong`);
process.exitCode = wrong === 0 ? 0 : 1;
