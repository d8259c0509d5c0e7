/**
 * Why: an agent speaks to the registry a few times in its life, and each time it must be sure to whom.
 * Enforces: TLS 1.3; the server's certificate chains to an authority that we have and names a registry (of our trust domain, once we have one), before
 *   anything of ours is sent; where this host's clock is wrong, the time comes signed by the same authority; proofs are bound to the connection; every
 *   wait and every answer is bounded.
 * Forbids: trust in a host name, and in a server that only says who it is.
 */
import type { X509Certificate } from "node:crypto";
import { request as httpRequest } from "node:http";
import { connect as tlsConnect, type TLSSocket } from "node:tls";
import type { Clock, Random } from "ransomeye-kernel";
import {
  channelBinding,
  ENROL_CODES,
  type EnrolCode,
  enrolmentBodyBytesMax,
  enrolmentPaths,
  enrolmentWire,
  parseSpiffeId,
  printable,
  signedTimeHolds,
  type WireShape,
} from "ransomeye-ingestion/protocol";
import { certificatesOf, chainFault, isSignedBy, presentedChain } from "./chain_check.ts";
import { SdkError } from "./codes.ts";

/** Where the registry listens for agents. */
export interface RegistryAddress {
  readonly host: string;
  readonly port: number;
}

/** What every conversation needs. */
export interface RegistryContext {
  readonly address: RegistryAddress;
  readonly clock: Clock;
  readonly random: Random;
  /** From the call to the answer. */
  readonly timeoutMs: number;
}

/** How an agent shows who it is. */
export interface ClientCredentials {
  readonly keyPem: string;
  readonly certPem: string;
}

/** Whom an agent believes, and how it shows itself. */
export interface RegistryTrust {
  readonly roots: string;
  /** Absent at the first contact: then the roots alone say it. */
  readonly trustDomain?: string;
  readonly client?: ClientCredentials;
}

/**
 * Asks one thing of a registry that `roots` vouch for. `ask` gets the connection's binding and makes the body.
 * Rejects with SDK_ENROL_UNREACHABLE, SDK_ENROL_UNTRUSTED, SDK_ENROL_REFUSED (with the registry's code in its fields).
 */
export async function askRegistry<T>(
  context: RegistryContext,
  trust: RegistryTrust,
  path: string,
  answer: WireShape<T>,
  ask: (binding: Buffer) => Record<string, unknown>,
): Promise<T> {
  const socket = await openTrusted(context, trust);
  try {
    const binding = socket.exportKeyingMaterial(channelBinding.bytes, channelBinding.label, Buffer.alloc(0));
    return await exchange(context, socket, "POST", path, answer, ask(binding));
  } finally {
    socket.destroy();
  }
}

/** The roots of a registry whose authority has this pin: the one question that is asked before anybody is trusted. */
export async function rootsByPin(context: RegistryContext, pin: (rootPem: string) => boolean): Promise<string> {
  const { roots } = await askAnybody(context, enrolmentPaths.roots, enrolmentWire.roots);
  const pinned = certificatesOf(roots).find((root) => root.ca && isSignedBy(root, root) && pin(root.toString()));
  if (pinned === undefined) throw new SdkError("SDK_ENROL_UNTRUSTED", "nobody at this address has the authority that the token names");
  return pinned.toString();
}

/**
 * How far this host's clock is behind the registry's, in microseconds, by the word of an authority in `roots`.
 *
 * Nobody needs to be trusted to carry it: the nonce makes the answer fresh, the signature makes it the registry's. Whoever is in between can delay it,
 * within the time-out, and nothing else.
 */
export async function signedClockOffsetUs(context: RegistryContext, roots: string): Promise<number> {
  const { clock, random } = context;
  const told = await askAnybody(context, enrolmentPaths.roots, enrolmentWire.roots);
  const authorities = certificatesOf(roots);
  const links = certificatesOf(told.link).filter((link) => authorities.some((root) => isSignedBy(link, root)));
  const nonce = random.bytes(32);
  const startedUs = clock.nowUs();
  const time = await askAnybody(context, `${enrolmentPaths.time}?nonce=${nonce.toString("hex")}`, enrolmentWire.time);
  const keys = [...authorities, ...links].map(({ publicKey }) => publicKey);
  if (!signedTimeHolds(time, nonce, keys)) throw new SdkError("SDK_ENROL_UNTRUSTED", "the time is not signed by our authority");
  return time.timeUs - Math.round((startedUs + clock.nowUs()) / 2);
}

