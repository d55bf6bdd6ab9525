/**
 * @file The values of `format` as patterns and number ranges. Sources: RFC 3339 (dates and times, durations of its appendix A),
 * RFC 5321 and 1123 (mail addresses, host names), RFC 3986 and 6570 (addresses and their templates), RFC 4291 (IPv6), RFC 6901 (JSON
 * Pointer), RFC 9562 (UUID), RFC 4648 (base64), OpenAPI's registry of formats.
 */

const MONTH_DAY =
  "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))";
const LEAP_YEAR = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
const DATE = `(?:\\d{4}-${MONTH_DAY}|${LEAP_YEAR}-02-29)`;
const CLOCK = "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?";
/** The second that is inserted at the end of some days. */
const LEAP_SECOND = "23:59:60(?:\\.\\d+)?[Zz]";
const OFFSET = "(?:[Zz]|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)";
const TIME = `(?:${CLOCK}${OFFSET}|${LEAP_SECOND})`;
const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
const BYTE = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = `${BYTE}(?:\\.${BYTE}){3}`;
const GROUP = "[0-9A-Fa-f]{1,4}";
const LAST_GROUPS = `(?:${GROUP}:${GROUP}|${IPV4})`;
const IPV6 = [
  `(?:${GROUP}:){6}${LAST_GROUPS}`,
  `::(?:${GROUP}:){5}${LAST_GROUPS}`,
  `(?:${GROUP})?::(?:${GROUP}:){4}${LAST_GROUPS}`,
  `(?:(?:${GROUP}:){0,1}${GROUP})?::(?:${GROUP}:){3}${LAST_GROUPS}`,
  `(?:(?:${GROUP}:){0,2}${GROUP})?::(?:${GROUP}:){2}${LAST_GROUPS}`,
  `(?:(?:${GROUP}:){0,3}${GROUP})?::${GROUP}:${LAST_GROUPS}`,
  `(?:(?:${GROUP}:){0,4}${GROUP})?::${LAST_GROUPS}`,
  `(?:(?:${GROUP}:){0,5}${GROUP})?::${GROUP}`,
  `(?:(?:${GROUP}:){0,6}${GROUP})?::`,
].join("|");

const ESCAPED = "%[0-9A-Fa-f]{2}";
const UNRESERVED = "A-Za-z0-9._~\\-";
const SUB_DELIMITERS = "!$&'()*+,;=";
const PATH_CHARACTER = `(?:[${UNRESERVED}${SUB_DELIMITERS}:@]|${ESCAPED})`;
const SEGMENTS = `(?:/${PATH_CHARACTER}*)*`;
const USER = `(?:(?:[${UNRESERVED}${SUB_DELIMITERS}:]|${ESCAPED})*@)?`;
const HOST = `(?:\\[(?:${IPV6})\\]|(?:[${UNRESERVED}${SUB_DELIMITERS}]|${ESCAPED})*)`;
const AUTHORITY = `//${USER}${HOST}(?::\\d*)?${SEGMENTS}`;
const ABSOLUTE_PATH = `/(?:${PATH_CHARACTER}+${SEGMENTS})?`;
const ROOTLESS_PATH = `${PATH_CHARACTER}+${SEGMENTS}`;
const NO_SCHEME_PATH = `(?:[${UNRESERVED}${SUB_DELIMITERS}@]|${ESCAPED})+${SEGMENTS}`;
const QUERY = `(?:\\?(?:${PATH_CHARACTER}|[/?])*)?(?:#(?:${PATH_CHARACTER}|[/?])*)?`;
const URI = `[A-Za-z][A-Za-z0-9+.-]*:(?:${AUTHORITY}|${ABSOLUTE_PATH}|${ROOTLESS_PATH})${QUERY}`;
const RELATIVE = `(?:${AUTHORITY}|${ABSOLUTE_PATH}|${NO_SCHEME_PATH})?${QUERY}`;
const VARIABLE = `(?:[A-Za-z0-9_]|${ESCAPED})+(?:\\.(?:[A-Za-z0-9_]|${ESCAPED})+)*(?:\\*|:[1-9]\\d{0,3})?`;
const TEMPLATE = `(?:[!#$&(-;=?-\\[\\]_a-z~]|${ESCAPED}|\\{[+#./;?&]?${VARIABLE}(?:,${VARIABLE})*\\})*`;
const POINTER = "(?:/(?:[^/~]|~[01])*)*";
const DATE_DURATION = "(?:\\d+D|\\d+M(?:\\d+D)?|\\d+Y(?:\\d+M(?:\\d+D)?)?)";
const TIME_DURATION = "T(?:\\d+S|\\d+M(?:\\d+S)?|\\d+H(?:\\d+M(?:\\d+S)?)?)";

/** The strings of each format, as a pattern of the whole string. */
export const STRING_FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: TIME,
  "date-time": `${DATE}[Tt]${TIME}`,
  duration: `P(?:${DATE_DURATION}(?:${TIME_DURATION})?|${TIME_DURATION}|\\d+W)`,
  email: `(?=.{1,64}@)${ATOM}(?:\\.${ATOM})*@(?:${LABEL}\\.)+${LABEL}`,
  hostname: `(?=.{1,253}$)${LABEL}(?:\\.${LABEL})*`,
  ipv4: IPV4,
  ipv6: IPV6,
  uri: URI,
  url: `(?:https?|ftp)://(?:${LABEL}\\.)+[A-Za-z]{2,63}(?::\\d{2,5})?(?:/(?:[${UNRESERVED}!$&'()*+,;=:@/]|${ESCAPED})*)?${QUERY}`,
  "uri-reference": `${URI}|${RELATIVE}`,
  "uri-template": TEMPLATE,
  uuid: "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
  "json-pointer": POINTER,
  "relative-json-pointer": `(?:0|[1-9]\\d*)(?:#|${POINTER})`,
  byte: "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
};

/** Formats of numbers: integers or not, and their bounds. */
export const NUMBER_FORMATS: Readonly<
  Record<string, { readonly integer: boolean; readonly lower?: number; readonly upper?: number }>
> = {
  int32: { integer: true, lower: -(2 ** 31), upper: 2 ** 31 - 1 },
  int64: { integer: true },
  float: { integer: false },
  double: { integer: false },
};

/** Formats whose strings are no regular language, or need tables that are not here. */
export const REFUSED_FORMATS: ReadonlySet<string> = new Set([
  "regex",
  "idn-email",
  "idn-hostname",
  "iri",
  "iri-reference",
]);
