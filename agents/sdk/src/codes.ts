/**
 * Why: a program that ships evidence must be able to tell "wait", "fix this file" and "call an operator" apart.
 * Enforces: one class over a closed table; every failure that leaves the SDK carries one of these codes.
 * Forbids: matching on messages.
 */
import { type CodeTable, type ErrorOptions, RansomeyeError } from "ransomeye-kernel";

export type SdkCode =
  | "SDK_OPTIONS_INVALID"
  | "SDK_IDENTITY_INVALID"
  | "SDK_IDENTITY_EXPOSED"
  | "SDK_SPOOL_LOCKED"
  | "SDK_SPOOL_CORRUPT"
  | "SDK_SPOOL_FAILED"
  | "SDK_DISK_FULL"
  | "SDK_LINE_INVALID"
  | "SDK_CALL_TOO_LARGE"
  | "SDK_CLOSED"
  | "SDK_CONNECT_FAILED"
  | "SDK_CONNECT_TIMEOUT"
  | "SDK_SERVER_IDENTITY"
  | "SDK_PEER_SILENT"
  | "SDK_DISCONNECTED"
  | "SDK_PROTOCOL"
  | "SDK_VERSION"
  | "SDK_RECEIPT_INVALID"
  | "SDK_RECEIPT_KEY_CHANGED"
  | "SDK_HISTORY_DIVERGED"
  | "SDK_EPOCH_LIMIT"
  | "SDK_FENCED"
  | "SDK_REFUSED"
  | "SDK_KEY_SUPERSEDED"
  | "SDK_KEY_RETIRED"
  | "SDK_SERVER_DATES"
  | "SDK_ENROL_UNREACHABLE"
  | "SDK_ENROL_UNTRUSTED"
  | "SDK_ENROL_REFUSED";

