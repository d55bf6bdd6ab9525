/**
 * @file Which addresses a crawler may connect to. Strangers choose what a page links to: without this check, a link
 * could make the crawler fetch from the machine's own network.
 * The check runs when a connection opens, on the resolved address, so that a name that resolves differently each time
 * cannot bypass it. Ranges: IANA's registries of special-purpose addresses (RFC 6890).
 */
import { type LookupAddress, lookup as resolve } from "node:dns";
import { BlockList, isIP, isIPv4, type LookupFunction } from "node:net";

const blocked = new BlockList();
for (const range of [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"],
  ...["192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"],
  ...["224.0.0.0/4", "240.0.0.0/4"],
]) {
  const [net, bits] = range.split("/");
  blocked.addSubnet(net, Number(bits), "ipv4");
}
for (const range of [
  "::/128",
  "::1/128",
  "64:ff9b:1::/48",
  "100::/64",
  "2001::/23",
  "2001:db8::/32",
  "3fff::/20",
  "5f00::/16",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
]) {
  const [net, bits] = range.split("/");
  blocked.addSubnet(net, Number(bits), "ipv6");
}

/** Returns true for addresses of this machine or its network, and for those that the public internet does not route. */
export function isPrivateAddress(address: string): boolean {
  const bare = address.replace(/^\[|\]$/g, "").replace(/%.*$/, "");
  if (isIPv4(bare)) return blocked.check(bare, "ipv4");
  if (isIP(bare) !== 6) return true;
  const inner = embeddedIPv4(bare);
  return blocked.check(bare, "ipv6") || (inner !== null && blocked.check(inner, "ipv4"));
}

/**
 * Returns the IPv4 address inside an IPv6 one: mapped, compatible, NAT64 (RFC 6052) or 6to4 (RFC 3056). Null if none.
 */
function embeddedIPv4(address: string): string | null {
  const groups = expand(address);
  const dotted = (high: number, low: number) => [high >> 8, high & 255, low >> 8, low & 255].join(".");
  const zeros = (count: number) => groups.slice(0, count).every((group) => group === 0);
  if (zeros(5) && (groups[5] === 0xffff || groups[5] === 0)) return dotted(groups[6], groups[7]);
  if (zeros(4) && groups[4] === 0xffff && groups[5] === 0) return dotted(groups[6], groups[7]); // translated, RFC 2765
  if (groups[0] === 0x64 && groups[1] === 0xff9b) return dotted(groups[6], groups[7]);
  return groups[0] === 0x2002 ? dotted(groups[1], groups[2]) : null;
}

/** Returns the eight groups of an IPv6 address. */
function expand(address: string): number[] {
  const tail = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const plain = tail
    ? `${tail[1]}${((Number(tail[2]) << 8) | Number(tail[3])).toString(16)}:${((Number(tail[4]) << 8) | Number(tail[5])).toString(16)}`
    : address;
  const [head, rest] = plain.split("::");
  const parse = (part: string | undefined) => (part ? part.split(":").map((group) => Number.parseInt(group, 16)) : []);
  const [before, after] = [parse(head), parse(rest)];
  return [...before, ...new Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0), ...after];
}

export class PrivateAddressError extends Error {
  override readonly name = "PrivateAddressError";
}

/** `dns.lookup` that rejects a name if any of its addresses is private. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error) return callback(error, "", 0);
    const bad = addresses.find(({ address }) => isPrivateAddress(address));
    if (bad || addresses.length === 0) {
      const refusal = new PrivateAddressError(`${hostname} is the private address ${bad?.address ?? "of nothing"}`);
      return callback(refusal, "", 0);
    }
    if (options.all) return callback(null, addresses);
    callback(null, addresses[0].address, addresses[0].family);
  });
};
