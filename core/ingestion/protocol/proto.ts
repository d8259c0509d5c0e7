/**
 * Why: agents in any language are generated from `ingest.proto`, and we speak its wire format at the speed of
 *   node:http2 without a code generator or a reflection library. A message is a table of typed fields.
 * Enforces: proto3 encoding, read strictly: every length inside its parent, integers within range and safe, strings
 *   UTF-8, lists and fields bounded, a singular message or a oneof at most once. Unknown fields are skipped,
 *   so that the contract can grow. Byte fields are views of the input and are written without a copy.
 * Forbids: groups, maps, negative and floating numbers: the contract has none.
 */

import { isUtf8 } from "node:buffer";
import { ProtocolError, type Decoded } from "./protocol_errors.ts";
import { ProtoReader } from "./proto_reader.ts";
import { ProtoWriter, varintBytes } from "./proto_writer.ts";

/** One field of a message: how its value is measured, written, read, and what stands for its absence. */
export interface Field<T> {
  readonly no: number;
  absent(): T;
  /** Bytes on the wire, tag included; 0 where the value is the proto3 default and stays unwritten. */
  size(value: T): number;
  write(writer: ProtoWriter, value: T): void;
  /** Reads one occurrence; `sofar` is what earlier occurrences gave. Faults go to the reader. */
  read(reader: ProtoReader, wire: number, sofar: T): T;
}

/** One field for each property of T. */
export type FieldTable<T> = { readonly [K in keyof T]-?: Field<Exclude<T[K], undefined>> | Field<T[K]> };

/** A message codec made from a table. */
export interface MessageCodec<T> {
  readonly name: string;
  size(value: T): number;
  write(writer: ProtoWriter, value: T): void;
  read(reader: ProtoReader): T;
  /** The encoded bytes in parts: large byte fields are the caller's own buffers. */
  encode(value: T): Buffer[];
  decode(bytes: Buffer): Decoded<T>;
}

const wireVarint = 0;
const wireBytes = 2;

/** uint32; refused above 2^32-1 instead of being cut to its low bits. */
export function uint32(no: number): Field<number> {
  return integer(no, 0xffff_ffff);
}

/** uint64 as a safe integer; refused above 2^53-1. */
export function uint64(no: number): Field<number> {
  return integer(no, Number.MAX_SAFE_INTEGER);
}

/** An enumeration as a union of names, the first being 0. */
export function enumeration<N extends string>(no: number, names: readonly [N, ...N[]]): Field<N> {
  const number = integer(no, 0x7fff_ffff);
  return {
    no,
    absent: () => names[0],
    size: (value) => number.size(names.indexOf(value)),
    write: (writer, value) => number.write(writer, names.indexOf(value)),
    read: (reader, wire) =>
      names[number.read(reader, wire, 0)] ?? reader.refuse("PROTOCOL_KIND_UNKNOWN", `unknown value of field ${no}`, names[0]),
  };
}

/** A string of at most `bytesMax` UTF-8 bytes. */
export function text(no: number, bytesMax: number): Field<string> {
  const raw = bytes(no, bytesMax);
  return {
    no,
    absent: () => "",
    size: (value) => (value === "" ? 0 : lengthDelimited(no, Buffer.byteLength(value))),
    write: (writer, value) => {
      if (value !== "") raw.write(writer, Buffer.from(value, "utf8"));
    },
    read: (reader, wire, sofar) => {
      const value = raw.read(reader, wire, none);
      return isUtf8(value) ? value.toString("utf8") : reader.refuse("PROTOCOL_TEXT", `field ${no} is not UTF-8`, sofar);
    },
  };
}

const none: Buffer = Buffer.alloc(0);

/** Bytes, at most `bytesMax`; decoded as a view of the input. */
export function bytes(no: number, bytesMax: number): Field<Buffer> {
  return {
    no,
    absent: () => none,
    size: (value) => (value.length === 0 ? 0 : lengthDelimited(no, value.length)),
    write: (writer, value) => {
      if (value.length === 0) return;
      if (value.length > bytesMax) throw new ProtocolError("PROTOCOL_BOUND", `field ${no} exceeds ${bytesMax} bytes`);
      writer.tag(no, wireBytes);
      writer.varint(value.length);
      writer.bytes(value);
    },
    read: (reader, wire, sofar) => (reader.expect(wire, wireBytes, no) ? reader.slice(bytesMax) : sofar),
  };
}