/** A connection to a registry that the roots vouch for. Where only the dates speak against it, they are judged by signed time. */
async function openTrusted(context: RegistryContext, trust: RegistryTrust): Promise<TLSSocket> {
  const roots = certificatesOf(trust.roots);
  const attempt = async (offsetUs: number): Promise<TLSSocket | "dates"> => {
    const socket = await open(context, trust);
    const chain = presentedChain(socket);
    const fault = socket.authorized ? undefined : chainFault(chain, roots, context.clock.nowUs() + offsetUs);
    if (fault === undefined && namesRegistry(chain[0], trust.trustDomain)) return socket;
    socket.destroy();
    if (fault === "dates") return fault;
    throw new SdkError("SDK_ENROL_UNTRUSTED", `the server's certificate is not believed (${fault ?? "it does not name our registry"})`);
  };
  const first = await attempt(0);
  if (first !== "dates") return first;
  const second = await attempt(await signedClockOffsetUs(context, trust.roots));
  if (second !== "dates") return second;
  throw new SdkError("SDK_ENROL_UNTRUSTED", "the server's certificate has ended, also by the time that the registry signed");
}

function namesRegistry(leaf: X509Certificate | undefined, trustDomain: string | undefined): boolean {
  const name = leaf?.subjectAltName?.split(", ").find((one) => one.startsWith("URI:"));
  const id = parseSpiffeId(name?.slice("URI:".length) ?? "");
  return id?.role === "registry" && (trustDomain === undefined || id.trustDomain === trustDomain);
}

function open(context: RegistryContext, trust: Partial<RegistryTrust>): Promise<TLSSocket> {
  const { address, clock, timeoutMs } = context;
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({
      host: address.host,
      port: address.port,
      minVersion: "TLSv1.3",
      // Judged by the callers, before a byte of ours is written: OpenSSL's verdict first, and only where its objection may be the dates, our own.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(trust.roots === undefined ? {} : { ca: trust.roots }),
      ...(trust.client === undefined ? {} : { key: trust.client.keyPem, cert: trust.client.certPem }),
    });
    const timer = clock.setTimer(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    const fail = (cause?: Error): void =>
      reject(new SdkError("SDK_ENROL_UNREACHABLE", `no registry answers at ${placeOf(address)}${because(cause)}`, { cause }));
    socket.on("error", fail);
    socket.on("close", () => {
      timer.cancel();
      fail();
    });
    socket.once("secureConnect", () => resolve(socket));
  });
}

async function askAnybody<T>(context: RegistryContext, path: string, answer: WireShape<T>): Promise<T> {
  const socket = await open(context, {});
  try {
    return await exchange(context, socket, "GET", path, answer);
  } finally {
    socket.destroy();
  }
}

function exchange<T>(
  context: RegistryContext,
  socket: TLSSocket,
  method: "GET" | "POST",
  path: string,
  answer: WireShape<T>,
  body?: Record<string, unknown>,
): Promise<T> {
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const { host } = context.address;
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void =>
      reject(new SdkError("SDK_ENROL_UNREACHABLE", `whoever is at ${placeOf(context.address)} broke off${because(cause)}`, { cause }));
    // The connection's own bound ends it: a socket that was destroyed for being slow is an error here.
    socket.once("close", () => fail(undefined));
    const request = httpRequest(
      {
        createConnection: () => socket,
        method,
        path,
        headers: { host, ...(bytes === undefined ? {} : { "content-type": "application/json", "content-length": bytes.length }) },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on("data", (chunk: Buffer) => {
          length += chunk.length;
          if (length > enrolmentBodyBytesMax.answer) response.destroy(new Error("the answer is too long"));
          else chunks.push(chunk);
        });
        response.on("error", fail);
        response.on("end", () => {
          try {
            resolve(readAnswer(context, response.statusCode ?? 0, Buffer.concat(chunks), answer));
          } catch (error) {
            reject(error);
          }
        });
      },
    );
    request.on("error", fail);
    request.end(bytes);
  });
}

function placeOf({ host, port }: RegistryAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function because(cause: unknown): string {
  return cause instanceof Error ? ` (${printable(cause.message)})` : "";
}

function readAnswer<T>({ address }: RegistryContext, status: number, bytes: Buffer, answer: WireShape<T>): T {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString("utf8"));
  } catch {
    json = undefined;
  }
  if (status === 200) {
    const value = answer.read(json);
    if (value !== undefined) return value;
  } else {
    const refusal = enrolmentWire.refusal.read(json);
    if (refusal !== undefined) {
      const { code, message, retryAfterMs } = refusal;
      // Its next step by our own table: what a server says is printed, and not obeyed.
      const next = Object.hasOwn(ENROL_CODES, code) ? `; ${ENROL_CODES[code as EnrolCode].next}` : "";
      const text = `${printable(code)}: ${printable(message)}${next}`;
      throw new SdkError("SDK_ENROL_REFUSED", text, { fields: { code, retryAfterMs } });
    }
  }
  throw new SdkError("SDK_ENROL_UNREACHABLE", `what is at ${placeOf(address)} does not answer as a registry does (HTTP ${status})`);
}
