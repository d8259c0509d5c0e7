/**
 * Why: four that misbehave, each in its own way: one offers far more than its share, one ignores its credit and comes back at once, one never reads, one
 *   sends frames of HTTP/2 without end that carry nothing.
 * Enforces: valid certificates and signatures, so that nothing but backpressure stands against them; every way in which a session ends is counted.
 * Forbids: mercy: whoever is closed out connects again within a moment.
 */
import { constants, setPriority } from "node:os";
import { seededRandom } from "ransomeye-kernel";
import { floods, runFlood } from "ransomeye-tests";
import { eventPool } from "../load/line_pool.ts";
import { LoadSession } from "../load/load_session.ts";
import { fromWire, type WireIdentity } from "../load/wire_identity.ts";
import { serveQuestions, sharedClockUs } from "../load/worker.ts";

export type FloodQuestion =
  | {
      readonly ask: "flood";
      readonly greedy: WireIdentity;
      readonly lawless: WireIdentity;
      readonly deaf: WireIdentity;
      readonly empty: WireIdentity;
      readonly gateway: { readonly host: string; readonly port: number };
      readonly greedyEventsPerSecond: number;
    }
  | { readonly ask: "rest" };

/** What the flooders did until they were told to rest. */
export interface FloodAnswer {
  /** How long they flooded. */
  readonly seconds: number;
  /** Events of the greedy one: offered, and with a receipt. */
  readonly offered: number;
  readonly receipted: number;
  /** Ends of all sessions, by code or by reason where the gateway said none. */
  readonly ends: Readonly<Record<string, number>>;
  /** Connections that flooded with frames that carry nothing, until the gateway ended them. */
  readonly transportFloods: number;
}

// An attacker brings his own cores; ours are shared, so his work waits for everybody else's.
setPriority(constants.priority.PRIORITY_LOW);

const tickMs = 10;
const reconnectMs = 50;
const greedyBacklogMax = 200_000;
const pool = eventPool(3, 8_000, seededRandom("flood"));

let active = false;
const goesOn = (): boolean => active;
let sinceUs = 0;
let offered = 0;
let receipted = 0;
let ends: Record<string, number> = {};
let transportFloods = 0;
let stop = new AbortController();
const open = new Set<LoadSession>();

function ended(reason: string): void {
  const code = /INGEST_\w+/.exec(reason)?.[0] ?? "without a word";
  ends[code] = (ends[code] ?? 0) + 1;
}

/** Keeps one misbehaving producer connected and at work while the flood goes on. */
async function keep(
  identity: WireIdentity,
  question: Extract<FloodQuestion, { ask: "flood" }>,
  work: (session: LoadSession) => void,
): Promise<void> {
  while (goesOn()) {
    await new Promise<void>((resolve) => {
      const over = (reason: string): void => {
        clearInterval(timer);
        open.delete(session);
        if (active) ended(reason);
        resolve();
      };
      const manners = { ignoresCredit: identity === question.lawless };
      const session = new LoadSession(
        fromWire(identity),
        question.gateway,
        { receipted: (frame) => note(identity, question, frame.events), ended: over },
        manners,
      );
      open.add(session);
      const timer = setInterval(() => {
        if (active) return work(session);
        clearInterval(timer);
        session.close();
        open.delete(session);
        resolve();
      }, tickMs);
      void session.open();
    });
    await new Promise((resolve) => setTimeout(resolve, reconnectMs));
  }
}

function note(identity: WireIdentity, question: Extract<FloodQuestion, { ask: "flood" }>, events: number): void {
  if (identity === question.greedy) receipted += events;
}

/** One kind of empty frames after the other, each until the gateway ends the connection. */
async function sendNothing({ empty, gateway }: Extract<FloodQuestion, { ask: "flood" }>, { signal }: AbortController): Promise<void> {
  const target = { port: gateway.port, ca: empty.caPem, certificate: { cert: empty.tlsCertPem, key: empty.tlsKeyPem } };
  for (let n = 0; !signal.aborted; n += 1) {
    const kind = floods[n % floods.length];
    if (kind === undefined) return;
    await runFlood(kind, target, signal).then(
      () => (transportFloods += 1),
      // In quarantine, or the connection was not let in: the next attempt comes at once.
      () => undefined,
    );
    await new Promise((resolve) => setTimeout(resolve, reconnectMs));
  }
}

function flood(question: Extract<FloodQuestion, { ask: "flood" }>): void {
  active = true;
  sinceUs = sharedClockUs();
  offered = 0;
  receipted = 0;
  ends = {};
  transportFloods = 0;
  stop = new AbortController();
  void sendNothing(question, stop);
  const perTick = Math.ceil((question.greedyEventsPerSecond * tickMs) / 1000);
  void keep(question.greedy, question, (session) => {
    if (session.waitingEvents > greedyBacklogMax) return;
    session.seal(pool, perTick);
    offered += perTick;
  });
  void keep(question.lawless, question, (session) => session.seal(pool, 600));
  void keep(question.deaf, question, (session) => {
    session.stopReading();
    session.seal(pool, 1);
  });
}

async function rest(): Promise<FloodAnswer> {
  active = false;
  const seconds = (sharedClockUs() - sinceUs) / 1e6;
  stop.abort();
  for (const session of open) session.close();
  open.clear();
  await new Promise((resolve) => setTimeout(resolve, 10 * tickMs));
  return { seconds, offered, receipted, ends, transportFloods };
}

serveQuestions(
  async (question: FloodQuestion) => (question.ask === "flood" ? flood(question) : await rest()),
  async () => void (await rest()),
);