/** A singular message; an absent one reads as its default instance. */
export function message<T extends object>(no: number, codec: MessageCodec<T>): Field<T> {
  const optional = optionalMessage(no, codec);
  const empty = codec.decode(none);
  if (empty.kind === "refused") throw new ProtocolError(empty.code, empty.detail);
  return {
    no,
    absent: () => empty.value,
    size: (value) => optional.size(value),
    write: (writer, value) => optional.write(writer, value),
    read: (reader, wire, sofar) => optional.read(reader, wire, sofar === empty.value ? undefined : sofar) ?? sofar,
  };
}

/** A singular message whose absence means something. */
export function optionalMessage<T extends object>(no: number, codec: MessageCodec<T>): Field<T | undefined> {
  return {
    no,
    absent: () => undefined,
    size: (value) => (value === undefined ? 0 : lengthDelimited(no, codec.size(value))),
    write: (writer, value) => {
      if (value === undefined) return;
      writer.tag(no, wireBytes);
      writer.varint(codec.size(value));
      codec.write(writer, value);
    },
    read: (reader, wire, sofar) => {
      if (!reader.expect(wire, wireBytes, no)) return sofar;
      if (sofar !== undefined) return reader.refuse("PROTOCOL_DUPLICATE_FIELD", `field ${no} is set twice`, sofar);
      return reader.nested((inner) => codec.read(inner)) ?? sofar;
    },
  };
}

/** A repeated message of at most `itemsMax` items. */
export function messageList<T extends object>(no: number, codec: MessageCodec<T>, itemsMax: number): Field<readonly T[]> {
  const item = optionalMessage(no, codec);
  return {
    no,
    absent: () => [],
    size: (values) => values.reduce((sum, value) => sum + item.size(value), 0),
    write: (writer, values) => {
      if (values.length > itemsMax) throw new ProtocolError("PROTOCOL_BOUND", `field ${no} exceeds ${itemsMax} items`);
      for (const value of values) item.write(writer, value);
    },
    read: (reader, wire, sofar) => {
      const value = item.read(reader, wire, undefined);
      return value === undefined ? sofar : appended(reader, sofar, value, no, itemsMax);
    },
  };
}

/** A repeated uint32 of at most `itemsMax` items; written packed, read packed or not. */
export function uint32List(no: number, itemsMax: number): Field<readonly number[]> {
  const item = uint32(no);
  const packedBytes = (values: readonly number[]): number => values.reduce((sum, value) => sum + varintBytes(value), 0);
  return {
    no,
    absent: () => [],
    size: (values) => (values.length === 0 ? 0 : lengthDelimited(no, packedBytes(values))),
    write: (writer, values) => {
      if (values.length === 0) return;
      if (values.length > itemsMax) throw new ProtocolError("PROTOCOL_BOUND", `field ${no} exceeds ${itemsMax} items`);
      writer.tag(no, wireBytes);
      writer.varint(packedBytes(values));
      for (const value of values) writer.varint(value);
    },
    read: (reader, wire, sofar) => {
      if (wire === wireVarint) return appended(reader, sofar, item.read(reader, wire, 0), no, itemsMax);
      if (!reader.expect(wire, wireBytes, no)) return sofar;
      let values = sofar;
      reader.nested((inner) => {
        while (inner.more()) values = appended(inner, values, item.read(inner, wireVarint, 0), no, itemsMax);
      });
      return values;
    },
  };
}

