/**
 * The conversation with a producer as a picture and a table, drawn from the code.
 *
 * Why: a diagram that somebody draws by hand is wrong by the next change (style rule 5).
 * Enforces: every signal is given to a session in every phase, in the variants that matter, and what the state machine does is what the page says;
 *   a signal without a sample does not compile.
 * Forbids: knowing the transitions: they are found out by making them.
 */
import { loadConfig } from "ransomeye-kernel";
import { type AppendOutcome, zeroHash } from "ransomeye-pipeline";
import { gatewaySettings } from "../config/validation.ts";
import { encodeHeader, type FrameFields, nativeMappingVersion, protocolVersions, schemaVersions } from "../protocol/lib.ts";
import type { Trusted } from "../security/trust_enforcement.ts";
import { grant, hold } from "./buffer.ts";
import type { DirectoryEntry } from "./ports.ts";
import { costOf } from "./pre_admission.ts";
import { pressurePage } from "./pressure_diagram.ts";
import { headOfNobody, openSession, step, transitions } from "./session.ts";
import type { Phase, Session, SessionContext, SessionSignal, SignalKind } from "./session_state.ts";

type Samples = { readonly [K in SignalKind]: readonly Extract<SessionSignal, { readonly kind: K }>[] };

const producer = "00000000-0000-4000-8000-000000000001";
const keyId = "00".repeat(8);
const phases = Object.keys(transitions) as readonly Phase[];
const lateMs = 10 * 60_000;
const payload = Buffer.from("{}\n");
const entry: DirectoryEntry = {
  producer,
  kind: "linux",
  status: "active",
  keys: new Map([[keyId, { publicKey: Buffer.alloc(32) }]]),
};
const { gateway, dpi, linux, windows, honeypot } = loadConfig({ env: {}, flags: {} });
const context: SessionContext = {
  nowMs: 0,
  nowUs: 0,
  settings: gatewaySettings("gateway", { ...gateway, kinds: { dpi, linux, windows, honeypot } }),
  // Everything is genuine here: what is drawn is the conversation, not the checks.
  incarnation: producer,
  checks: {
    verify: () => true,
    payloadHash: () => zeroHash,
    validate: () => ({ kind: "lines", lineStarts: Uint32Array.of(0), invalid: [] }),
  },
  entry,
  registryVersion: 1,
  lingerMs: 20,
  pressure: { state: "open", reason: "", retryAfterMs: 0 },
  creditExcusedUntilMs: Number.NEGATIVE_INFINITY,
  receiptPublicKey: Buffer.alloc(32),
  seal: () => Buffer.alloc(64),
};

const fields: FrameFields = {
  producer,
  keyId,
  kind: "events",
  codec: 0,
  schemaVersion: schemaVersions[0] ?? 1,
  mappingVersion: nativeMappingVersion,
  epoch: 1,
  firstSeq: 1,
  count: 1,
  offered: 1,
  prevEpoch: 0,
  prevSeq: 0,
  prevHash: zeroHash,
  payloadHash: zeroHash,
  payloadBytes: payload.length,
};
const frame = { header: encodeHeader(fields), signature: Buffer.alloc(64), payload };
const head = { ...headOfNobody, epoch: 1 };
const hello = {
  ...{ protocolVersions, schemaVersions, epoch: 0, nextSeq: 1, pendingBytes: 0, pendingEvents: 0, oldestPendingUs: 0 },
  ...{ agent: "", clockUs: 0, keyId: Buffer.alloc(8) },
};
const openEpoch = { expectedEpoch: 1, keyId: Buffer.from(keyId, "hex"), signature: Buffer.alloc(64), sessionNonce: zeroHash };

/** A session in this phase; `inFlight` frames of it are not answered. */
function sessionIn(phase: Phase, inFlight: number): Session {
  const opened = openSession(
    1,
    { producer, kind: "linux", trustDomain: "d", fingerprint: "", notAfterUs: lateMs },
    zeroHash,
    undefined,
    context,
  );
  const cost = costOf(fields, frame);
  const granted = grant(opened.account, { bytes: 2 * cost.bytes, events: 2 });
  const account = inFlight === 0 ? granted : (hold(granted, cost) ?? granted);
  const expected = { ...opened.expected, epoch: 1 };
  const opening = { producer, expectedEpoch: 1, keyId, registryVersion: 1 };
  return { ...opened, account, inFlight, phase, expected, ...(phase === "sealing" ? { opening } : {}) };
}

/** A frame that the gate itself has found genuine. */
function trustedFrame(): Trusted {
  const { effects } = step(sessionIn("streaming", 0), { kind: "frame", frame }, context);
  const dispatched = effects.find((effect) => effect.kind === "dispatch");
  if (dispatched === undefined) throw new Error(`the sample frame is not taken: ${JSON.stringify(effects)}`);
  return dispatched.frame;
}

