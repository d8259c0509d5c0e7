// Why: an analyst who looks for one address, hash, domain or instant must find it however its source wrote it (architecture part 4, Normalisation).
// Enforces: one canonical text each: IPv4 dotted, IPv6 as RFC 5952, hashes and domains in lower case, instants as UTC microseconds.
// Forbids: guessing. What has no canonical form gives `null` (or NaN); the caller drops and flags it, the document keeps it.
//
// Everything here runs once or more for each event: hand-written loops, no regular expressions, and no allocation where the input is canonical.

const zero = 0x30;
const nine = 0x39;
const dot = 0x2e;
const colon = 0x3a;

/** Value of a hexadecimal digit's char code, or -1. */
function hexDigit(code: number): number {
  if (code >= zero && code <= nine) return code - zero;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/**
 * IPv4 from `from` to `to`, strictly four decimal octets; -1 if it is none. Leading zeros are refused: some parsers read them as octal, so
 * `010.0.0.1` has two meanings and therefore none.
 */
function parseV4(text: string, from: number, to: number): number {
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    if (code === dot) {
      if (octet < 0 || dots === 3) return -1;
      value = value * 256 + octet;
      octet = -1;
      dots++;
    } else if (code >= zero && code <= nine) {
      if (octet === 0) return -1;
      octet = (octet < 0 ? 0 : octet * 10) + (code - zero);
      if (octet > 255) return -1;
    } else return -1;
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : -1;
}

function formatV4(value: number): string {
  return `${Math.floor(value / 16_777_216)}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

const groups: Uint16Array = new Uint16Array(8);

/** Fills `groups` with the eight groups of an IPv6 address that ends at `to`; false if it is none. */
function parseV6(text: string, to: number): boolean {
  let count = 0;
  let gap = -1;
  let i = 0;
  if (text.charCodeAt(0) === colon) {
    if (text.charCodeAt(1) !== colon) return false;
    gap = 0;
    i = 2;
  }
  while (i < to) {
    if (count === 8) return false;
    const start = i;
    let value = 0;
    for (let digit = 0; i < to && i - start < 5 && (digit = hexDigit(text.charCodeAt(i))) >= 0; i++) value = value * 16 + digit;
    if (i < to && text.charCodeAt(i) === dot) {
      const tail = parseV4(text, start, to);
      if (tail < 0 || count > 6) return false;
      groups[count++] = Math.floor(tail / 65_536);
      groups[count++] = tail % 65_536;
      i = to;
      break;
    }
    if (i === start || i - start > 4) return false;
    groups[count++] = value;
    if (i === to) break;
    if (text.charCodeAt(i) !== colon) return false;
    i++;
    if (i === to) return false;
    if (text.charCodeAt(i) === colon) {
      if (gap >= 0) return false;
      gap = count;
      i++;
    }
  }
  if (gap < 0) return count === 8;
  if (count === 8) return false;
  const moved = count - gap;
  groups.copyWithin(8 - moved, gap, count);
  groups.fill(0, gap, 8 - moved);
  return true;
}

/** RFC 5952 from `groups`: lower case, no leading zeros, the longest run of two or more zero groups (the first of equals) as `::`. */
function formatV6(): string {
  let bestStart = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > bestLength) {
      bestStart = i;
      bestLength = end - i;
    }
    if (end > i) i = end;
  }
  let out = "";
  for (let i = 0; i < 8; i++) {
    if (i === bestStart) {
      out += "::";
      i += bestLength - 1;
    } else {
      if (i > 0 && !out.endsWith(":")) out += ":";
      out += (groups[i] as number).toString(16);
    }
  }
  return out;
}

/**
 * Canonical text of an address, or `null`. A zone (`%eth0`) means something on one host only and is left out; an IPv4-mapped IPv6 address is
 * the IPv4 address that it maps, because Windows logs the same peer both ways. A canonical input comes back as the same string.
 */
export function canonicalIp(text: string): string | null {
  const length = text.length;
  if (length < 2 || length > 64) return null;
  if (text.indexOf(":") < 0) return parseV4(text, 0, length) < 0 ? null : text;
  const zone = text.indexOf("%");
  if (!parseV6(text, zone < 0 ? length : zone)) return null;
  if (groups[5] === 0xffff && groups[0] === 0 && groups[1] === 0 && groups[2] === 0 && groups[3] === 0 && groups[4] === 0) {
    return formatV4((groups[6] as number) * 65_536 + (groups[7] as number));
  }
  const canonical = formatV6();
  return canonical === text ? text : canonical;
}

/** Hexadecimal text of `bytes` bytes in lower case, or `null`. A canonical input comes back as the same string. */
export function canonicalHash(text: string, bytes: number): string | null {
  if (text.length !== bytes * 2) return null;
  let upper = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (hexDigit(code) < 0) return null;
    if (code > nine && code < 0x61) upper = true;
  }
  return upper ? text.toLowerCase() : text;
}

/** A domain in lower case without the root's dot, or `null` where nothing is left. International names stay as written (U-label or A-label). */
export function canonicalDomain(text: string): string | null {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === dot) end--;
  if (end === 0) return null;
  const trimmed = end === text.length ? text : text.slice(0, end);
  return trimmed.toLowerCase();
}

/** Two digits at `at` as a number, or NaN. */
function two(text: string, at: number): number {
  const tens = text.charCodeAt(at) - zero;
  const ones = text.charCodeAt(at + 1) - zero;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

const usPerSecond = 1_000_000;
const usPerMinute = 60 * usPerSecond;
const daysBefore: readonly number[] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const daysIn: readonly number[] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Days from 1970-01-01 to a date of the Gregorian calendar, or NaN where there is no such date. */
function dayNumber(year: number, month: number, day: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const last = month === 2 && leap ? 29 : daysIn[month - 1];
  if (last === undefined || day < 1 || day > last) return Number.NaN;
  const past = year - 1;
  const days = past * 365 + Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400);
  return days - 719_162 + (daysBefore[month - 1] as number) + (month > 2 && leap ? 1 : 0) + day - 1;
}

/** `Z`, `+hh:mm`, `+hhmm` or `+hh` at `at`, to the end of the text, in microseconds; NaN if it is none. */
function offsetUs(text: string, at: number): number {
  const sign = text.charCodeAt(at);
  const left = text.length - at;
  if ((sign | 0x20) === 0x7a) return left === 1 ? 0 : Number.NaN;
  if (sign !== 0x2b && sign !== 0x2d) return Number.NaN;
  const hours = two(text, at + 1);
  const colonAt = left === 6 && text.charCodeAt(at + 3) === colon ? 1 : 0;
  const minutes = left === 3 ? 0 : left === 5 + colonAt ? two(text, at + 3 + colonAt) : Number.NaN;
  if (!(hours < 24 && minutes < 60)) return Number.NaN;
  return (hours * 60 + minutes) * (sign === 0x2d ? -usPerMinute : usPerMinute);
}

/**
 * An instant as microseconds since 1970 from `YYYY-MM-DDThh:mm:ss[.fraction][offset]` (a space may stand for the T). Digits beyond
 * microseconds are cut. Without an offset it is UTC if `utcAssumed`, else NaN. NaN for anything else.
 */
export function parseInstantUs(text: string, utcAssumed: boolean): number {
  if (text.length < 19 || text.length > 40) return Number.NaN;
  const separator = text.charCodeAt(10) | 0x20;
  if (text.charCodeAt(4) !== 0x2d || text.charCodeAt(7) !== 0x2d || (separator !== 0x74 && separator !== 0x20)) return Number.NaN;
  if (text.charCodeAt(13) !== colon || text.charCodeAt(16) !== colon) return Number.NaN;
  const days = dayNumber(two(text, 0) * 100 + two(text, 2), two(text, 5), two(text, 8));
  const hours = two(text, 11);
  const minutes = two(text, 14);
  const seconds = two(text, 17);
  if (!(hours < 24 && minutes < 60 && seconds < 61)) return Number.NaN;
  let at = 19;
  let fraction = 0;
  if (text.charCodeAt(at) === dot || text.charCodeAt(at) === 0x2c) {
    let scale = 100_000;
    const first = ++at;
    for (; at < text.length; at++) {
      const digit = text.charCodeAt(at) - zero;
      if (digit < 0 || digit > 9) break;
      fraction += digit * scale;
      scale = scale === 1 ? 0 : scale / 10;
    }
    if (at === first) return Number.NaN;
  }
  let offset = 0;
  if (at < text.length) offset = offsetUs(text, at);
  else if (!utcAssumed) return Number.NaN;
  return ((days * 24 + hours) * 60 + minutes) * usPerMinute + seconds * usPerSecond + fraction - offset;
}

/** The canonical text of an instant: RFC 3339 in UTC with six digits, as `time_dt` carries it. For years 0 to 9999. */
export function formatInstantUs(us: number): string {
  const ms = Math.floor(us / 1000);
  const rest = us - ms * 1000;
  return `${new Date(ms).toISOString().slice(0, -1)}${String(rest).padStart(3, "0")}Z`;
}