/** A codec for T from one field per property. */
export function messageCodec<T extends object>(name: string, table: FieldTable<T>): MessageCodec<T> {
  const entries = Object.entries(table) as [keyof T & string, Field<unknown>][];
  const byNumber: ([keyof T & string, Field<unknown>] | undefined)[] = [];
  for (const entry of entries) byNumber[entry[1].no] = entry;
  const codec: MessageCodec<T> = {
    name,
    size: (value) => entries.reduce((sum, [key, field]) => sum + field.size(value[key]), 0),
    write: (writer, value) => {
      for (const [key, field] of entries) field.write(writer, value[key]);
    },
    read: (reader) => {
      const result: Partial<Record<string, unknown>> = {};
      for (const [key, field] of entries) result[key] = field.absent();
      while (reader.more()) {
        const tag = reader.tag();
        const entry = byNumber[tag.no];
        if (entry === undefined) reader.skip(tag.wire);
        else result[entry[0]] = entry[1].read(reader, tag.wire, result[entry[0]]);
      }
      return result as T;
    },
    encode: (value) => ProtoWriter.parts((writer) => codec.write(writer, value)),
    decode: (input) => ProtoReader.decode(input, (reader) => codec.read(reader)),
  };
  return codec;
}

/** What a oneof holds when it is empty, or holds a message of a later version of the contract. */
export interface UnknownMessage {
  readonly kind: "unknown";
}

/** A message that is a single oneof; decoded as a union told apart by `kind`, the property names of the table. */
export function oneofCodec<U extends { readonly kind: string }>(
  name: string,
  table: {
    readonly [K in Exclude<U["kind"], "unknown">]: readonly [no: number, codec: MessageCodec<Omit<Extract<U, { kind: K }>, "kind">>];
  },
): MessageCodec<U> {
  const members = Object.entries<readonly [number, MessageCodec<object>]>(table);
  const byKind = new Map(members.map(([kind, [no, codec]]) => [kind, optionalMessage(no, codec)]));
  const byNumber = new Map(members.map(([kind, [no]]) => [no, kind]));
  const field = (value: U): Field<object | undefined> => {
    const found = byKind.get(value.kind);
    if (found === undefined) throw new ProtocolError("PROTOCOL_KIND_UNKNOWN", `${name} has no member ${value.kind}`);
    return found;
  };
  const codec: MessageCodec<U> = {
    name,
    size: (value) => field(value).size(value),
    write: (writer, value) => field(value).write(writer, value),
    read: (reader) => {
      let result: { readonly kind: string } = { kind: "unknown" };
      while (reader.more()) {
        const tag = reader.tag();
        const kind = byNumber.get(tag.no);
        if (kind === undefined) reader.skip(tag.wire);
        else if (result.kind !== "unknown") reader.refuse("PROTOCOL_DUPLICATE_FIELD", `${name} has two members`, undefined);
        else result = { kind, ...byKind.get(kind)?.read(reader, tag.wire, undefined) };
      }
      return result as U;
    },
    encode: (value) => ProtoWriter.parts((writer) => codec.write(writer, value)),
    decode: (input) => ProtoReader.decode(input, (reader) => codec.read(reader)),
  };
  return codec;
}

function integer(no: number, max: number): Field<number> {
  return {
    no,
    absent: () => 0,
    size: (value) => (value === 0 ? 0 : varintBytes(no * 8) + varintBytes(value)),
    write: (writer, value) => {
      if (value === 0) return;
      if (!Number.isSafeInteger(value) || value < 0 || value > max)
        throw new ProtocolError("PROTOCOL_INTEGER", `field ${no} cannot hold ${value}`);
      writer.tag(no, wireVarint);
      writer.varint(value);
    },
    read: (reader, wire, sofar) => {
      if (!reader.expect(wire, wireVarint, no)) return sofar;
      const value = reader.varint();
      return value <= max ? value : reader.refuse("PROTOCOL_INTEGER", `field ${no} is out of range`, sofar);
    },
  };
}

function lengthDelimited(no: number, length: number): number {
  return varintBytes(no * 8) + varintBytes(length) + length;
}

function appended<T>(reader: ProtoReader, sofar: readonly T[], value: T, no: number, itemsMax: number): readonly T[] {
  if (sofar.length >= itemsMax) return reader.refuse("PROTOCOL_BOUND", `field ${no} exceeds ${itemsMax} items`, sofar);
  // `absent()` made this list for this one decode, so that growing it in place is ours to do.
  (sofar as T[]).push(value);
  return sofar;
}
