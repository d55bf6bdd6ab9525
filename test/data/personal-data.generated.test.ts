/**
 * @file Personal data from a seeded generator in logs, addresses, tables and prose, and look-alikes. Half of the contexts
 * (`KNOWN`) were used to write the rules; the other half (`HELD_OUT`) was only used to measure them.
 */
import { describe, expect, it } from "vitest";
import { findPersonalData, type PersonalType } from "../../src/data/recipes/recipe-steps.js";

function generator(seed: number) {
  let state = seed;
  const next = (n: number) => {
    state = (state * 48271) % 2147483647;
    return state % n;
  };
  const pick = <T>(list: readonly T[]): T => list[next(list.length)];
  const digits = (n: number) => Array.from({ length: n }, () => next(10)).join("");
  const word = () => pick("anna bert clara dora emil franz greta hugo ines jonas karl lena mara nils olga".split(" "));

  const luhn = (front: string, length: number) => {
    const body = front + digits(length - 1 - front.length);
    for (let check = 0; check < 10; check++) {
      let sum = 0;
      [...body, String(check)].reverse().forEach((digit, i) => {
        const value = Number(digit) * (i % 2 === 1 ? 2 : 1);
        sum += value > 9 ? value - 9 : value;
      });
      if (sum % 10 === 0) return body + check;
    }
    throw new Error("no check digit");
  };
  const group = (text: string, sizes: readonly number[], mark: string) => {
    const parts: string[] = [];
    let at = 0;
    for (const size of sizes) {
      if (at < text.length) parts.push(text.slice(at, at + size));
      at += size;
    }
    if (at < text.length) parts.push(text.slice(at));
    return parts.join(mark);
  };
  const mark = () => pick([" ", "-", ".", "\u00a0", " ", "\u2011"]);
  const cards: readonly (() => string)[] = [
    () => luhn("4", 16),
    () => luhn(pick(["51", "55", "2221", "2720"]), 16),
    () => group(luhn(pick(["4", "52", "6011", "3530"]), 16), [4, 4, 4, 4], mark()),
    () => group(luhn(pick(["34", "37"]), 15), [4, 6, 5], mark()),
    () => luhn(pick(["34", "37"]), 15),
    () => group(luhn(pick(["36", "38", "305"]), 14), [4, 6, 4], mark()),
    () => luhn("36", 14),
    () =>
      group(
        luhn(pick(["62", "4"]), 19),
        pick([
          [4, 4, 4, 4, 3],
          [6, 13],
        ]),
        mark(),
      ),
    () => luhn("62", pick([16, 19])),
    () =>
      group(luhn(pick(["5018", "6759", "6304", "50", "57"]), pick([12, 13, 16, 17, 18, 19])), [4, 4, 4, 4, 3], mark()),
    () => luhn(pick(["5018", "6759", "6304", "6761"]), 12 + next(8)),
    () => luhn(pick(["2131", "1800"]), 15),
    () => group(luhn(pick(["2131", "1800"]), 15), [4, 4, 4, 3], mark()),
    () => luhn("4", 13),
  ];

  const iban = () => {
    const letters = (n: number) => Array.from({ length: n }, () => pick([..."ABCDEFGHKLMNPRSTUWXYZ"])).join("");
    const [country, body] = pick<readonly [string, () => string]>([
      ["DE", () => digits(18)],
      ["GB", () => letters(4) + digits(14)],
      ["FR", () => digits(20) + letters(1) + digits(2)],
      ["NL", () => letters(4) + digits(10)],
      ["NO", () => digits(11)],
      ["IT", () => letters(1) + digits(22)],
      ["PL", () => digits(24)],
      ["MT", () => letters(4) + digits(5) + letters(18)],
      ["SE", () => digits(20)],
      ["TR", () => digits(22)],
      ["BR", () => `${digits(23)}P1`],
      ["UA", () => digits(25)],
    ]);
    const rest = body();
    let remainder = 0n;
    for (const character of `${rest}${country}00`) {
      const value = BigInt(Number.parseInt(character, 36));
      remainder = (remainder * (value > 9n ? 100n : 10n) + value) % 97n;
    }
    const whole = country + String(98n - remainder).padStart(2, "0") + rest;
    const written =
      next(2) === 0 ? whole : (whole.match(/.{1,4}/g) ?? []).join(pick([" ", " ", "\u00a0", "-", "\u202f"]));
    return next(3) === 0 ? written.toLowerCase() : written;
  };

  const v4 = () => {
    for (;;) {
      const parts = [1 + next(223), next(256), next(256), 1 + next(254)];
      const [a, b] = parts;
      if ([10, 100, 127, 169, 172, 192, 198, 203].includes(a) || (b === 0 && a < 32)) continue;
      return parts.join(".");
    }
  };
  const hex = (n: number) => Array.from({ length: n }, () => next(16).toString(16)).join("");
  const v6 = () =>
    `${pick(["2a00", "2001:4860", "2606:4700", "2400:cb00", "2803", "2c0f"])}:${pick([":1", `:${hex(4)}`, `${hex(3)}::${hex(2)}`, `${hex(4)}:${hex(4)}::${hex(4)}`])}`;
  const email = () =>
    `${pick([`${word()}.${word()}`, word() + digits(2), `${word()}_${word()}`, `${word()}+news`, `${word()[0]}.${word()}-${word()}`])}@${pick(["example.com", "mail.example.org", "gmail.com", "web.de", "uni-ulm.de", "163.com", "post.example.co.uk"])}`;
  const version = () => [next(20), next(10), next(10), next(30)].join(".");
  return { next, pick, digits, hex, word, email, ipv4: v4, ipv6: v6, iban, card: () => pick(cards)(), luhn, version };
}
type Made = ReturnType<typeof generator>;

