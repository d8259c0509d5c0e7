/**
 * Why: whether an event has lost a value can only be asked if the record's values are known, also where the record is text.
 * Enforces: a reading of each format's records that owes nothing to the shipper's.
 * Forbids: knowing where a value should be found.
 */
import { isUtf8 } from "node:buffer";
import type { Format } from "ransomeye-shipper";

/** A record's values: JSON as it is, with long integers as texts that no comparison rounds; text as a list of what it says. */
export function valuesOf(original: Buffer, format: Format): unknown {
  const text = original.toString("utf8");
  if (format === "auditd") return text.split("\n").flatMap(auditValues);
  if (format === "zeek_tsv") return text.split(/[\t,|]/).map(zeekValue);
  if (format === "sysmon_linux_xml" || format === "windows_event_xml" || format === "syslog") return withoutTags(text).split(/\s+/);
  return JSON.parse(text.replaceAll(/([:,[]\s*)(-?\d{16,})(?=\s*[,\]}])/g, '$1"$2"'));
}

/** What a text says that stands for a structure of its own inside JSON: XML, or auoms' events. */
export function saidBy(text: string): string {
  if (text.startsWith("<Event")) return withoutTags(text);
  return /^(?:type=\w+ audit\(|SchemaVersion=")/.test(text) ? auditValues(text).join(" ") : text;
}

/** What XML says: text and attributes' values; not the names of tags and of data, nor of name spaces. */
function withoutTags(text: string): string {
  const attributes = (tag: string): string =>
    tag.startsWith("<Data")
      ? ""
      : [...tag.matchAll(/\s(\w+)=(["'])(.*?)\2/g)].map(([, name, , value]) => (name === "xmlns" ? "" : value)).join(" ");
  return text.replaceAll(/<[^<>]*>?/g, (tag) => ` ${attributes(tag)} `).replaceAll(/&(?:lt|gt|amp|quot|apos);/g, " ");
}

/** Fields that the kernel may write in hexadecimal. */
const encodedNames = /^(?:comm|exe|cmd|name|acct|grp|cwd|key|path|proctitle)$/;

/** Values behind `=`; hexadecimal texts as what they stand for, addresses as their parts. The head's serial is a value, too; `old auid=` is a name. */
function auditValues(line: string): string[] {
  const serial = /audit\([\d.]+:(\d+)\)/.exec(line)?.[1] ?? "";
  const body = line.replace(/^.*?audit\([^)]*\):/, "");
  const words = body
    .split(/[\s\x1d]+/)
    .filter((word, i, all) => !((word === "old" || word === "new") && all[i + 1]?.includes("=") === true));
  const values = words.flatMap((word) => {
    const cut = word.lastIndexOf("=");
    const value = word.slice(cut + 1).replaceAll(/["']/g, "");
    if (line.includes("type=SOCKADDR ") && word.startsWith("saddr=")) return socketParts(Buffer.from(value, "hex"));
    const name = word.slice(0, Math.max(cut, 0)).replace(/^.*'/, "");
    const encoded = encodedNames.test(name) || (line.includes("type=EXECVE ") && /^a\d+$/.test(name));
    const isHex = encoded && !word.includes('"') && /^(?:[0-9A-F]{2})+$/.test(value) && isUtf8(Buffer.from(value, "hex"));
    return isHex ? Buffer.from(value, "hex").toString("utf8").split("\0") : [value];
  });
  return [serial, ...values];
}

function socketParts(bytes: Buffer): string[] {
  if (bytes[0] === 2) return [String(bytes.readUInt16BE(2)), bytes.subarray(4, 8).join(".")];
  return bytes[0] === 1 ? [bytes.subarray(2).toString().split("\0")[0] ?? ""] : [];
}

/** Marks for nothing, and truth, which events have as numbers. */
const marks: ReadonlySet<string> = new Set(["-", "(empty)", "T", "F", "<empty>", "NOT-SET", "EMPTY", "UNSET"]);

function zeekValue(cell: string): string {
  const plain = cell.replaceAll(/\\x([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  if (marks.has(cell)) return "";
  return /^-?\d{1,15}\.\d{1,9}$/.test(plain) ? String(Number(plain)) : plain;
}
