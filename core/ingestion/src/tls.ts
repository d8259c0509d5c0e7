/**
 * How the gateway speaks TLS, and what its refusals are called.
 *
 * Why: authentication begins in the handshake; a client without a certificate of ours never reaches our code.
 * Enforces: TLS 1.3 only, a client certificate always, no session tickets and so no resumption and no 0-RTT: a resumed session would skip
 *   the check of a certificate that has been revoked or has expired since.
 * Forbids: HTTP/1, compression, and limits left to Node's defaults (`maxConcurrentStreams` is 2^32-1 there).
 */
import { constants } from "node:crypto";
import type { SecureServerOptions } from "node:http2";
import type { SecureContextOptions } from "node:tls";
import type { IngestCode } from "../errors/ingest_errors.ts";
import { idleWindowBytes } from "./backpressure.ts";

/** The gateway's key and certificate chain, and the authorities of its producers (several while one takes over from another), as PEM. */
export interface TlsMaterial {
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
  readonly ca: string | Buffer;
}

/** Streams on one connection: one conversation, and one more so that a late request is answered instead of reset. */
export const streamsPerConnectionMax = 2;

/** Level 2 of OpenSSL: no key or signature below 112 bits of strength anywhere in the chain. Node's default is level 1, where RSA of 1024 bits passes. */
const ciphers = "DEFAULT:@SECLEVEL=2";

/** What a handshake is made with; the same at the start and at every reload, so that a reload can loosen nothing. */
export function secureContext(tls: TlsMaterial): SecureContextOptions {
  return { ...tls, ciphers, minVersion: "TLSv1.3", maxVersion: "TLSv1.3", secureOptions: constants.SSL_OP_NO_TICKET };
}

/** Options of the listening server. */
export function serverOptions(tls: TlsMaterial): SecureServerOptions {
  return {
    ...secureContext(tls),
    requestCert: true,
    rejectUnauthorized: true,
    allowHTTP1: false,
    settings: {
      headerTableSize: 4096,
      initialWindowSize: idleWindowBytes,
      maxConcurrentStreams: streamsPerConnectionMax,
      maxFrameSize: 16_384,
      maxHeaderListSize: 8192,
      enableConnectProtocol: false,
    },
    maxHeaderListPairs: 64,
    maxSettings: 16,
    maxSessionMemory: 2,
    maxOutstandingPings: 2,
    maxSessionInvalidFrames: 16,
    maxSessionRejectedStreams: 16,
    peerMaxConcurrentStreams: 1,
    paddingStrategy: 0,
    unknownProtocolTimeout: 1000,
  };
}

/** OpenSSL's verdicts on a client certificate, as Node names them. Everything else is "not issued by our authority". */
const byVerdict: Readonly<Record<string, IngestCode>> = Object.freeze({
  CERT_HAS_EXPIRED: "INGEST_CERT_EXPIRED",
  CERT_NOT_YET_VALID: "INGEST_CERT_NOT_YET_VALID",
  INVALID_PURPOSE: "INGEST_CERT_USAGE",
  CERT_REVOKED: "INGEST_CERT_REVOKED",
  // Node has no name for OpenSSL's verdicts "key too small", "digest too weak" and "unknown critical extension", and calls them all this.
  UNSPECIFIED: "INGEST_CERT_WEAK",
});

/** The code of a failed handshake, from OpenSSL's error code and its verdict on the certificate. */
export function handshakeCode(errorCode: string | undefined, verdict: string | undefined): IngestCode {
  if (errorCode === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE") return "INGEST_CERT_MISSING";
  if (verdict !== undefined) return byVerdict[verdict] ?? "INGEST_CERT_UNTRUSTED";
  return "INGEST_TLS_REFUSED";
}

/** nghttp2's own bounds: acknowledgements that queue up, DATA or HEADERS without content, CONTINUATION frames. */
const nghttp2Flooded: ReadonlySet<number> = new Set([-902, -904, -905]);

/** The code under which the end of an HTTP/2 connection counts; undefined where the connection just broke. */
export function http2Code(error: { readonly code?: string | undefined; readonly errno?: number | undefined }): IngestCode | undefined {
  if (error.errno !== undefined && nghttp2Flooded.has(error.errno)) return "INGEST_TRANSPORT_FLOOD";
  return error.code === "ERR_HTTP2_ERROR" ? "INGEST_TRANSPORT_VIOLATION" : undefined;
}
