/**
 * Why it exists: what may be asked of the registry over its private socket, in one table.
 * Enforces: each request has exactly the documented shape, each field checked and bounded; whatever else a line says is refused.
 * Forbids: secrets in requests but for what enrolment proves.
 */
import type { CloneSuspicion } from "ransomeye-ingestion";
import { type EnrolmentRequest, enrolmentFromJson, enrolmentToJson, producerKinds } from "ransomeye-ingestion/protocol";
import type { ProducerKind } from "ransomeye-pipeline";
import { array, integer, object, oneOf, parseJson, refuse, text } from "./wire_fields.ts";

/** Every request. `subscribe` is answered by pushes, `suspect` by nothing. */
export type Request =
  | { readonly op: "subscribe" }
  | { readonly op: "suspect"; readonly suspicion: CloneSuspicion }
  | { readonly op: "enrol"; readonly request: EnrolmentRequest }
  /** Producers from this place on, in the order in which they were registered; as many as one line holds, and where the next part begins. */
  | { readonly op: "list"; readonly from: number }
  | { readonly op: "revoke" | "suspend" | "resume"; readonly producer: string; readonly reason: string }
  /** One certificate (fingerprint, or at least 8 digits of it) or one batch key of a producer. */
  | {
      readonly op: "revoke_part";
      readonly producer: string;
      readonly part: "certificate" | "key";
      readonly id: string;
      readonly reason: string;
    }
  /** A batch key that was replaced (its id, or at least 8 digits of it) stays good for longer, or is again. */
  | {
      readonly op: "extend_key";
      readonly producer: string;
      readonly id: string;
      readonly seconds: number;
      readonly reason: string;
    }
  | {
      readonly op: "token_create";
      readonly name: string;
      readonly kind: ProducerKind;
      readonly uses: number;
      readonly seconds: number;
    }
  | { readonly op: "token_list" }
  | { readonly op: "token_revoke"; readonly id: string }
  | { readonly op: "clones"; readonly all: boolean }
  | { readonly op: "accept_clone"; readonly producer: string; readonly reason: string }
  | { readonly op: "authority" }
  | { readonly op: "authority_rotate"; readonly overlapSeconds: number }
  | { readonly op: "authority_retire" };

/** Requests that get one reply. */
export type Question = Exclude<Request, { op: "subscribe" | "suspect" }>;

const evidences: Readonly<Record<CloneSuspicion["evidence"], true>> = {
  address_flapping: true,
  epoch_fenced: true,
  epochs_limited: true,
  sequence_conflict: true,
};

/** The signs of a clone that a gateway may tell; the compiler sees that none is missing. */
export const suspicionEvidence = Object.keys(evidences) as readonly CloneSuspicion["evidence"][];

type Op = Request["op"];
type Parsers = { readonly [K in Op]: (message: Record<string, unknown>) => Extract<Request, { op: K }> | Request };

const producer = (m: Record<string, unknown>): string => text(m["producer"], /^.{1,128}$/u, "producer");
const reason = (m: Record<string, unknown>): string => text(m["reason"], /^.{0,500}$/u, "reason");
const change =
  (op: "revoke" | "suspend" | "resume") =>
  (m: Record<string, unknown>): Request => ({ op, producer: producer(m), reason: reason(m) });

