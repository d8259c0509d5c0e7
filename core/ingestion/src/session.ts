/**
 * The conversation with one producer: a pure state machine.
 *
 * Why: what is promised to a producer must not depend on which callback ran first; a table of states and signals can be read, drawn, tested
 *   and simulated.
 * Enforces: every signal has an answer in every phase. Hello once and first; frames only after Welcome; one epoch opened at a time, and
 *   only when nothing is in flight; an ended session answers nothing and still gives its room back.
 * Forbids: I/O, clocks, randomness.
 */
import { noHead, type ProducerHead } from "ransomeye-pipeline";
import { chooseVersion, protocolVersions, schemaVersions } from "../protocol/lib.ts";
import type { Identity } from "../security/identity.ts";
import { retiredKeyFault } from "../security/signature.ts";
import { standingFault } from "./auth.ts";
import { type Account, grant, openAccount } from "./buffer.ts";
import { nextDue, overdueMs } from "./credit_use.ts";
import { lacksEventsFor } from "./credit_wish.ts";
import { expectFrom } from "./ordering.ts";
import { covered, fullBucket, refill, type Bucket, type Cost } from "./rate_limit.ts";
import { openingFault } from "./replay.ts";
import { headMessage, refuseAndEnd, takeFrame } from "./session_frame.ts";
import { next, settle } from "./session_settle.ts";
import {
  become,
  finish,
  nothing,
  stay,
  type Phase,
  type Session,
  type SessionContext,
  type SessionEffect,
  type SessionSignal,
  type SignalKind,
  type Step,
} from "./session_state.ts";

type Signal<K extends SignalKind> = Extract<SessionSignal, { readonly kind: K }>;
type Handler<K extends SignalKind> = (session: Session, signal: Signal<K>, context: SessionContext) => Step;
type Handlers = { readonly [K in SignalKind]: Handler<K> };

/** Head of a producer that has never opened an epoch. */
export const headOfNobody: ProducerHead = Object.freeze({ ...noHead, storedEpoch: 0, storedSeq: 0 });

/** A session whose peer has been authenticated. `bucket` is what an earlier session of this producer left. */
export function openSession(
  id: number,
  identity: Identity,
  nonce: Buffer,
  bucket: Bucket | undefined,
  context: Pick<SessionContext, "nowMs" | "settings">,
): Session {
  const { nowMs, settings } = context;
  return Object.freeze({
    id,
    phase: "greeting",
    identity,
    nonce,
    openedMs: nowMs,
    heardMs: nowMs,
    pingedMs: undefined,
    creditMovedMs: nowMs,
    creditDue: { spentBytesTotal: 0, sinceMs: nowMs },
    protocolVersion: 0,
    schemaVersion: 0,
    helloEpoch: 0,
    keyId: "",
    expected: expectFrom(headOfNobody, 0),
    part: headOfNobody.part,
    durable: { epoch: 0, seq: 0 },
    durableHash: headOfNobody.hash,
    stored: { epoch: 0, seq: 0 },
    acceptedFrom: undefined,
    inFlight: 0,
    account: openAccount(settings.sessionFloorBytes),
    bucket: bucket ?? fullBucket(settings.rate, nowMs),
    want: nothing,
    nextFrameBytes: 0,
    told: { state: "open", reason: "", retryAfterMs: 0 },
    toldLingerMs: 0,
    fenced: false,
    opening: undefined,
  } satisfies Session);
}

const ignore = (session: Session): Step => stay(session);
const violation = (session: Session): Step => refuseAndEnd(session, "INGEST_PROTOCOL_VIOLATION", undefined);
const lost = (session: Session): Step => finish(session, undefined);

/** Why a session ends that did nothing wrong in this conversation. */
const broken: Handler<"broken"> = (session, { code }) => refuseAndEnd(session, code, undefined);
const replaced = (session: Session): Step => refuseAndEnd(session, "INGEST_SESSION_REPLACED", undefined);
const registryStale = (session: Session): Step => finish(session, "INGEST_REGISTRY_STALE");
const busFailed = (session: Session): Step => finish(session, "INGEST_BUS_UNAVAILABLE");
const drainNow = (session: Session): Step => finish(session, "INGEST_DRAINING");