/** Meaning and next step of each code; the reference page is generated from it. */
export const SDK_CODES: CodeTable<SdkCode> = Object.freeze({
  SDK_OPTIONS_INVALID: {
    stage: "open",
    disposition: "fatal",
    meaning: "an option is out of its bounds",
    next: "correct the option that the message names",
  },
  SDK_IDENTITY_INVALID: {
    stage: "open",
    disposition: "fatal",
    meaning: "the identity directory cannot be read as an identity",
    next: "enrol the producer again",
  },
  SDK_IDENTITY_EXPOSED: {
    stage: "open",
    disposition: "fatal",
    meaning: "others may read the identity's private keys",
    next: "chmod 700 the directory and 600 its files; if others had access, revoke and enrol again",
  },
  SDK_SPOOL_LOCKED: {
    stage: "open",
    disposition: "fatal",
    meaning: "another living process uses this spool",
    next: "stop it, or give this producer a spool of its own",
  },
  SDK_SPOOL_CORRUPT: {
    stage: "spool",
    disposition: "fatal",
    meaning: "a record that had been durable cannot be read back",
    next: "keep the directory for examination and start with a new spool; the server's head decides what is missing",
  },
  SDK_SPOOL_FAILED: {
    stage: "spool",
    disposition: "fatal",
    meaning: "the disk failed to write or to flush the spool",
    next: "check the disk, then start the producer again: everything confirmed is still in the spool",
  },
  SDK_DISK_FULL: {
    stage: "spool",
    disposition: "retry",
    meaning: "no room on the disk for the spool; callers wait, nothing is lost",
    next: "free disk space",
  },
  SDK_LINE_INVALID: {
    stage: "admit",
    disposition: "reject",
    meaning: "an event line is empty, too long, or contains a line feed",
    next: "send one JSON document a line, within line_bytes_max",
  },
  SDK_CALL_TOO_LARGE: {
    stage: "admit",
    disposition: "reject",
    meaning: "the lines of one call do not fit half the spool",
    next: "send fewer lines a call",
  },
  SDK_CLOSED: {
    stage: "admit",
    disposition: "reject",
    meaning: "the producer is closed",
    next: "open a producer; what was spooled is sent by it",
  },
  SDK_CONNECT_FAILED: {
    stage: "connect",
    disposition: "retry",
    meaning: "the gateway cannot be reached or refuses the connection",
    next: "check address, network and certificates",
  },
  SDK_CONNECT_TIMEOUT: {
    stage: "connect",
    disposition: "retry",
    meaning: "no session within the deadline",
    next: "check address and network",
  },
  SDK_SERVER_IDENTITY: {
    stage: "connect",
    disposition: "retry",
    meaning: "the server's certificate does not name a gateway of our trust domain",
    next: "check that the address belongs to this installation: something else may be answering",
  },
  SDK_PEER_SILENT: {
    stage: "session",
    disposition: "retry",
    meaning: "the gateway no longer answers pings",
    next: "none: the producer connects again",
  },
  SDK_DISCONNECTED: { stage: "session", disposition: "retry", meaning: "the session ended", next: "none: the producer connects again" },
  SDK_PROTOCOL: {
    stage: "session",
    disposition: "retry",
    meaning: "the gateway said something outside the protocol",
    next: "update producer or gateway",
  },
  SDK_VERSION: {
    stage: "session",
    disposition: "retry",
    meaning: "the gateway chose a version that this producer does not speak",
    next: "update producer or gateway",
  },
  SDK_RECEIPT_INVALID: {
    stage: "session",
    disposition: "retry",
    meaning: "a receipt's signature or chain hash is wrong; it was not honoured",
    next: "find out who answers at this address",
  },
  SDK_RECEIPT_KEY_CHANGED: {
    stage: "session",
    disposition: "retry",
    meaning: "the gateway signs receipts with another key than the pinned one",
    next: "confirm the rotation and enrol again, or remove the pin from the spool's state",
  },
  SDK_HISTORY_DIVERGED: {
    stage: "resume",
    disposition: "dead_letter",
    meaning: "the server holds other frames at sequences that this spool has signed: a restored disk, or a clone",
    next: "find the second machine; the sealed epoch shows both",
  },
  SDK_EPOCH_LIMIT: {
    stage: "resume",
    disposition: "fatal",
    meaning: "own state was lost more often than is credible in a day",
    next: "an operator decides whether this identity runs on two machines",
  },
  SDK_FENCED: {
    stage: "resume",
    disposition: "fatal",
    meaning: "a newer epoch of this identity was opened elsewhere",
    next: "stop one of the two machines, and give each an identity of its own",
  },
  SDK_REFUSED: {
    stage: "session",
    disposition: "fatal",
    meaning: "the gateway says that nothing helps before an operator has acted",
    next: "read the gateway's code in the message",
  },
  SDK_KEY_SUPERSEDED: {
    stage: "session",
    disposition: "retry",
    meaning: "frames in the spool are signed by a batch key that has ended since; the key that took over signs them anew, in a new epoch",
    next: "none: the producer connects again and goes on",
  },
  SDK_KEY_RETIRED: {
    stage: "session",
    disposition: "fatal",
    meaning: "the batch key that signs now has ended: replaced from elsewhere, or revoked; the spool keeps everything",
    next: "ransomeye producer extend-key NAME --key ID (the message has the id), start the producer again, and replace the key: ransomeye enrol --rotate-key. After a revocation enrol anew",
  },
  SDK_SERVER_DATES: {
    stage: "connect",
    disposition: "retry",
    meaning: "by this host's clock the gateway's certificate is not valid; where the registry can be asked, its signed time decides",
    next: "set this host's clock; if it is right, renew the gateway's certificate",
  },
  SDK_ENROL_UNREACHABLE: {
    stage: "enrolment",
    disposition: "retry",
    meaning: "the registry cannot be reached, or breaks off",
    next: "check address and network: it is the server's enrolment.listen, not its gateway's; and that enrolment.enabled is set there",
  },
  SDK_ENROL_UNTRUSTED: {
    stage: "enrolment",
    disposition: "reject",
    meaning: "whoever answers is not the registry that the token or the identity names; nothing was told to it",
    next: "check the address: something else may be answering. After a new authority was made in place of a lost one, enrol with a new token",
  },
  SDK_ENROL_REFUSED: {
    stage: "enrolment",
    disposition: "reject",
    meaning: "the registry refused, with a code of its own",
    next: "the message has the registry's code and what to do; the errors page tells more",
  },
});

/** Every failure of this room. */
export class SdkError extends RansomeyeError<SdkCode> {
  constructor(code: SdkCode, message: string, options?: ErrorOptions) {
    super(SDK_CODES, code, message, options);
  }
}