interface Context {
  readonly type: PersonalType;
  /** The text, with ⟦ and ⟧ around what must be found. */
  readonly write: (g: Made) => string;
}
const contexts = (type: PersonalType, ...write: readonly ((g: Made) => string)[]): Context[] =>
  write.map((each) => ({ type, write: each }));
const encoded = (email: string) => `⟦${email.replace("@", "%40").replace("+", "%2B")}⟧`;

const KNOWN: readonly Context[] = [
  ...contexts(
    "email",
    (g) => `Write to ⟦${g.email()}⟧ by Friday.`,
    (g) => `https://news.example.org/unsubscribe/${g.hex(40)}?campaign=spring&lang=en&email=⟦${g.email()}⟧&x=1`,
    (g) => `⟦${g.email()}⟧/⟦${g.email()}⟧; ⟦${g.email()}⟧`,
    (g) => `GET /login?user=${encoded(g.email())}&next=%2Fhome HTTP/1.1`,
    (g) => `name=${g.word()}|mail=⟦${g.email()}⟧|⟦${g.email()}⟧`,
    (g) => `{"to":"⟦${g.email()}⟧"}`,
  ),
  ...contexts(
    "ip",
    (g) => `DROP IN=eth0 SRC=⟦${g.ipv4()}⟧ DST=⟦${g.ipv4()}⟧ LEN=40`,
    (g) => `client_ip=⟦${g.ipv4()}⟧ status=200`,
    (g) => `from ⟦${g.ipv4()}⟧-⟦${g.ipv4()}⟧`,
    (g) => `⟦${g.ipv4()}⟧ - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 12`,
    (g) => `⟦23.12.21.${1 + g.next(30)}⟧ - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 12`,
    (g) => `IP - ⟦${g.ipv4()}⟧`,
    (g) => `connect to [⟦${g.ipv6()}⟧]:443 failed`,
    (g) => `host=⟦${g.ipv6()}⟧, port 80`,
    (g) => `mapped ⟦::ffff:${g.ipv4()}⟧ here`,
  ),
  ...contexts(
    "iban",
    (g) => `IBAN: ⟦${g.iban()}⟧`,
    (g) => `Please pay to ⟦${g.iban()}⟧ today.`,
    (g) => `{"iban":"⟦${g.iban()}⟧","bic":"COBADEFF"}`,
    (g) => `iban=⟦${g.iban()}⟧&amount=5`,
  ),
  ...contexts(
    "credit_card",
    (g) => `Card number: ⟦${g.card()}⟧`,
    (g) => `My credit card ⟦${g.card()}⟧ exp 12/27 was charged twice.`,
    (g) => `{"card":"⟦${g.card()}⟧"}`,
    (g) => `cc=⟦${g.card()}⟧&cvv=123`,
    (g) => `Maestro ⟦${g.card()}⟧, 04/29`,
  ),
];