const parsers: Parsers = {
  subscribe: () => ({ op: "subscribe" }),
  suspect: (m) => {
    const s = object(m["suspicion"]);
    return {
      op: "suspect",
      suspicion: {
        producer: text(s["producer"], /^[0-9a-f-]{36}$/, "producer"),
        evidence: oneOf(s["evidence"], suspicionEvidence, "evidence"),
        detail: text(s["detail"], /^.{0,500}$/su, "detail"),
      },
    };
  },
  enrol: (m) => {
    const decoded = enrolmentFromJson(m["request"]);
    if (decoded.kind === "refused") return refuse(decoded.detail);
    return { op: "enrol", request: decoded.value };
  },
  list: (m) => ({ op: "list", from: integer(m["from"], "from") }),
  revoke: change("revoke"),
  suspend: change("suspend"),
  resume: change("resume"),
  revoke_part: (m) => ({
    op: "revoke_part",
    producer: producer(m),
    part: oneOf(m["part"], ["certificate", "key"] as const, "part"),
    id: text(m["id"], /^[0-9a-f]{8,64}$/, "id"),
    reason: reason(m),
  }),
  extend_key: (m) => ({
    op: "extend_key",
    producer: producer(m),
    id: text(m["id"], /^[0-9a-f]{8,16}$/, "id"),
    seconds: within(m["seconds"], 1, keySecondsMax, "seconds"),
    reason: reason(m),
  }),
  token_create: (m) => ({
    op: "token_create",
    name: text(m["name"], /^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$/, "name"),
    kind: oneOf(m["kind"], producerKinds, "kind"),
    uses: within(m["uses"], 1, 100_000, "uses"),
    seconds: within(m["seconds"], 1, tokenSecondsMax, "seconds"),
  }),
  token_list: () => ({ op: "token_list" }),
  token_revoke: (m) => ({ op: "token_revoke", id: text(m["id"], /^[0-9a-f]{16}$/, "id") }),
  clones: (m) => ({ op: "clones", all: m["all"] === true }),
  accept_clone: (m) => ({ op: "accept_clone", producer: producer(m), reason: reason(m) }),
  authority: () => ({ op: "authority" }),
  authority_rotate: (m) => ({
    op: "authority_rotate",
    overlapSeconds: within(m["overlapSeconds"], 0, overlapSecondsMax, "overlapSeconds"),
  }),
  authority_retire: () => ({ op: "authority_retire" }),
};

/** A key that was replaced is good for 90 days more at most, at a time. */
export const keySecondsMax: number = 90 * 86_400;
/** A token lives 30 days at most, an overlap of two authorities a year. */
export const tokenSecondsMax: number = 30 * 86_400;
export const overlapSecondsMax: number = 366 * 86_400;

/** Checks one request line. @throws CliError CLI_REGISTRY_PROTOCOL */
export function parseRequest(line: string): Request {
  const message = object(parseJson(line));
  return parsers[oneOf(message["op"], Object.keys(parsers) as Op[], "op")](message);
}

/** The line that carries a request. */
export function requestLine(request: Request): string {
  return `${JSON.stringify(request.op === "enrol" ? { op: "enrol", request: enrolmentToJson(request.request) } : request)}\n`;
}

/** A token as the registry shows it: everything but the secret, of which it knows only a hash. */
export interface ShownToken {
  readonly id: string;
  readonly name: string;
  readonly kind: ProducerKind;
  readonly uses: number;
  readonly uses_max: number;
  readonly expires_us: number;
  readonly revoked: boolean;
}

/** A suspected clone, for an operator. */
export interface ShownClone {
  readonly producer: string;
  readonly name: string;
  readonly evidence: string;
  readonly detail: string;
  readonly first_us: number;
  readonly last_us: number;
  readonly times: number;
  readonly resolution: string | null;
}

/** The authorities in force. */
export interface ShownAuthority {
  readonly pin: string;
  readonly not_after_us: number;
  readonly gateway_not_after_us: number;
  /** Active producers whose last certificate ends within 30 days, or has ended. */
  readonly producers_ending: number;
  readonly retiring: { readonly pin: string; readonly retires_us: number; readonly certificates: number } | null;
}

/** Reads the registry's list of tokens. @throws CliError CLI_REGISTRY_PROTOCOL */
export function parseTokens(value: unknown): ShownToken[] {
  return array(value).map((item) => {
    const t = object(item);
    return {
      id: text(t["id"], /^[0-9a-f]{16}$/, "id"),
      name: text(t["name"], /^.{1,128}$/u, "name"),
      kind: oneOf(t["kind"], producerKinds, "kind"),
      uses: integer(t["uses"], "uses"),
      uses_max: integer(t["uses_max"], "uses_max"),
      expires_us: integer(t["expires_us"], "expires_us"),
      revoked: t["revoked"] === true,
    };
  });
}

function within(value: unknown, min: number, max: number, name: string): number {
  const number = integer(value, name);
  return number >= min && number <= max ? number : refuse(name);
}
