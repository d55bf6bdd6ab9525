/** @file The page of `quern perplexity --html`: bits per byte by domain and model, and one model under several tokenizers. */
import { type Bar, bars, count, escapeHtml, figure, figures, page, paragraph, section, table } from "../pages/index.js";
import type { TextScore } from "./perplexity.js";
import type { PerplexityComparison } from "./perplexity-divided.js";

/** Returns the HTML document. */
export function perplexityPage(comparison: PerplexityComparison): string {
  const { model, models, total } = comparison;
  const names = models.map((each) => each.model);
  return page({
    title: "Perplexity",
    subtitle: names.length === 1 ? model : `${names.length} models on the same text`,
    conclusion: conclusionOf(comparison),
    sections: [
      figures([
        figure("bits per byte", total.bits_per_byte.toFixed(4), models.length > 1 ? names[0] : ""),
        figure("perplexity", shown(total.perplexity), "per token of the model"),
        figure("bytes", count(total.bytes)),
        figure("documents", count(total.documents)),
      ]),
      models.length > 1 ? section("Models", paragraph(MODELS, "small"), modelTable(comparison)) : "",
      section("Domains", paragraph(DOMAINS, "small"), domainTable(comparison)),
      section("One model, several tokenizers", paragraph(TOKENIZERS, "small"), tokenizerTable(comparison)),
      section(
        "How it was measured",
        ...models.map((each) =>
          paragraph(
            `${each.model}: windows of ${count(each.sequence)} tokens, one every ${count(each.stride)}. Each token is scored once, ` +
              "after the model's beginning-of-text token.",
            "small",
          ),
        ),
      ),
    ],
  });
}

const MODELS =
  "Each model reads the text in tokens of its own, so their perplexities have different units and do not compare. Bits per byte " +
  "do: each model spends bits on the same bytes. Fewer are better.";

const DOMAINS =
  "Bits per byte of each domain, with the standard error over its documents. Domains differ in how predictable they are: compare " +
  "models within a domain, not domains with each other.";

const TOKENIZERS =
  "The model and its total of nats stay the same; only the number that divides them changes. Longer tokens are fewer, so each one " +
  "carries more and perplexity rises, though nothing became worse. Bits per byte divides by bytes, which no tokenizer chooses.";

const shown = (value: number) => (value >= 1000 ? count(value) : value.toFixed(2));

const withError = ({ bits_per_byte, bits_per_byte_error }: TextScore) =>
  `${bits_per_byte.toFixed(4)}${bits_per_byte_error === null ? "" : ` ± ${bits_per_byte_error.toFixed(4)}`}`;

function conclusionOf({ models, tokenizers }: PerplexityComparison): string {
  const best = models.reduce((a, b) => (b.total.bits_per_byte < a.total.bits_per_byte ? b : a));
  if (models.length > 1) {
    const lowest = models.reduce((a, b) => (b.total.perplexity < a.total.perplexity ? b : a));
    const result = `${best.model} predicts the text best, with ${best.total.bits_per_byte.toFixed(3)} bits per byte`;
    return lowest === best ? `${result}.` : `${result}, although ${lowest.model} has the lowest perplexity.`;
  }
  const values = tokenizers.filter(({ kind }) => kind !== "unit").map(({ perplexity }) => perplexity);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const range =
    values.length > 1 ? `a perplexity from ${shown(low)} to ${shown(high)}` : `a perplexity of ${shown(high)}`;
  return `${best.total.bits_per_byte.toFixed(3)} bits per byte, which is ${range}${values.length > 1 ? ", depending on the tokenizer" : ""}.`;
}

function modelTable({ models }: PerplexityComparison): string {
  return table({
    label: "Models",
    columns: [
      { name: "model", kind: "text" },
      { name: "tokens" },
      { name: "bytes per token" },
      { name: "nats per token" },
      { name: "perplexity" },
      { name: "bits per byte" },
    ],
    rows: models.map(({ model, total }) => [
      model,
      count(total.tokens),
      (total.bytes / total.tokens).toFixed(2),
      total.nats_per_token.toFixed(4),
      shown(total.perplexity),
      withError(total),
    ]),
  });
}

function domainTable({ models }: PerplexityComparison): string {
  const scoresOf = (wanted: string) => models.map(({ domains }) => domains.find(({ domain }) => domain === wanted));
  const rows = models[0].domains.map(({ domain, documents, bytes }) => [
    domain,
    count(documents),
    count(bytes),
    ...scoresOf(domain).map((score) => (score === undefined ? "–" : withError(score))),
  ]);
  const all = models[0].total;
  const total = ["all", count(all.documents), count(all.bytes), ...models.map((each) => withError(each.total))];
  return table({
    label: "Bits per byte by domain",
    columns: [
      { name: "domain", kind: "text" },
      { name: "documents" },
      { name: "bytes" },
      ...models.map(({ model }) => ({ name: models.length === 1 ? "bits per byte" : model })),
    ],
    rows: rows.length > 1 ? [...rows, total] : rows,
  });
}

function tokenizerTable({ tokenizers }: PerplexityComparison): string {
  const columns = ["tokens", "bytes per token", "perplexity", "bits per byte"];
  const numbers = table({
    label: "One model under several tokenizers",
    columns: [{ name: "divided by the tokens of", kind: "text" }, ...columns.map((name) => ({ name }))],
    rows: tokenizers.map(({ tokenizer, tokens, bytes_per_token, perplexity, bits_per_byte }) => [
      tokenizer,
      count(tokens),
      bytes_per_token.toFixed(2),
      shown(perplexity),
      bits_per_byte.toFixed(4),
    ]),
  });
  // Words would dwarf the tokenizers.
  const compared = tokenizers.filter(({ kind }) => kind !== "unit");
  if (compared.length < 2) return numbers;
  const chart = (title: string, value: (row: (typeof compared)[number]) => number, text: (value: number) => string) => {
    const most = Math.max(...compared.map(value));
    const items = compared.map((row): Bar => ({ name: row.tokenizer, value: value(row), shown: text(value(row)) }));
    return `<h3>${escapeHtml(title)}</h3>${bars(items, most)}`;
  };
  return [
    numbers,
    chart("Perplexity", ({ perplexity }) => perplexity, shown),
    chart(
      "Bits per byte",
      ({ bits_per_byte }) => bits_per_byte,
      (value) => value.toFixed(4),
    ),
  ].join("\n");
}