function samples(): Samples {
  const trusted = trustedFrame();
  const position = { generation: "", part: 0, off: 1, hash: zeroHash, receivedUs: 0 };
  const answers: readonly AppendOutcome[] = [
    { kind: "accepted", position, receivedUs: 0, head },
    { kind: "duplicate", head, acceptedBy: null },
    { kind: "gap", head },
    { kind: "fenced", head },
    { kind: "equivocation", head },
    { kind: "revoked" },
  ];
  return {
    hello: [
      { kind: "hello", hello },
      { kind: "hello", hello: { ...hello, protocolVersions: [] } },
    ],
    frame: [
      { kind: "frame", frame },
      { kind: "frame", frame: { ...frame, header: Buffer.alloc(0) } },
    ],
    demand: [{ kind: "demand", demand: { bytes: 1, events: 1, oldestUs: 0, frameBytes: 0 } }],
    openEpoch: [
      { kind: "openEpoch", request: openEpoch },
      { kind: "openEpoch", request: { ...openEpoch, keyId: Buffer.alloc(8, 1) } },
    ],
    goodbye: [{ kind: "goodbye" }],
    unknown: [{ kind: "unknown" }],
    ponged: [{ kind: "ponged" }],
    lost: [{ kind: "lost" }],
    broken: [{ kind: "broken", code: "INGEST_MESSAGE_MALFORMED" }],
    headRead: [{ kind: "headRead", head }],
    epochAnswered: [
      { kind: "epochAnswered", outcome: { kind: "opened", epoch: 1, prev: { epoch: 0, seq: 0, hash: zeroHash }, part: 0 } },
      { kind: "epochAnswered", outcome: { kind: "conflict", head } },
      { kind: "epochAnswered", outcome: { kind: "limited", retryAfterMs: 1 } },
      { kind: "epochAnswered", outcome: { kind: "revoked" } },
      { kind: "epochAnswered", outcome: { kind: "stale_registry" } },
    ],
    busFailed: [{ kind: "busFailed" }],
    settled: answers.map((outcome) => ({ kind: "settled", results: [{ frame: trusted, lineage: 0, outcome, repeated: false }] })),
    granted: [{ kind: "granted", cost: { bytes: 1, events: 1 } }],
    throttled: [{ kind: "throttled", throttling: { state: "paused", reason: "r", retryAfterMs: 1 } }],
    standing: [{ kind: "standing" }],
    tick: [{ kind: "tick" }],
    replaced: [{ kind: "replaced" }],
    registryStale: [{ kind: "registryStale" }],
    drain: [{ kind: "drain" }],
  };
}

/** What changes the meaning of a signal: frames in flight; time, a ping without an answer, the registry's word, a newer epoch elsewhere. */
function variants(phase: Phase, kind: SignalKind): readonly (readonly [Session, SessionContext])[] {
  // Nothing is in flight before a conversation streams; and an answer of the bus needs a frame that waits for it.
  const flights = phase === "greeting" || phase === "resuming" ? [0] : [0, 1];
  return flights
    .filter((inFlight) => kind !== "settled" || inFlight > 0)
    .flatMap((inFlight) => {
      const session = sessionIn(phase, inFlight);
      return [
        [session, context],
        [session, { ...context, nowMs: lateMs }],
        [
          { ...session, pingedMs: 0 },
          { ...context, nowMs: lateMs },
        ],
        [session, { ...context, entry: { ...entry, status: "suspended" as const } }],
        [{ ...session, fenced: true }, context],
      ] as const;
    });
}

interface Edge {
  readonly from: Phase;
  readonly to: Phase;
  readonly signal: SignalKind;
  readonly code: string;
}

/** Every change of phase that a sample makes. */
function edges(): readonly Edge[] {
  const found = new Map<string, Edge>();
  const all = samples();
  for (const from of phases) {
    for (const kind of Object.keys(all) as SignalKind[]) {
      for (const signal of all[kind]) {
        for (const [session, at] of variants(from, kind)) {
          const { session: after, effects } = step(session, signal, at);
          if (after.phase === from) continue;
          const end = effects.find((effect) => effect.kind === "end");
          const edge = { from, to: after.phase, signal: kind, code: end?.code ?? "" };
          found.set(Object.values(edge).join(), edge);
        }
      }
    }
  }
  return [...found.values()];
}

/** The page. */
function sessionPage(): string {
  const all = edges();
  const words = (from: Phase, to: Phase): string =>
    [...new Set(all.filter((edge) => edge.from === from && edge.to === to).map(({ signal }) => signal))].join(", ");
  const pairs = [...new Set(all.map(({ from, to }) => `${from} ${to}`))].map((pair) => pair.split(" ") as [Phase, Phase]);
  return [
    "# The conversation with a producer",
    "",
    "Generated by `npm run docs` from the state machine in `core/ingestion/src/session.ts`; do not edit. Each signal was given to a session in each phase,",
    "and this is what changed its phase; what is not drawn leaves it where it is.",
    "",
    "```mermaid",
    "stateDiagram-v2",
    "  [*] --> greeting",
    ...pairs.map(([from, to]) => `  ${from} --> ${to}: ${words(from, to)}`),
    "  ended --> [*]",
    "```",
    "",
    "| from | signal | to | Goodbye with |",
    "|---|---|---|---|",
    ...all.map(({ from, signal, to, code }) => `| ${from} | ${signal} | ${to} | ${code === "" ? "" : `\`${code}\``} |`),
    "",
  ].join("\n");
}

/** For `npm run docs`. */
export const referencePages: Readonly<Record<string, () => string>> = {
  "core/docs/reference/pressure_states.md": pressurePage,
  "core/docs/reference/session_states.md": sessionPage,
};