const HELD_OUT: readonly Context[] = [
  ...contexts(
    "email",
    (g) => `From: ${g.word()} <⟦${g.email()}⟧>, ⟦${g.email()}⟧`,
    (g) => `http://shop.example.com/account/reset/password/confirm/${g.hex(60)}/?u=⟦${g.email()}⟧#top`,
    (g) => `redirect=https%3A%2F%2Fx.example.org%2F%3Fmail%3D${encoded(g.email())}%26id%3D5`,
    (g) => `cc:⟦${g.email()}⟧,⟦${g.email()}⟧|⟦${g.email()}⟧`,
    (g) => `2024-05-01 12:30:45 postfix/smtp[123]: to=<⟦${g.email()}⟧>, relay=none`,
    (g) => `login '⟦${g.email()}⟧' failed`,
    (g) => `メールは⟦${g.email()}⟧まで`,
  ),
  ...contexts(
    "ip",
    (g) => `sshd[99]: Failed password for root from ⟦${g.ipv4()}⟧ port 22 ssh2`,
    (g) => `{"remote_addr":"⟦${g.ipv4()}⟧","status":404}`,
    (g) => `http://⟦${g.ipv4()}⟧:8080/admin?host=⟦${g.ipv4()}⟧`,
    (g) => `X-Forwarded-For: ⟦${g.ipv4()}⟧, ⟦${g.ipv4()}⟧`,
    (g) => `rhost=⟦${g.ipv4()}⟧ user=root`,
    (g) => `url?ip%3D⟦${g.ipv4()}⟧%26x`,
    (g) => `deny ⟦${g.ipv4()}⟧/24;`,
    (g) => `⟦12.${g.next(30)}.9.${1 + g.next(30)}⟧ www.example.org - [01/Jan/2024:00:00:01] "POST /x"`,
    (g) => `Ping ⟦${g.ipv6()}⟧: 3 packets`,
    (g) => `src addr:⟦${g.ipv6()}⟧ dst addr:⟦${g.ipv6()}⟧`,
  ),
  ...contexts(
    "iban",
    (g) => `Kontonummer ⟦${g.iban()}⟧ BIC DEUTDEFF`,
    (g) => `Send the rent to my account (⟦${g.iban()}⟧) please`,
    (g) => `amount;5.00;⟦${g.iban()}⟧;rent`,
    (g) => `IBAN⟦${g.iban()}⟧`,
  ),
  ...contexts(
    "credit_card",
    (g) => `Visa/Mastercard no. ⟦${g.card()}⟧ (valid thru 01/30)`,
    (g) => `Paid with card ⟦${g.card()}⟧.`,
    (g) => `Kreditkarte: ⟦${g.card()}⟧`,
    (g) => `<cardNumber>⟦${g.card()}⟧</cardNumber>`,
    (g) => `name,card,exp\n${g.word()},⟦${g.card()}⟧,12/27`,
  ),
];

