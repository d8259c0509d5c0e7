/**
 * Why it exists: registry, gateways and commands speak newline-delimited JSON over one private unix socket; both sides need one definition.
 * Enforces: what a gateway takes for the registry's word has exactly the documented shape, each field checked (R-13: fail closed); lines are
 * bounded, so that a broken peer cannot fill memory.
 * Forbids: defaults for missing fields, and unknown values let through.
 */
import type { DirectoryEntry, ProducerStatus } from "ransomeye-ingestion";
import { producerKinds } from "ransomeye-ingestion/protocol";
import type { ProducerKind } from "ransomeye-pipeline";
import { array, integer, object, oneOf, parseJson, refuse, text } from "./wire_fields.ts";

/** Longest line either side accepts. */
export const wireLineBytesMax: number = 1024 * 1024;
/** Producers, and bytes of theirs, in one line: a part of a snapshot, or of a list. One producer alone, with all certificates that it can be given, has fewer. */
const partProducersMax = 500;
const partBytesMax = wireLineBytesMax / 2;
export const heartbeatMs: number = 1000;

const statuses: readonly ProducerStatus[] = ["active", "suspended", "revoked"];

/** One producer as it travels. */
export interface WireProducer {
  readonly id: string;
  readonly name: string;
  readonly kind: ProducerKind;
  readonly status: ProducerStatus;
  readonly created_us: number;
  readonly keys: readonly { readonly key_id: string; readonly public_key: string; readonly retired_us: number | null }[];
  readonly certificates: readonly { readonly fingerprint: string; readonly not_after_us: number; readonly revoked: boolean }[];
}

/** What the registry pushes to a subscriber. */
export type Push =
  | {
      readonly type: "snapshot";
      readonly version: number;
      readonly part: number;
      readonly parts: number;
      readonly producers: readonly WireProducer[];
    }
  | { readonly type: "delta"; readonly previous: number; readonly version: number; readonly producers: readonly WireProducer[] }
  | { readonly type: "heartbeat"; readonly version: number }
  /** The gateways' key, certificate or authorities are others now. */
  | { readonly type: "material"; readonly version: number; readonly revision: string };

export type Reply =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** What enrolment gives back. */
export interface EnrolResult {
  readonly producer: string;
  readonly kind: ProducerKind;
  readonly name: string;
  readonly trust_domain: string;
  readonly certificate: string;
  readonly ca: string;
  /** True if the batch key was known already and the same identity came back. */
  readonly known: boolean;
}

/** The producers in parts that a line can hold; one that is empty where there are none. */
export function partsOf(producers: Iterable<WireProducer>): readonly (readonly WireProducer[])[] {
  const parts: WireProducer[][] = [[]];
  let bytes = 0;
  for (const producer of producers) {
    const size = Buffer.byteLength(JSON.stringify(producer));
    if (bytes > 0 && (bytes + size > partBytesMax || parts.at(-1)?.length === partProducersMax)) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push(producer);
    bytes += size;
  }
  return parts;
}

/** Checks one pushed line. @throws CliError CLI_REGISTRY_PROTOCOL on anything unexpected. */
export function parsePush(line: string): Push {
  const message = object(parseJson(line));
  const version = integer(message["version"], "version");
  switch (message["type"]) {
    case "heartbeat":
      return { type: "heartbeat", version };
    case "material":
      return { type: "material", version, revision: text(message["revision"], /^[0-9a-f]{64}$/, "revision") };
    case "delta":
      return {
        type: "delta",
        version,
        previous: integer(message["previous"], "previous"),
        producers: array(message["producers"]).map(parseProducer),
      };
    case "snapshot":
      return {
        type: "snapshot",
        version,
        part: integer(message["part"], "part"),
        parts: integer(message["parts"], "parts"),
        producers: array(message["producers"]).map(parseProducer),
      };
    default:
      return refuse("an unknown message type");
  }
}

/** Checks one producer record. */
export function parseProducer(value: unknown): WireProducer {
  const p = object(value);
  return {
    id: text(p["id"], /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, "id"),
    name: text(p["name"], /^.{1,128}$/u, "name"),
    kind: oneOf(p["kind"], producerKinds, "kind"),
    status: oneOf(p["status"], statuses, "status"),
    created_us: integer(p["created_us"], "created_us"),
    keys: array(p["keys"]).map((item) => {
      const key = object(item);
      return {
        key_id: text(key["key_id"], /^[0-9a-f]{16}$/, "key_id"),
        public_key: text(key["public_key"], /^[A-Za-z0-9+/]{43}=$/, "public_key"),
        retired_us: key["retired_us"] === null ? null : integer(key["retired_us"], "retired_us"),
      };
    }),
    certificates: array(p["certificates"]).map((item) => {
      const certificate = object(item);
      if (typeof certificate["revoked"] !== "boolean") return refuse("certificate.revoked");
      return {
        fingerprint: text(certificate["fingerprint"], /^[0-9a-f]{64}$/, "fingerprint"),
        not_after_us: integer(certificate["not_after_us"], "not_after_us"),
        revoked: certificate["revoked"],
      };
    }),
  };
}

/** The entry that the gate looks up. */
export function directoryEntry(p: WireProducer): DirectoryEntry {
  return {
    producer: p.id,
    kind: p.kind,
    status: p.status,
    keys: new Map(
      p.keys.map((key) => [
        key.key_id,
        { publicKey: Buffer.from(key.public_key, "base64"), ...(key.retired_us === null ? {} : { retiredUs: key.retired_us }) },
      ]),
    ),
    certificates: new Map(p.certificates.map((c) => [c.fingerprint, { revoked: c.revoked }])),
  };
}

/** Cuts a byte stream into lines of at most `wireLineBytesMax`, or as many as are said. @throws CliError CLI_REGISTRY_PROTOCOL */
export class LineSplitter {
  readonly #bytesMax: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(bytesMax: number = wireLineBytesMax) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Buffer): string[] {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const lines: string[] = [];
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10)) {
      lines.push(data.toString("utf8", 0, end));
      data = data.subarray(end + 1);
    }
    if (data.length > this.#bytesMax) refuse("a line longer than its bound");
    this.#rest = data;
    return lines;
  }
}