/** The registry changed: the same check as at the opening, on the open stream. */
const standing: Handler<"standing"> = (session, _signal, context) => {
  const { entry, nowUs } = context;
  const fault = standingFault(session.identity, entry, nowUs) ?? retiredKeyFault(entry, session.keyId, nowUs);
  return fault === undefined ? stay(session) : finish(session, fault, [{ kind: "discard" }, { kind: "refused", code: fault }]);
};

const heard = (session: Session, context: SessionContext): Session =>
  become(session, { heardMs: context.nowMs, pingedMs: undefined }).session;

const ponged: Handler<"ponged"> = (session, _signal, context) => stay(heard(session, context));

/** Deadlines. A peer that says nothing is pinged first; TCP alone would keep a dead one for hours. */
const tick: Handler<"tick"> = (session, _signal, context) => {
  const { settings, nowMs } = context;
  if (session.identity.notAfterUs <= context.nowUs) return standing(session, { kind: "standing" }, context);
  if (session.phase === "greeting" && nowMs - session.openedMs > settings.helloMsMax)
    return refuseAndEnd(session, "INGEST_HELLO_TIMEOUT", undefined);
  if (session.pingedMs !== undefined && nowMs - session.pingedMs > settings.pongMsMax)
    return refuseAndEnd(session, "INGEST_PEER_SILENT", undefined);
  const creditDue = nextDue(session.creditDue, session.account, settings, { nowMs, lacksEvents: lacksEventsFor(session, settings) > 0 });
  if (overdueMs(creditDue, session.account, context.creditExcusedUntilMs, nowMs) > settings.creditUnusedMsMax)
    return refuseAndEnd(session, "INGEST_CREDIT_UNUSED", undefined);
  if (session.pingedMs === undefined && nowMs - session.heardMs > settings.pingAfterMs)
    return become(session, { pingedMs: nowMs, creditDue }, [{ kind: "ping" }]);
  return creditDue === session.creditDue ? stay(session) : become(session, { creditDue });
};

const hello: Handler<"hello"> = (session, { hello: said }, context) => {
  const protocolVersion = chooseVersion(said.protocolVersions, protocolVersions);
  const schemaVersion = chooseVersion(said.schemaVersions, schemaVersions);
  if (protocolVersion === undefined || schemaVersion === undefined) return refuseAndEnd(session, "INGEST_VERSION_UNSUPPORTED", undefined);
  return become(
    heard(session, context),
    {
      phase: "resuming",
      protocolVersion,
      schemaVersion,
      helloEpoch: said.epoch,
      keyId: said.keyId.toString("hex"),
      want: { bytes: said.pendingBytes, events: said.pendingEvents },
    },
    [{ kind: "readHead" }],
  );
};

/** Welcome: the resume point is the bus's word, and the first credit is what the floor reserves. */
const headRead: Handler<"headRead"> = (session, { head }, context) => {
  const { settings } = context;
  const bucket = refill(session.bucket, settings.rate, context.nowMs);
  const allowed = covered(bucket, nothing);
  const first: Cost = {
    bytes: Math.min(settings.sessionFloorBytes, allowed.bytes),
    events: Math.min(settings.sessionFloorEvents, allowed.events),
  };
  const account = grant(session.account, first);
  const told = context.pressure;
  const welcome: SessionEffect = {
    kind: "send",
    message: {
      kind: "welcome",
      protocolVersion: session.protocolVersion,
      schemaVersion: session.schemaVersion,
      head: headMessage(head),
      storedEpoch: head.storedEpoch,
      storedSeq: head.storedSeq,
      limits: { frameBytesMax: settings.frameBytesMax, frameEventsMax: settings.frameEventsMax, lineBytesMax: settings.lineBytesMax },
      lingerMs: context.lingerMs,
      creditBytesTotal: account.grantedBytesTotal,
      creditEventsTotal: account.grantedEventsTotal,
      sessionNonce: session.nonce,
      receiptPublicKey: context.receiptPublicKey,
      clockUs: context.nowUs,
      gateway: settings.gatewayId,
    },
  };
  const effects = told.state === "open" ? [welcome] : [welcome, throttleMessage(told)];
  return become(
    session,
    {
      phase: "streaming",
      expected: expectFrom(head, 0),
      part: head.part,
      durable: { epoch: head.epoch, seq: head.seq },
      durableHash: head.hash,
      stored: { epoch: head.storedEpoch, seq: head.storedSeq },
      // Whoever speaks of an older epoch while a newer one has frames has been fenced. A newer epoch without frames may be his own,
      // opened by a request whose answer was lost.
      fenced: session.helloEpoch > 0 && session.helloEpoch < head.epoch && head.seq > 0,
      account,
      bucket,
      creditMovedMs: context.nowMs,
      told,
      toldLingerMs: context.lingerMs,
    },
    effects,
  );
};

