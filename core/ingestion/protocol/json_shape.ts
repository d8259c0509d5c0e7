/**
 * Why: a message that travels as JSON is described once, and read and written by that description.
 * Enforces: a value that was read has every field, each within its pattern or bounds; bytes have one spelling (base64), so that what was signed is
 *   what was sent.
 * Forbids: defaults, and unknown values let through. Fields that are not described are ignored: a newer peer may say more.
 */
import { type ProducerKind, producerKinds } from "./enrolment.ts";
import { isUuid } from "./signed_bytes.ts";

/** One shape in both directions: field names in snake_case, bytes as base64. */
export interface WireShape<T> {
  /** JSON fields to a value. */
  read(json: unknown): T | undefined;
  write(value: T): Record<string, unknown>;
}

/** What a description may ask of the JSON; each throws what `shape` catches. */
export interface FieldReader {
  text(name: string, pattern: RegExp): string;
  bytes(name: string, min: number, max: number): Buffer;
  integer(name: string): number;
  flag(name: string): boolean;
  uuid(name: string): string;
  kind(name: string): ProducerKind;
}

/** Makes a shape out of a description. Fields are camelCase here, snake_case in JSON. */
export function shape<T extends object>(read: (reader: FieldReader) => T): WireShape<T> {
  return {
    read(json) {
      if (typeof json !== "object" || json === null) return undefined;
      try {
        return read(readerOf(json as Record<string, unknown>));
      } catch (error) {
        if (error instanceof Misfit) return undefined;
        throw error;
      }
    },
    write: (value) =>
      Object.fromEntries(
        Object.entries(value).map(([name, field]) => [
          name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
          Buffer.isBuffer(field) ? field.toString("base64") : field,
        ]),
      ),
  };
}

/** A field that does not fit; never leaves this file. */
class Misfit extends Error {}

function readerOf(json: Record<string, unknown>): FieldReader {
  const fit = <V>(name: string, holds: (value: unknown) => value is V): V => {
    const value = json[name];
    if (!holds(value)) throw new Misfit(name);
    return value;
  };
  const text = (name: string, pattern: RegExp): string => fit(name, (v): v is string => typeof v === "string" && pattern.test(v));
  return {
    text,
    bytes(name, min, max) {
      const encoded = text(name, /^[A-Za-z0-9+/]*={0,2}$/);
      const bytes = Buffer.from(encoded, "base64");
      if (bytes.length < min || bytes.length > max || bytes.toString("base64") !== encoded) throw new Misfit(name);
      return bytes;
    },
    integer: (name) => fit(name, (v): v is number => Number.isSafeInteger(v) && (v as number) >= 0),
    flag: (name) => fit(name, (v): v is boolean => typeof v === "boolean"),
    uuid: (name) => fit(name, (v): v is string => typeof v === "string" && isUuid(v)),
    kind: (name) => fit(name, (v): v is ProducerKind => producerKinds.some((known) => known === v)),
  };
}
