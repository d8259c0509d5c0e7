/**
 * Why: a value comes as YAML, from the environment or from a flag, and must mean the same in all three.
 * Enforces: type and bounds of one field, with a message in words that an operator can act on.
 * Forbids: guessing. `yes` is no boolean and `10k` no number of bytes.
 */
import type { FieldSpec } from "./fields.ts";
import { Secret } from "./secret.ts";

/** What a field's value is once read. */
export type ConfigValue = string | number | boolean | Secret;

/** A value, or in words what was expected instead. */
export type Parsed = { readonly ok: true; readonly value: ConfigValue } | { readonly ok: false; readonly expected: string };

const unitBytes: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };

/** Reads `"64 MiB"`, `"4096"` or `4096`; undefined if it is neither. Fractions such as `1.5 GiB` are taken where they give whole bytes. */
export function parseBytes(raw: string | number): number | undefined {
  const match = /^(\d{1,16}(?:\.\d{1,6})?) ?(B|KiB|MiB|GiB|TiB|)$/.exec(String(raw));
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (unitBytes[match[2] ?? ""] ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Writes bytes with the largest unit that divides them: 67108864 is `64 MiB`. */
export function formatBytes(bytes: number): string {
  for (const unit of ["TiB", "GiB", "MiB", "KiB"]) {
    const size = unitBytes[unit] ?? 1;
    if (bytes >= size && bytes % size === 0) return `${bytes / size} ${unit}`;
  }
  return `${bytes} B`;
}

/** Splits `host:port` or `[host]:port`; undefined if it is neither or the port is beyond 65535. */
export function parseAddress(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65535 ? undefined : { host, port };
}

/** Reads one raw scalar (YAML value, or text from environment and flags) for a field. */
export function parseValue(field: FieldSpec, raw: unknown): Parsed {
  switch (field.type) {
    case "boolean":
      return accept(raw === true || raw === "true" ? true : raw === false || raw === "false" ? false : undefined, "true or false");
    case "choice":
      return accept(typeof raw === "string" && field.choices.includes(raw) ? raw : undefined, `one of ${field.choices.join(", ")}`);
    case "integer":
      return accept(
        within(toNumber(raw, /^-?\d{1,15}$/), field.min, field.max, true),
        `a whole number from ${field.min} to ${field.max} (${field.unit})`,
      );
    case "ratio":
      return accept(
        within(toNumber(raw, /^\d{1,9}(\.\d{1,9})?$/), field.min, field.max, false),
        `a number from ${field.min} to ${field.max} (${field.unit})`,
      );
    case "bytes": {
      const bytes = typeof raw === "string" || typeof raw === "number" ? parseBytes(raw) : undefined;
      return accept(
        within(bytes, parseBytes(field.min) ?? 0, parseBytes(field.max) ?? 0, true),
        `bytes from ${field.min} to ${field.max}, such as ${field.default}`,
      );
    }
    case "address":
      return accept(
        typeof raw === "string" && parseAddress(raw) !== undefined ? raw : undefined,
        "host:port, such as 127.0.0.1:7443 or [::]:7443",
      );
    case "url": {
      const shown = field.protocols.map((protocol) => `${protocol}//`).join(" or ");
      return accept(
        typeof raw === "string" && (raw === "" || urlHas(raw, field.protocols)) ? new Secret(raw) : undefined,
        `empty, or a URL that starts with ${shown}`,
      );
    }
    case "path":
    case "text":
      return accept(textOf(raw, field.pattern), field.expected ?? "a text that is not empty");
  }
}

function accept(value: ConfigValue | undefined, expected: string): Parsed {
  return value === undefined ? { ok: false, expected } : { ok: true, value };
}

function toNumber(raw: unknown, shape: RegExp): number | undefined {
  if (typeof raw === "number") return raw;
  return typeof raw === "string" && shape.test(raw) ? Number(raw) : undefined;
}

function within(value: number | undefined, min: number, max: number, whole: boolean): number | undefined {
  if (value === undefined || !(value >= min && value <= max)) return undefined;
  return whole && !Number.isSafeInteger(value) ? undefined : value;
}

function urlHas(text: string, protocols: readonly string[]): boolean {
  // Several hosts, as servers that stand for one another are named, are more than a URL has: the first one is looked at.
  const first = text.replace(/(^[a-z+]+:\/\/[^/?#]*?),[^/?#]*/, "$1");
  return URL.canParse(first) && protocols.includes(new URL(first).protocol);
}

function textOf(raw: unknown, pattern = "[^\\0]{1,4096}"): string | undefined {
  const text = typeof raw === "number" ? String(raw) : raw;
  return typeof text === "string" && new RegExp(`^(?:${pattern})$`, "u").test(text) ? text : undefined;
}