const frame: Handler<"frame"> = (session, signal, context) =>
  withLinger(takeFrame(heard(session, context), signal.frame, context), context);

const demand: Handler<"demand"> = (session, { demand: { bytes, events, frameBytes } }, context) =>
  become(heard(session, context), { want: { bytes, events }, nextFrameBytes: frameBytes });

/**
 * A new epoch is asked for with a signature over this session's nonce, and only by a producer that has not been fenced. A recording is told
 * before the fence: it names an old epoch by its nature, and its producer need not be a clone.
 */
const openEpoch: Handler<"openEpoch"> = (session, { request }, context) => {
  const fault = openingFault(session, request, context);
  if (session.fenced && fault !== "INGEST_SESSION_REPLAYED") return refuseAndEnd(session, "INGEST_EPOCH_FENCED", undefined);
  if (fault !== undefined) return refuseAndEnd(session, fault, undefined);
  const opening = {
    producer: session.identity.producer,
    expectedEpoch: request.expectedEpoch,
    keyId: request.keyId.toString("hex"),
    registryVersion: context.registryVersion,
  };
  return next(become(heard(session, context), { phase: "sealing", opening }).session, []);
};

const epochAnswered: Handler<"epochAnswered"> = (session, { outcome }) => {
  switch (outcome.kind) {
    case "opened": {
      const { epoch, prev, part } = outcome;
      const expected = Object.freeze({ epoch, seq: 0, end: prev, prev, lineage: session.expected.lineage + 1 });
      return become(session, { phase: "streaming", expected, part, durable: { epoch, seq: 0 }, durableHash: prev.hash }, [
        { kind: "send", message: { kind: "epochOpened", epoch, prevEpoch: prev.epoch, prevSeq: prev.seq, prevHash: prev.hash } },
      ]);
    }
    case "conflict":
      return refuseAndEnd(session, "INGEST_EPOCH_CONFLICT", undefined);
    case "limited":
      // Whoever loses its state this often may be two machines: it waits for a day's room, and an operator hears of it.
      return finish(
        session,
        "INGEST_EPOCH_LIMITED",
        [
          { kind: "alarm", finding: { what: "epochs_limited", epoch: session.expected.epoch } },
          { kind: "refused", code: "INGEST_EPOCH_LIMITED" },
        ],
        outcome.retryAfterMs,
      );
    case "revoked":
      return refuseAndEnd(session, "INGEST_DISPATCH_REVOKED", undefined);
    case "stale_registry":
      return refuseAndEnd(session, "INGEST_DISPATCH_STALE", undefined);
  }
};

const granted: Handler<"granted"> = (session, { cost }, context) => {
  const account = grant(session.account, cost);
  const want: Cost = { bytes: Math.max(0, session.want.bytes - cost.bytes), events: Math.max(0, session.want.events - cost.events) };
  return become(session, { account, want, creditMovedMs: context.nowMs, toldLingerMs: context.lingerMs }, [
    creditMessage(account, context),
  ]);
};

/** Beside what every tick does: who was asked to gather for long is told once the gate is at rest again, or its next events would wait for nothing. */
const streamingTick: Handler<"tick"> = (session, signal, context) => {
  const ticked = tick(session, signal, context);
  return context.lingerMs <= context.settings.lingerMsMin ? withLinger(ticked, context) : ticked;
};

/**
 * A linger that has become quite another one is told in a Credit that grants nothing new: producers with credit to spare would else go on sending small
 * frames to a gate that drowns in them. Those who send, that is: a message to each of thousands who are silent would drown it, too.
 */
