/**
 * Why: no TLS library sends KeyUpdate messages for as long as one likes; an attacker does.
 * Enforces: a real handshake by Node; from its end on every record of the client is made here, under the secret that the library logs for debugging (RFC 8446,
 *   5.2, 7.2 and 7.3): a KeyUpdate is a record like any other, and the next one is under the next keys.
 * Forbids: use outside tests and measurements.
 */
import { createCipheriv, createHmac } from "node:crypto";
import { connect as connectTcp, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { type RawTarget, tlsOptions } from "./raw_http2.ts";

const contentType = { handshake: 22, applicationData: 23 } as const;
const tagBytes = 16;

/** HKDF-Expand-Label with an empty context, for outputs of one block (RFC 8446, 7.1). */
function expandLabel(secret: Buffer, label: string, bytes: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, bytes, name.length]), name, Buffer.from([0, 1])]);
  return createHmac("sha256", secret).update(info).digest().subarray(0, bytes);
}

/** The keys of one direction, record after record: TLS_AES_128_GCM_SHA256. */
class Writer {
  #secret: Buffer;
  #sequence = 0;

  constructor(secret: Buffer) {
    this.#secret = secret;
  }

  record(type: number, content: Buffer): Buffer {
    const nonce = expandLabel(this.#secret, "iv", 12);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.#sequence++) >>> 0, 8);
    const inner = Buffer.concat([content, Buffer.from([type])]);
    const header = Buffer.from([contentType.applicationData, 3, 3, 0, 0]);
    header.writeUInt16BE(inner.length + tagBytes, 3);
    const cipher = createCipheriv("aes-128-gcm", expandLabel(this.#secret, "key", 16), nonce).setAAD(header);
    return Buffer.concat([header, cipher.update(inner), cipher.final(), cipher.getAuthTag()]);
  }

  /** The next keys. */
  update(): void {
    this.#secret = expandLabel(this.#secret, "traffic upd", 32);
    this.#sequence = 0;
  }
}

/** What lies between the library and the network: it sees each byte, and from some moment on the library writes no more. */
function tap(socket: Socket): Duplex {
  const wire = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, () => done()),
    final: (done) => done(),
  });
  socket.on("data", (chunk) => void (wire.push(chunk) || socket.pause()));
  socket.on("close", () => wire.destroy());
  return wire;
}

/** A TLS 1.3 client whose records are made by hand. What the server says is read and forgotten. */
export class RawTls {
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #writer: Writer;

  private constructor(socket: Socket, writer: Writer) {
    this.#socket = socket;
    this.#writer = writer;
    this.ended = new Promise((resolve) => (socket.destroyed ? resolve() : socket.once("close", () => resolve())));
  }

  /** Completes a handshake. Rejects where the server does not let it. */
  static async open(target: RawTarget): Promise<RawTls> {
    const socket = connectTcp(target.port, "127.0.0.1");
    socket.on("error", () => undefined);
    const { host: _host, port: _port, ...options } = tlsOptions(target);
    const tls = connectTls({ ...options, socket: tap(socket), ciphers: "TLS_AES_128_GCM_SHA256" });
    const secret = new Promise<Buffer>((resolve) => {
      tls.on("keylog", (line: Buffer) => {
        const [label, , hex = ""] = line.toString().trim().split(" ");
        if (label === "CLIENT_TRAFFIC_SECRET_0") resolve(Buffer.from(hex, "hex"));
      });
    });
    await new Promise<void>((resolve, reject) => {
      tls.once("secureConnect", resolve);
      tls.once("error", reject);
      tls.once("close", () => reject(new Error("closed")));
    });
    tls.on("error", () => undefined).resume();
    // The library's last message of the handshake is on its way before ours: one socket, in order.
    await new Promise((resolve) => setImmediate(resolve));
    return new RawTls(socket, new Writer(await secret));
  }

  get over(): boolean {
    return this.#socket.destroyed || !this.#socket.writable;
  }

  /** Application data, as one record. */
  data(bytes: Buffer): Buffer {
    return this.#writer.record(contentType.applicationData, bytes);
  }

  /** A KeyUpdate; one that `asks` wants the other side to update its keys as well. */
  keyUpdate(asks: boolean): Buffer {
    const record = this.#writer.record(contentType.handshake, Buffer.from([24, 0, 0, 1, asks ? 1 : 0]));
    this.#writer.update();
    return record;
  }

  /** Sends records, as fast as they are taken. */
  async send(records: Buffer): Promise<void> {
    if (this.over) return;
    const taken = this.#socket.write(records);
    await new Promise<void>((resolve) => {
      if (taken) setImmediate(resolve);
      else this.#socket.once("drain", resolve).once("close", resolve);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
