/**
 * @file Converts mathematics to TeX. KaTeX and MathJax keep the TeX source beside the rendered formula: in an `annotation` of
 * type application/x-tex, a `script` of type math/tex, or an attribute. If only MathML is left, its tree is converted.
 * https://www.w3.org/TR/mathml-core/
 */
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";

export interface Mathematics {
  /** Without delimiters; "" for a rendering whose source is in another element. */
  readonly tex: string;
  readonly display: boolean;
}

/** Returns the formula that an element represents, or undefined if it is not a formula. */
export function mathematicsOf(node: Node): Mathematics | undefined {
  const { name } = node.tag;
  if (name === "math") return ofMath(node);
  if (name === "script") {
    return node.text === "" ? undefined : { tex: tidy(node.text), display: node.get("display") === "block" };
  }
  if (node.className !== "") {
    const found = ofClass(node);
    if (found !== undefined) return found;
  }
  if (name === "img" || name === "mjx-container") return ofAlternative(node);
  return undefined;
}

function ofMath(node: Node): Mathematics {
  const display = node.get("display") === "block" || /\bdisplay\b/.test(node.get("mode"));
  const source = sourceIn(node) ?? texAttribute(node);
  // LaTeXML and MediaWiki keep the source as the formula's alternative text.
  const tex = source ?? texOf(node);
  return { tex: unwrapStyle(tidy(tex)), display: display || isDisplayed(node) };
}

function isDisplayed(node: Node): boolean {
  for (let at: Node | null = node.parent, i = 0; at !== null && i < 4; at = at.parent, i++) {
    if (
      /(?:^|[\s_-])(?:katex-display|mathjax_display|mwe-math-fallback-image-display|mwe-math-element-block|math-block|displaymath)(?:$|\s)/i.test(
        at.className,
      )
    )
      return true;
  }
  return false;
}

/** Reads the wrappers of KaTeX and MathJax; their visual rendering has no text of its own. */
function ofClass(node: Node): Mathematics | undefined {
  const { className } = node;
  if (
    /(?:^|\s)(?:katex-html|MathJax_Preview|MJX_Assistive_MathML|mjx-chtml|MathJax_SVG|mwe-math-fallback-image-\w+)(?:\s|$)/.test(
      className,
    )
  ) {
    // The assistive copy is MathML. It is the only source if no script has the TeX.
    if (/Assistive/.test(className) && !hasScriptBeside(node)) return undefined;
    return { tex: "", display: false };
  }
  if (/(?:^|\s)MathJax(?:_Display)?(?:\s|$)/.test(className)) {
    const math = first(node, "math");
    if (math === undefined || hasScriptBeside(node)) return { tex: "", display: false };
    return { ...ofMath(math), display: /_Display/.test(className) || math.get("display") === "block" };
  }
  if (/(?:^|\s)katex(?:-display)?(?:\s|$)/.test(className)) {
    const math = first(node, "math");
    if (math === undefined) return undefined;
    const own = ofMath(math);
    return /katex-display/.test(className) ? { ...own, display: true } : own;
  }
  return undefined;
}

/** Reads an image of a formula whose alternative text is TeX, as in MediaWiki, WordPress and LaTeX2HTML. */
function ofAlternative(node: Node): Mathematics | undefined {
  const alt = node.get("data-latex") || node.get("data-tex") || node.get("data-math") || node.get("alt");
  const own = `${node.className} ${node.get("src")}`;
  const isFormula =
    node.get("data-latex") !== "" ||
    /(?:^|[\s_-])(?:latex|tex|math|mwe-math-fallback-image-inline|mwe-math-fallback-image-display)(?:$|[\s_-])/i.test(
      node.className,
    ) ||
    /latex\.php|\/render\/svg\/|codecogs|mathtex/.test(own);
  if (alt === "" || !isFormula) return undefined;
  return { tex: unwrapStyle(tidy(alt.replace(/^\$\$?|\$\$?$/g, ""))), display: /image-display|displaymath/.test(own) };
}

function hasScriptBeside(node: Node): boolean {
  for (let at: Node | null = node, i = 0; at !== null && i < 3; at = at.parent, i++) {
    for (let next = at.next, j = 0; next !== null && j < 3; next = next.next, j++) {
      if (next.tag.name === "script" && next.text !== "") return true;
    }
  }
  return false;
}

/** Returns the TeX of an `annotation` inside a formula, or undefined. */
function sourceIn(node: Node): string | undefined {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag === TEXT) continue;
    if (child.tag.name === "annotation" && /tex/i.test(child.get("encoding"))) return plain(child);
    const inner = child.first === null ? undefined : sourceIn(child);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

function texAttribute(node: Node): string | undefined {
  for (const name of ["data-latex", "data-tex", "tex", "latex"]) if (node.get(name) !== "") return node.get(name);
  // LaTeXML writes the source as alternative text. A spoken form has no TeX commands.
  const alt = node.get("alttext");
  return /[\\^_{}]/.test(alt) ? alt : undefined;
}

