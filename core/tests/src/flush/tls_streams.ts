/**
 * Why: receipts and frames leave encrypted; who judges when they leave must know which bytes they are.
 * Enforces: TLS 1.3 records are opened with the secrets that the sending process has logged, and every record must open: authenticated decryption makes a
 *   missing or foreign byte a failure, never a wrong answer.
 * Forbids: any part in the connection. The key log is the sender's own, an option of Node; neither gateway nor SDK knows of it.
 */
import { createDecipheriv, createHmac } from "node:crypto";
import { Cutter, type Piece } from "./cutter.ts";
import type { Call } from "./trace_file.ts";

/** What one side of one connection has written, opened. */
export interface PlainStream {
  /** Names the connection: the client's random. */
  readonly connection: string;
  readonly side: "client" | "server";
  readonly pieces: readonly Piece[];
}

const recordHeaderBytes = 5;
const tagBytes = 16;
const encryptedType = 0x17;
const applicationData = 0x17;

interface Secrets {
  readonly connection: string;
  readonly side: "client" | "server";
  readonly handshake: Buffer;
  readonly traffic: Buffer;
}

/** The TLS streams among the writes to sockets that `keyLog` (NSS format) has the secrets of. */
export function tlsStreams(writes: readonly Call[], keyLog: string): PlainStream[] {
  const secrets = parseKeyLog(keyLog);
  const bySocket = new Map<string, Call[]>();
  for (const call of writes) if (call.file.startsWith("socket:")) bySocket.set(call.file, [...(bySocket.get(call.file) ?? []), call]);
  return [...bySocket.values()].flatMap((calls) => {
    const encrypted = records(calls).filter(({ bytes }) => bytes[0] === encryptedType);
    const own = secrets.find(({ handshake }) => encrypted[0] !== undefined && new Opener(handshake).open(encrypted[0].bytes) !== undefined);
    return own === undefined ? [] : [{ connection: own.connection, side: own.side, pieces: opened(encrypted, own) }];
  });
}

/** TLS records of a socket; none if it speaks something else. */
function records(calls: readonly Call[]): Piece[] {
  // A handshake record of TLS: type 22, version 3.x.
  if (calls[0]?.bytes[0] !== 0x16 || calls[0].bytes[1] !== 3) return [];
  const cutter = new Cutter(recordHeaderBytes, (head) => recordHeaderBytes + head.readUInt16BE(3));
  return calls.flatMap(({ bytes, begins }) => cutter.push(bytes, begins));
}

function opened(encrypted: readonly Piece[], { handshake, traffic, connection, side }: Secrets): Piece[] {
  let opener = new Opener(handshake);
  let secret = "handshake";
  const pieces: Piece[] = [];
  for (const { bytes, at } of encrypted) {
    let inner = opener.open(bytes);
    if (inner === undefined && secret === "handshake") {
      secret = "traffic";
      opener = new Opener(traffic);
      inner = opener.open(bytes);
    }
    if (inner === undefined) throw new Error(`a record of the ${side} of connection ${connection} at line ${at} does not open`);
    if (inner.type === applicationData) pieces.push({ bytes: inner.content, at });
  }
  return pieces;
}

/** Opens the records of one side under one secret, in their order. */
class Opener {
  readonly #cipher: "aes-256-gcm" | "aes-128-gcm";
  readonly #key: Buffer;
  readonly #iv: Buffer;
  #sequence = 0n;

  constructor(secret: Buffer) {
    // The suites differ in their hash: AES-256 goes with SHA-384, AES-128 with SHA-256.
    const hash = secret.length === 48 ? "sha384" : "sha256";
    this.#cipher = secret.length === 48 ? "aes-256-gcm" : "aes-128-gcm";
    this.#key = expandLabel(hash, secret, "key", secret.length === 48 ? 32 : 16);
    this.#iv = expandLabel(hash, secret, "iv", 12);
  }

  /** Type and content; undefined where the record is not of this secret. */
  open(record: Buffer): { readonly type: number; readonly content: Buffer } | undefined {
    const nonce = Buffer.from(this.#iv);
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ this.#sequence, 4);
    const decipher = createDecipheriv(this.#cipher, this.#key, nonce, { authTagLength: tagBytes });
    decipher.setAAD(record.subarray(0, recordHeaderBytes));
    decipher.setAuthTag(record.subarray(-tagBytes));
    let plain: Buffer;
    try {
      plain = Buffer.concat([decipher.update(record.subarray(recordHeaderBytes, -tagBytes)), decipher.final()]);
    } catch {
      return undefined;
    }
    this.#sequence += 1n;
    // RFC 8446, 5.4: content, type, zeros.
    let end = plain.length - 1;
    while (end > 0 && plain[end] === 0) end -= 1;
    return { type: plain[end] ?? 0, content: plain.subarray(0, end) };
  }
}

/** RFC 8446, 7.1, for lengths within one block of the hash. */
function expandLabel(hash: string, secret: Buffer, label: string, bytes: number): Buffer {
  const full = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, bytes, full.length]), full, Buffer.from([0, 1])]);
  return createHmac(hash, secret).update(info).digest().subarray(0, bytes);
}

function parseKeyLog(text: string): Secrets[] {
  const byName = new Map<string, Buffer>();
  const connections = new Set<string>();
  for (const [, label = "", random = "", secret = ""] of text.matchAll(/^(\w+) ([0-9a-f]+) ([0-9a-f]+)$/gim)) {
    byName.set(`${label} ${random}`, Buffer.from(secret, "hex"));
    connections.add(random);
  }
  return [...connections].flatMap((connection) =>
    (["client", "server"] as const).flatMap((side) => {
      const handshake = byName.get(`${side.toUpperCase()}_HANDSHAKE_TRAFFIC_SECRET ${connection}`);
      const traffic = byName.get(`${side.toUpperCase()}_TRAFFIC_SECRET_0 ${connection}`);
      return handshake === undefined || traffic === undefined ? [] : [{ connection, side, handshake, traffic }];
    }),
  );
}