/** Texts without personal data that look like it. */
const LOOKALIKES: readonly ((g: Made) => string)[] = [
  (g) => `OpenSSL ${g.version()} was out`,
  (g) => `version=${g.version()} build ${g.version()}`,
  (g) => `pip install lib==${g.version()} and pkg-${g.version()}.tar.gz`,
  (g) => `Version: ${g.version()}, "version": "${g.version()}"`,
  (g) => `Chrome/1${g.digits(2)}.0.0.0 Safari/537.36`,
  (g) => `${1 + g.next(9)}.${1 + g.next(9)}.${1 + g.next(9)}.${1 + g.next(9)} Scope of the part`,
  (g) => `see section ${g.version()}`,
  () => "at 12:30:45, std::vector<int>, a::b::c, 00:1b:44:11:3a:b7, fe80::1%eth0, ::1, 2001:db8::1, 16:9, 2024::05",
  () => "192.168.1.7 and 10.0.0.8, 203.0.113.9",
  (g) => `order id 1${g.digits(15)} at 17${g.digits(11)} and 17${g.digits(17)}`,
  (g) => `ISBN 978-3-${g.digits(2)}-${g.digits(6)}-${g.digits(1)}, EAN ${g.luhn("40", 13)}, IMEI ${g.luhn("35", 15)}`,
  (g) => `tracking number ${g.luhn("6", 14)}; order ${g.luhn("4", 16)}; invoice #${g.luhn("5", 12)}`,
  (g) => `https://example.org/item/${g.luhn("6", 15)}/${g.luhn("4", 16)}`,
  (g) => `commit ${g.hex(40)} uuid ${g.hex(8)}-${g.hex(4)}-${g.hex(4)}-${g.hex(4)}-${g.hex(12)} md5 ${g.hex(32)}`,
  (g) => `icon@2x.png lodash@4.17.${g.next(30)} @${g.word()} user@localhost git@github.com:o/r.git $\{user}@`,
  (g) => `key de${g.digits(2)}${g.hex(18)} gb${g.digits(2)}${g.hex(18)}`,
  (g) =>
    `${g.digits(4)} ${g.digits(4)} ${g.digits(4)} people; ${g.digits(3)},${g.digits(3)},${g.digits(3)},${g.digits(3)}`,
];

function measure(list: readonly Context[], seed: number, rounds: number) {
  const g = generator(seed);
  const counts: Record<string, { wanted: number; right: number; found: number }> = {};
  const wrong: string[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const { type, write } of list) {
      const marked = write(g);
      const truth: string[] = [];
      let text = "";
      for (const part of marked.split(/(⟦[^⟧]*⟧)/)) {
        const value = part.startsWith("⟦") ? part.slice(1, -1) : part;
        if (part.startsWith("⟦")) truth.push(`${text.length} ${value}`);
        text += value;
      }
      const own = findPersonalData(text)
        .filter((match) => match.type === type)
        .map(({ start, end }) => `${start} ${text.slice(start, end)}`);
      counts[type] ??= { wanted: 0, right: 0, found: 0 };
      const count = counts[type];
      count.wanted += truth.length;
      count.found += own.length;
      count.right += own.filter((each) => truth.includes(each)).length;
      if (own.join() !== truth.join()) wrong.push(`${type}: ${marked}  →  ${own.join(", ")}`);
    }
  }
  const scores = Object.fromEntries(
    Object.entries(counts).map(([type, { wanted, right, found }]) => [
      type,
      { recall: right / wanted, precision: right / found },
    ]),
  );
  return { scores, wrong };
}

describe("generated personal data", () => {
  it.each([
    ["known", KNOWN, 1],
    ["held-out", HELD_OUT, 2],
  ] as const)("is found in the %s contexts", (_, list, seed) => {
    const { scores, wrong } = measure(list, seed, 60);
    if (process.env.SHOW_SCORES !== undefined)
      console.log(scores, wrong.slice(0, Number(process.env.SHOW_SCORES)).join("\n"));
    for (const [type, { recall, precision }] of Object.entries(scores)) {
      expect({ type, recall: recall > 0.98, precision: precision > 0.98 }).toEqual({
        type,
        recall: true,
        precision: true,
      });
    }
  });

  it("is not found in look-alikes", () => {
    const g = generator(3);
    const found: string[] = [];
    for (let round = 0; round < 40; round++) {
      for (const write of LOOKALIKES) {
        const text = write(g);
        for (const { type, start, end } of findPersonalData(text)) {
          if (type !== "phone") found.push(`${type} ${text.slice(start, end)} in ${text}`);
        }
      }
    }
    if (process.env.SHOW_SCORES !== undefined) console.log(found.join("\n"));
    expect(found.length / (40 * LOOKALIKES.length)).toBeLessThan(0.01);
  });
});