function first(node: Node, name: string): Node | undefined {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag.name === name) return child;
    const inner = child.first === null ? undefined : first(child, name);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

const tidy = (tex: string): string =>
  tex
    .replace(/%\n/g, "")
    .replace(/<!\[CDATA\[|\]\]>/g, "")
    .replace(/[ \t\u00a0]+/g, " ")
    .replace(/\s*\n\s*/g, "\n")
    .trim();

/** Removes the style wrapper: `{\displaystyle x}` → `x`. */
const unwrapStyle = (tex: string): string =>
  /^\{\\(?:displaystyle|textstyle) ?([\s\S]*)\}$/.exec(tex)?.[1].trim() ?? tex;

function plain(node: Node): string {
  if (node.tag === TEXT) return node.text;
  let text = "";
  for (let child = node.first; child !== null; child = child.next) text += plain(child);
  return text;
}

/** TeX commands for single characters of MathML. */
const COMMANDS: Readonly<Record<string, string>> = {
  α: "\\alpha",
  β: "\\beta",
  γ: "\\gamma",
  δ: "\\delta",
  ϵ: "\\epsilon",
  ε: "\\varepsilon",
  ζ: "\\zeta",
  η: "\\eta",
  θ: "\\theta",
  ι: "\\iota",
  κ: "\\kappa",
  λ: "\\lambda",
  μ: "\\mu",
  ν: "\\nu",
  ξ: "\\xi",
  π: "\\pi",
  ρ: "\\rho",
  σ: "\\sigma",
  τ: "\\tau",
  υ: "\\upsilon",
  ϕ: "\\phi",
  φ: "\\varphi",
  χ: "\\chi",
  ψ: "\\psi",
  ω: "\\omega",
  Γ: "\\Gamma",
  Δ: "\\Delta",
  Θ: "\\Theta",
  Λ: "\\Lambda",
  Ξ: "\\Xi",
  Π: "\\Pi",
  Σ: "\\Sigma",
  Φ: "\\Phi",
  Ψ: "\\Psi",
  Ω: "\\Omega",
  "∞": "\\infty",
  "∂": "\\partial",
  "∇": "\\nabla",
  "∑": "\\sum",
  "∏": "\\prod",
  "∫": "\\int",
  "∮": "\\oint",
  "√": "\\surd",
  "±": "\\pm",
  "∓": "\\mp",
  "×": "\\times",
  "÷": "\\div",
  "·": "\\cdot",
  "⋅": "\\cdot",
  "∘": "\\circ",
  "∗": "*",
  "⊕": "\\oplus",
  "⊗": "\\otimes",
  "≤": "\\leq",
  "≥": "\\geq",
  "≠": "\\neq",
  "≈": "\\approx",
  "≡": "\\equiv",
  "∼": "\\sim",
  "≅": "\\cong",
  "∝": "\\propto",
  "∈": "\\in",
  "∉": "\\notin",
  "⊂": "\\subset",
  "⊆": "\\subseteq",
  "⊃": "\\supset",
  "∪": "\\cup",
  "∩": "\\cap",
  "∅": "\\emptyset",
  "∀": "\\forall",
  "∃": "\\exists",
  "¬": "\\neg",
  "∧": "\\land",
  "∨": "\\lor",
  "→": "\\to",
  "←": "\\leftarrow",
  "↔": "\\leftrightarrow",
  "⇒": "\\Rightarrow",
  "⇐": "\\Leftarrow",
  "⇔": "\\Leftrightarrow",
  "↦": "\\mapsto",
  "…": "\\ldots",
  "⋯": "\\cdots",
  "⋮": "\\vdots",
  "⋱": "\\ddots",
  "⟨": "\\langle",
  "⟩": "\\rangle",
  "‖": "\\|",
  "−": "-",
  "′": "'",
  "″": "''",
  ℝ: "\\mathbb{R}",
  ℕ: "\\mathbb{N}",
  ℤ: "\\mathbb{Z}",
  ℚ: "\\mathbb{Q}",
  ℂ: "\\mathbb{C}",
  ℓ: "\\ell",
  ℏ: "\\hbar",
  "{": "\\{",
  "}": "\\}",
  "%": "\\%",
  "#": "\\#",
  "&": "\\&",
  $: "\\$",
  "\u2061": "",
  "\u2062": "",
  "\u2063": "",
  "\u2064": "",
};

const FUNCTIONS = new Set(
  "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh exp log ln lim max min sup inf det dim ker gcd arg deg Pr limsup liminf".split(
    " ",
  ),
);

/** Commands for marks above or below a letter. */
const ACCENTS: Readonly<Record<string, string>> = {
  "^": "\\hat",
  ˆ: "\\hat",
  "¯": "\\bar",
  "‾": "\\overline",
  "→": "\\vec",
  "⃗": "\\vec",
  "˙": "\\dot",
  "¨": "\\ddot",
  "~": "\\tilde",
  "˜": "\\tilde",
  "⏞": "\\overbrace",
  _: "\\underline",
  "⏟": "\\underbrace",
};

