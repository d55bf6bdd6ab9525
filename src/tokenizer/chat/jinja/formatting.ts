/** @file Python's two kinds of string formatting: `"%s" % value` and `"{}".format(value)`. */
import { checkText, fail, refuse } from "./failure.js";
import { exponentText, fixedDigits, intText, scientificDigits, toFloat } from "./numbers.js";
import {
  charactersOf,
  Dict,
  escapeMarkup,
  intOf,
  isList,
  isText,
  itemsOf,
  type Keywords,
  Markup,
  numberOf,
  orElse,
  points,
  quote,
  Range,
  repr,
  str,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

/** Python's ascii(): repr with non-ASCII characters escaped. */
function ascii(value: Value): string {
  return repr(value).replace(/[^\0-\x7f]/gu, (char) => {
    const hex = char.codePointAt(0)!.toString(16);
    return hex.length <= 2
      ? `\\x${hex.padStart(2, "0")}`
      : hex.length <= 4
        ? `\\u${hex.padStart(4, "0")}`
        : `\\U${hex.padStart(8, "0")}`;
  });
}

/** Formats a float without its sign by the conversion `e`, `f` or `g`. */
function floatDigits(value: number, conversion: string, precision: number, alternate: boolean): string {
  if (!Number.isFinite(value)) {
    const text = Number.isNaN(value) ? "nan" : "inf";
    return conversion === conversion.toUpperCase() ? text.toUpperCase() : text;
  }
  const kind = conversion.toLowerCase();
  let text: string;
  if (kind === "f") text = fixedDigits(value, precision) + (alternate && precision === 0 ? "." : "");
  else if (kind === "e") {
    const { text: digits, power } = scientificDigits(value, precision);
    text = `${digits}${alternate && precision === 0 ? "." : ""}e${exponentText(power)}`;
  } else {
    const significant = precision === 0 ? 1 : precision;
    const { text: digits, power } = scientificDigits(value, significant - 1);
    const trimmed = (shown: string): string =>
      alternate || !shown.includes(".") ? shown : shown.replace(/\.?0+$/, "");
    if (power < -4 || power >= significant) text = `${trimmed(digits)}e${exponentText(power)}`;
    else text = trimmed(fixedDigits(value, significant - 1 - power));
  }
  return conversion === kind ? text : text.toUpperCase();
}

function isNegative(value: number | bigint): boolean {
  return value < 0 || Object.is(value, -0);
}

const PERCENT = /%(?:\(([^()]*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?(.)?/gsu;

/** Evaluates `text % values`. */
export function formatPercent(text: string, values: Value): string {
  const list = values instanceof Tuple ? values.items : [values];
  // Python treats these as mappings, which may contain unused keys.
  const isMapping = values instanceof Dict || isList(values) || values instanceof Undefined || values instanceof Range;
  let used = 0;
  let named = false;
  const take = (): Value => {
    if (used >= list.length) return fail("not enough arguments for format string");
    return list[used++];
  };
  const star = (given: string | undefined): number | undefined => {
    if (given !== "*") return given === undefined ? undefined : Number(given);
    const number = intOf(take());
    return number === undefined ? fail("* wants int") : Number(number);
  };
  if (/%\([^)]*\(/.test(text)) refuse("a name with parentheses in a format");
  const out = text.replace(
    PERCENT,
    (whole: string, key, flags: string, wide, exact, conversion: string | undefined) => {
      if (conversion === undefined) return fail("incomplete format");
      if (conversion === "%") {
        if (whole !== "%%") refuse(`the format ${whole}`);
        return "%";
      }
      let value: Value | undefined;
      if (key !== undefined) {
        if (!(values instanceof Dict)) return fail("format requires a mapping");
        named = true;
        value = orElse(values.get(key), () => fail(`there is no ${quote(key)} for the format`));
      }
      let width = star(wide) ?? 0;
      const precision = whole.includes(".") ? (star(exact) ?? 0) : undefined;
      let leftwards = flags.includes("-");
      if (width < 0) {
        leftwards = true;
        width = -width;
      }
      value = orElse(value, () => (named ? values : take()));
      checkText(Math.max(width, precision ?? 0));
      const alternate = flags.includes("#");
      let body: string;
      let sign = "";
      if ("sra".includes(conversion)) {
        body = conversion === "s" ? str(value) : conversion === "r" ? repr(value) : ascii(value);
        if (precision !== undefined) body = charactersOf(body).slice(0, precision).join("");
      } else if (conversion === "c") {
        const code = intOf(value);
        if (code === undefined) {
          body = isText(value) && points(textOf(value)) === 1 ? textOf(value) : fail("%c requires int or char");
        } else
          body =
            code >= 0n && code <= 0x10ffffn
              ? String.fromCodePoint(Number(code))
              : fail("%c arg not in range(0x110000)");
      } else if ("diuoxXeEfFgG".includes(conversion)) {
        if (value instanceof Undefined) value.raise();
        const number = numberOf(value);
        if (number === undefined) return fail(`%${conversion} format: a number is required, not ${typeName(value)}`);
        if (isNegative(number)) sign = "-";
        else sign = flags.includes("+") ? "+" : flags.includes(" ") ? " " : "";
        if ("diuoxX".includes(conversion)) {
          if (typeof number === "number" && ("oxX".includes(conversion) || !Number.isFinite(number))) {
            return fail(`%${conversion} format: an integer is required`);
          }
          const whole = typeof number === "bigint" ? number : BigInt(Math.trunc(number));
          const size = whole < 0n ? -whole : whole;
          if (whole === 0n && sign === "-") sign = "";
          const base = conversion === "o" ? 8 : conversion === "x" || conversion === "X" ? 16 : 10;
          body = base === 10 ? intText(size) : size.toString(base);
          if (precision !== undefined) body = body.padStart(precision, "0");
          if (alternate && base !== 10) sign += base === 8 ? "0o" : "0x";
          if (conversion === "X") {
            body = body.toUpperCase();
            sign = sign.toUpperCase();
          }
        } else {
          const float = typeof number === "bigint" ? toFloat(number) : number;
          body = floatDigits(float, conversion, precision ?? 6, alternate);
        }
      } else return fail(`unsupported format character ${quote(conversion)}`);
      const padding = width - points(sign) - points(body);
      if (padding <= 0) return sign + body;
      if (leftwards) return sign + body + " ".repeat(padding);
      const zeros = flags.includes("0") && !"src a".includes(conversion);
      return zeros ? sign + "0".repeat(padding) + body : " ".repeat(padding) + sign + body;
    },
  );
  if (!isMapping && used < list.length) {
    return fail("not all arguments converted during string formatting");
  }
  return out;
}

/** Evaluates `Markup % values`, with the values escaped. */
export function formatPercentMarkup(text: string, values: Value): Markup {
  if (/%[^%s(]|%\([^)]*\)[^s]/.test(text)) refuse("a format of safe text other than %s");
  const escaped = (value: Value): Value =>
    value instanceof Undefined || numberOf(value) !== undefined ? value : escapeMarkup(value);
  if (values instanceof Tuple)
    return new Markup(formatPercent(text, new Tuple(values.items.map((item) => escapeMarkup(item)))));
  if (values instanceof Dict) {
    return new Markup(
      formatPercent(text, Dict.of(Array.from(values.entries(), ([key, value]) => [key, escaped(value)]))),
    );
  }
  return new Markup(formatPercent(text, escapeMarkup(values)));
}

const SPEC = /^(?:([\s\S])?([<>=^]))?([-+ ]?)(z?)(#?)(0?)(\d*)([,_]?)(?:\.(\d+))?(.?)$/u;

/** Python's format(value, spec). */
export function formatValue(value: Value, spec: string): string {
  if (value instanceof Undefined) {
    value.check();
    return spec === "" ? "" : fail("unsupported format string passed to Undefined.__format__");
  }
  if (spec === "") return str(value);
  const match = SPEC.exec(spec);
  if (match === null) return fail(`invalid format specifier ${quote(spec)}`);
  let [, fill, align, sign, noMinus, alternate, zero, width, grouping, precisionText, kind] = match;
  if (noMinus !== "") refuse("z in a format");
  checkText(Number(width));
  const precision = precisionText === undefined ? undefined : Number(precisionText);
  const number = numberOf(value);
  if (zero !== "" && (align === undefined || align === "")) {
    fill ??= "0";
    if (number !== undefined) align = "=";
  }
  let lead = "";
  let body: string;
  if (number === undefined) {
    if (!isText(value)) return fail(`unsupported format string passed to ${typeName(value)}.__format__`);
    if (sign !== "" || alternate !== "" || grouping !== "" || align === "=" || (kind !== "" && kind !== "s")) {
      return fail(`the format ${quote(spec)} is not valid for a str`);
    }
    body = textOf(value);
    if (precision !== undefined) body = charactersOf(body).slice(0, precision).join("");
    align ??= "<";
  } else {
    align ??= ">";
    if (typeof value === "boolean" && kind === "") kind = "d";
    const isInt = typeof number === "bigint" && !"eEfFgG%".includes(kind || "d");
    if (kind === "n") refuse("n in a format");
    const shownSign = isNegative(number) ? "-" : sign === "-" ? "" : sign;
    if (isInt) {
      if (precision !== undefined) return fail("Precision not allowed in integer format specifier");
      const size = number < 0n ? -number : number;
      const bases: Readonly<Record<string, number>> = { "": 10, d: 10, b: 2, o: 8, x: 16, X: 16 };
      if (kind === "c") {
        if (sign !== "" || grouping !== "" || alternate !== "") return fail("a sign is not allowed with the format c");
        body =
          size <= 0x10ffffn && number >= 0n
            ? String.fromCodePoint(Number(size))
            : fail("%c arg not in range(0x110000)");
        lead = "";
      } else {
        const base = bases[kind];
        if (base === undefined) return fail(`unknown format code ${quote(kind)} for an int`);
        if (grouping === "," && base !== 10) return fail(`cannot specify ',' with ${quote(kind)}`);
        body = base === 10 ? intText(size) : size.toString(base);
        if (kind === "X") body = body.toUpperCase();
        if (alternate !== "" && base !== 10) lead = `0${kind}`;
        lead = shownSign + lead;
        if (grouping !== "") body = grouped(body, grouping, base === 10 ? 3 : 4);
      }
    } else {
      const float = typeof number === "bigint" ? toFloat(number) : number;
      lead = shownSign;
      if (kind === "%") {
        if (!Number.isFinite(float * 100)) refuse("a percentage of a non-finite number");
        body = `${floatDigits(float * 100, "f", precision ?? 6, alternate !== "")}%`;
      } else if (kind === "" || kind === "n") {
        // Without a precision this is str(); with one, Python's rules differ.
        if (alternate !== "" || precision !== undefined) refuse(`the format ${quote(spec)} of a float`);
        body = str(Math.abs(float));
      } else if ("eEfFgG".includes(kind)) body = floatDigits(float, kind, precision ?? 6, alternate !== "");
      else return fail(`unknown format code ${quote(kind)} for a float`);
      if (grouping !== "") {
        const [, whole, rest] = /^(\d*)(.*)$/.exec(body)!;
        body = grouped(whole, grouping, 3) + rest;
      }
    }
    if (align === "=" && fill === "0" && grouping !== "" && Number(width) > 0) refuse("a format with zeros and groups");
  }
  const padding = Number(width) - points(lead) - points(body);
  if (padding <= 0) return lead + body;
  const pad = (count: number): string => (fill ?? " ").repeat(count);
  if (align === "<") return lead + body + pad(padding);
  if (align === ">") return pad(padding) + lead + body;
  if (align === "=") return lead + pad(padding) + body;
  return pad(Math.floor(padding / 2)) + lead + body + pad(Math.ceil(padding / 2));
}

function grouped(digits: string, mark: string, size: number): string {
  const groups: string[] = [];
  for (let end = digits.length; end > 0; end -= size) groups.unshift(digits.slice(Math.max(0, end - size), end));
  return groups.join(mark);
}

export interface FieldAccess {
  attribute(of: Value, name: string): Value;
  item(of: Value, key: Value): Value;
}

/**
 * Evaluates `text.format(*positional, **named)`.
 * @param escapes whether the text is Markup, which escapes its arguments
 */
export function formatBraces(
  text: string,
  positional: readonly Value[],
  named: Keywords | Dict,
  access: FieldAccess,
  escapes: boolean,
): string {
  let automatic = 0;
  const numbering = { automatic: false, manual: false };
  const fieldOf = (name: string): Value => {
    const first = /^[^.[]*/.exec(name)![0];
    let value: Value | undefined;
    if (first === "" && name !== "") fail(`${quote(name)} is not a valid field name in a format`);
    if (first === "" || /^\d+$/.test(first)) {
      numbering[first === "" ? "automatic" : "manual"] = true;
      if (numbering.automatic && numbering.manual) fail("cannot mix automatic and manual field numbers in a format");
      value = orElse(positional[first === "" ? automatic++ : Number(first)], () =>
        fail("a format refers to a missing argument"),
      );
    } else value = orElse(named.get(first), () => fail(`a format refers to the missing argument ${quote(first)}`));
    let rest = name.slice(first.length);
    while (rest !== "") {
      const part = /^(?:\.([^.[]+)|\[([^\]]+)\])/.exec(rest) ?? fail(`${quote(name)} is not a valid field of a format`);
      value =
        part[1] !== undefined
          ? access.attribute(value, part[1])
          : access.item(value, /^\d+$/.test(part[2]) ? BigInt(part[2]) : part[2]);
      rest = rest.slice(part[0].length);
    }
    return value;
  };
  const fill = (source: string, depth: number): string => {
    if (depth > 2 && /[{}]/.test(source)) fail("max string recursion exceeded in a format");
    let out = "";
    for (let at = 0; at < source.length; ) {
      const char = source[at];
      if (char !== "{" && char !== "}") {
        const end = source.slice(at).search(/[{}]/);
        const stop = end < 0 ? source.length : at + end;
        out += source.slice(at, stop);
        at = stop;
        continue;
      }
      if (source[at + 1] === char) {
        out += char;
        at += 2;
        continue;
      }
      if (char === "}") fail("a single '}' in a format");
      let depthHere = 1;
      let end = at + 1;
      for (; end < source.length; end++) {
        if (source[end] === "{") depthHere++;
        else if (source[end] === "}" && --depthHere === 0) break;
      }
      if (depthHere !== 0) fail("a single '{' in a format");
      const field = source.slice(at + 1, end);
      const parts =
        /^((?:[^!:{}[]|\[[^\]]*\])*)(?:!(.?))?(?::([\s\S]*))?$/u.exec(field) ??
        fail(`${quote(field)} is not a valid field of a format`);
      let value = fieldOf(parts[1]);
      if (parts[2] !== undefined) {
        if (parts[2] === "s") value = str(value);
        else if (parts[2] === "r") value = repr(value);
        else if (parts[2] === "a") value = ascii(value);
        else fail(`unknown conversion ${quote(parts[2])} in a format`);
      }
      const spec = fill(parts[3] ?? "", depth + 1);
      if (escapes) {
        if (value instanceof Markup && spec !== "") refuse("a format of safe text within safe text");
        out += value instanceof Markup ? value.text : escapeMarkup(formatValue(value, spec)).text;
      } else out += formatValue(value, spec);
      checkText(out.length);
      at = end + 1;
    }
    return out;
  };
  return fill(text, 0);
}

/** Returns the texts of a str or a tuple of them, as startswith accepts; undefined for other values. */
export function textsOf(value: Value): readonly string[] | undefined {
  if (isText(value)) return [textOf(value)];
  const items = isList(value) ? undefined : itemsOf(value);
  return items?.every(isText) === true ? items.map((item) => textOf(item as string)) : undefined;
}