function withLinger(done: Step, context: SessionContext): Step {
  const { phase, toldLingerMs, account } = done.session;
  const { lingerMs } = context;
  if (phase !== "streaming" || (lingerMs < 2 * toldLingerMs && 2 * lingerMs > toldLingerMs)) return done;
  return become(done.session, { toldLingerMs: lingerMs }, [...done.effects, creditMessage(account, context)]);
}

const throttled: Handler<"throttled"> = (session, { throttling }) =>
  throttling.state === session.told.state && throttling.reason === session.told.reason
    ? stay(session)
    : become(session, { told: throttling }, [throttleMessage(throttling)]);

const settled: Handler<"settled"> = (session, { results }, context) => settle(session, results, context);

/** The engine has come further: the producer's spool may forget. */
const headMoved: Handler<"headRead"> = (session, { head }) => {
  const { stored } = session;
  if (head.storedEpoch === stored.epoch && head.storedSeq === stored.seq) return stay(session);
  return become(session, { stored: { epoch: head.storedEpoch, seq: head.storedSeq } }, [
    { kind: "send", message: { kind: "stored", epoch: head.storedEpoch, seq: head.storedSeq } },
  ]);
};

/** No new frames; Goodbye when nothing is in flight. Frames that still come stay unanswered: the Goodbye answers them all. */
const drain = (session: Session): Step => next(become(session, { phase: "draining" }).session, []);

function creditMessage({ grantedBytesTotal, grantedEventsTotal }: Account, { lingerMs }: SessionContext): SessionEffect {
  return { kind: "send", message: { kind: "credit", bytesTotal: grantedBytesTotal, eventsTotal: grantedEventsTotal, lingerMs } };
}

function throttleMessage(throttling: SessionContext["pressure"]): SessionEffect {
  return { kind: "send", message: { kind: "throttle", ...throttling } };
}

/** Signals that mean the same in every phase before the end. */
const always = { broken, replaced, registryStale, standing, lost, ponged, goodbye: lost, unknown: ignore, tick, busFailed: ignore };

/** Every signal in every phase. */
export const transitions: Readonly<Record<Phase, Handlers>> = Object.freeze({
  greeting: {
    ...always,
    hello,
    frame: violation,
    demand: violation,
    openEpoch: violation,
    headRead: ignore,
    epochAnswered: ignore,
    settled,
    granted: ignore,
    throttled: ignore,
    drain: drainNow,
  },
  resuming: {
    ...always,
    hello: violation,
    frame: violation,
    demand,
    openEpoch: violation,
    headRead,
    epochAnswered: ignore,
    busFailed,
    settled,
    granted: ignore,
    throttled: ignore,
    drain: drainNow,
  },
  streaming: {
    ...always,
    hello: violation,
    frame,
    demand,
    openEpoch,
    headRead: headMoved,
    epochAnswered: ignore,
    settled,
    granted,
    throttled,
    tick: streamingTick,
    drain,
  },
  sealing: {
    ...always,
    hello: violation,
    frame: violation,
    demand,
    openEpoch: violation,
    headRead: headMoved,
    epochAnswered,
    busFailed,
    settled,
    granted,
    throttled,
    drain: drainNow,
  },
  draining: {
    ...always,
    hello: ignore,
    frame: ignore,
    demand: ignore,
    openEpoch: ignore,
    headRead: headMoved,
    epochAnswered: ignore,
    settled,
    granted: ignore,
    throttled: ignore,
    drain: ignore,
  },
  ended: {
    hello: ignore,
    frame: ignore,
    demand: ignore,
    openEpoch: ignore,
    goodbye: ignore,
    unknown: ignore,
    ponged: ignore,
    lost: ignore,
    broken: ignore,
    headRead: ignore,
    epochAnswered: ignore,
    busFailed: ignore,
    settled,
    granted: ignore,
    throttled: ignore,
    standing: ignore,
    tick: ignore,
    replaced: ignore,
    registryStale: ignore,
    drain: ignore,
  },
});

/** One step of the conversation. */
export function step(session: Session, signal: SessionSignal, context: SessionContext): Step {
  const handler = transitions[session.phase][signal.kind] as Handler<SignalKind>;
  return handler(session, signal, context);
}