/** Formulas nested deeper than this are written as plain text. */
const MAX_DEPTH = 60;

function texOf(node: Node, depth = 0): string {
  if (depth > MAX_DEPTH) return symbols(plain(node));
  const parts = children(node);
  const at = (i: number): string => (parts[i] === undefined ? "" : texOf(parts[i], depth + 1));
  const grouped = (i: number): string => `{${at(i)}}`;
  switch (node.tag.name) {
    case "mi": {
      const text = plain(node).trim();
      if (FUNCTIONS.has(text)) return `\\${text} `;
      const bold = node.get("mathvariant").includes("bold");
      const own = symbols(text);
      if (bold) return `\\mathbf{${own}}`;
      if (node.get("mathvariant") === "double-struck") return `\\mathbb{${own}}`;
      return [...text].length > 1 && /^[A-Za-z]+$/.test(text) ? `\\mathrm{${own}}` : own;
    }
    case "mo":
    case "mn":
    case "ms":
      return symbols(plain(node).trim());
    case "mtext": {
      const text = plain(node).replace(/[\s\u00a0]+/g, " ");
      return text.trim() === "" ? " " : `\\text{${text}}`;
    }
    case "mspace":
      return " ";
    case "mphantom":
    case "annotation":
    case "annotation-xml":
      return "";
    case "mfrac":
      if (/^0(?:[a-z]*|\.0*)$/.test(node.get("linethickness"))) return `\\binom${grouped(0)}${grouped(1)}`;
      return `\\frac${grouped(0)}${grouped(1)}`;
    case "msqrt":
      return `\\sqrt{${row(parts, depth)}}`;
    case "mroot":
      return `\\sqrt[${at(1)}]${grouped(0)}`;
    case "msub":
      return `${base(at(0))}_${script(at(1))}`;
    case "msup":
      return power(base(at(0)), at(1));
    case "msubsup":
      return power(`${base(at(0))}_${script(at(1))}`, at(2));
    case "munder": {
      const mark = ACCENTS[plain(parts[1] ?? node).trim()];
      return mark === undefined ? under(at(0), at(1)) : `${mark}${grouped(0)}`;
    }
    case "mover": {
      const mark = ACCENTS[plain(parts[1] ?? node).trim()];
      if (mark !== undefined) return `${mark}${grouped(0)}`;
      // Convert the base only once: twice at each level would take exponential time.
      const main = at(0);
      return isLimit(main) ? `${main.trim()}^${script(at(1))}` : `\\overset{${at(1)}}{${main}}`;
    }
    case "munderover":
      return `${at(0).trim()}_${script(at(1))}^${script(at(2))}`;
    case "mtable":
      return `\\begin{matrix}${parts.map((line) => texOf(line, depth + 1)).join(" \\\\ ")}\\end{matrix}`;
    case "mtr":
      return parts.map((cell) => texOf(cell, depth + 1)).join(" & ");
    case "mfenced":
      return `(${parts.map((part) => texOf(part, depth + 1)).join(", ")})`;
    default:
      return row(parts, depth) || (parts.length === 0 ? symbols(plain(node).trim()) : "");
  }
}

const children = (node: Node): Node[] => {
  const list: Node[] = [];
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag !== TEXT || child.text.trim() !== "") list.push(child);
  }
  return list;
};

/** Concatenates parts, with a space between a command and a letter that follows it. */
function row(parts: readonly Node[], depth: number): string {
  return joined(parts.map((part) => (part.tag === TEXT ? symbols(part.text.trim()) : texOf(part, depth + 1))));
}

function joined(parts: readonly string[]): string {
  const pieces: string[] = [];
  let last = "";
  for (const part of parts) {
    if (part === "") continue;
    if (/^[A-Za-z]/.test(part) && endsInCommand(last)) pieces.push(" ");
    pieces.push(part);
    last = part;
  }
  return pieces.join("");
}

/** Commands are short: checking only the end of a long string keeps the time linear. */
const endsInCommand = (tex: string): boolean => /\\[A-Za-z]+$/.test(tex.slice(-30));

function symbols(text: string): string {
  return joined([...text].map((char) => COMMANDS[char] ?? char));
}

const script = (tex: string): string => ([...tex].length === 1 && !/[\\^_]/.test(tex) ? tex : `{${tex}}`);
const power = (low: string, high: string): string => (/^'+$/.test(high) ? low + high : `${low}^${script(high)}`);
const base = (tex: string): string => {
  const own = tex.trim();
  return own === ""
    ? "{}"
    : [...own].length === 1 || /^\\[A-Za-z]+(?:\{[^{}]*\})?$/.test(own) || own === ")" || own === "]"
      ? own
      : `{${own}}`;
};
const isLimit = (tex: string): boolean =>
  /^\\(?:sum|prod|int|oint|lim|max|min|sup|inf|cup|cap|limsup|liminf)\b/.test(tex.trim());
const under = (main: string, low: string): string =>
  isLimit(main) ? `${main.trim()}_${script(low)}` : `\\underset{${low}}{${main}}`;
