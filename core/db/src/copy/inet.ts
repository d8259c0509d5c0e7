/**
 * Why it exists: addresses of events become `inet` columns without a text parse in PostgreSQL.
 * Enforces: the strict textual forms (four decimal octets; RFC 4291 groups with at most one `::`, an IPv4 tail allowed).
 * Forbids: zones, prefix lengths, leading zeros in octets (octal to some parsers), and any allocation on the way.
 */

/** Family codes of PostgreSQL's own binary form; AF_INET6 is always AF_INET + 1 there, whatever the platform says. */
const familyV4 = 2;
const familyV6 = 3;
const headBytes = 4;

const dot = 0x2e;
const colon = 0x3a;

/**
 * Writes the binary form of an address: family, prefix bits, is_cidr = 0, length, bytes.
 * Returns the number of bytes written at `at` (8 or 20), or 0 if `text` is no address; then the bytes there are undefined.
 */
export function writeInet(text: string, target: Uint8Array, at: number): number {
  if (text.length < 2 || text.length > 45) return 0;
  if (text.includes(":")) {
    if (!writeV6(text, target, at + headBytes)) return 0;
    target[at] = familyV6;
    target[at + 1] = 128;
    target[at + 2] = 0;
    target[at + 3] = 16;
    return headBytes + 16;
  }
  if (!writeV4(text, 0, target, at + headBytes)) return 0;
  target[at] = familyV4;
  target[at + 1] = 32;
  target[at + 2] = 0;
  target[at + 3] = 4;
  return headBytes + 4;
}

/** Four decimal octets from `from` to the end of `text`. */
function writeV4(text: string, from: number, target: Uint8Array, at: number): boolean {
  let octet = 0;
  let digits = 0;
  let done = 0;
  for (let i = from; i <= text.length; i++) {
    const code = i === text.length ? dot : text.charCodeAt(i);
    if (code === dot) {
      if (digits === 0 || done === 4) return false;
      target[at + done] = octet;
      done += 1;
      octet = 0;
      digits = 0;
      continue;
    }
    if (code < 0x30 || code > 0x39) return false;
    if (digits > 0 && octet === 0) return false;
    octet = octet * 10 + (code - 0x30);
    digits += 1;
    if (octet > 255) return false;
  }
  return done === 4;
}

/** Groups of up to four hexadecimal digits, one `::` at most, the last two groups possibly as IPv4. */
function writeV6(text: string, target: Uint8Array, at: number): boolean {
  let groups = 0;
  let gap = -1;
  let i = 0;
  if (text.charCodeAt(0) === colon) {
    if (text.charCodeAt(1) !== colon) return false;
    gap = 0;
    i = 2;
  }
  while (i < text.length) {
    if (groups === 8) return false;
    const start = i;
    let value = 0;
    while (i < text.length && i - start < 5) {
      const digit = hexDigit(text.charCodeAt(i));
      if (digit < 0) break;
      value = (value << 4) | digit;
      i += 1;
    }
    if (i < text.length && text.charCodeAt(i) === dot) {
      if (groups > 6 || !writeV4(text, start, target, at + groups * 2)) return false;
      groups += 2;
      i = text.length;
      break;
    }
    if (i === start || i - start > 4) return false;
    target[at + groups * 2] = value >>> 8;
    target[at + groups * 2 + 1] = value & 0xff;
    groups += 1;
    if (i === text.length) break;
    if (text.charCodeAt(i) !== colon) return false;
    i += 1;
    if (i === text.length) return false;
    if (text.charCodeAt(i) === colon) {
      if (gap >= 0) return false;
      gap = groups;
      i += 1;
    }
  }
  if (gap < 0) return groups === 8;
  if (groups === 8) return false;
  const moved = (groups - gap) * 2;
  target.copyWithin(at + 16 - moved, at + gap * 2, at + groups * 2);
  target.fill(0, at + gap * 2, at + 16 - moved);
  return true;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
