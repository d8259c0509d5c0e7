/**
 * Why: the honest producers of the fairness bench, whom a flood must not hurt.
 * Enforces: each offers its share at its rate whether the gate keeps up or not, in frames of what has come since the last; every receipt is timed. A linger that
 *   the gate tells holds for frames that are begun from then on, as in the SDK, and each keeps its own phase: 200 hosts do not seal as one because this
 *   process, which plays them all, was not scheduled for a moment.
 * Forbids: slowing down when the gate does: a producer's events do not wait for their turn to happen.
 */
import { seededRandom } from "ransomeye-kernel";
import { eventPool } from "../load/line_pool.ts";
import { LoadSession } from "../load/load_session.ts";
import { settle } from "../load/settle.ts";
import { fromWire, type WireIdentity } from "../load/wire_identity.ts";
import { serveQuestions, sharedClockUs } from "../load/worker.ts";

export type HonestQuestion =
  | {
      readonly ask: "begin";
      readonly identities: readonly WireIdentity[];
      readonly gateway: { readonly host: string; readonly port: number };
      readonly eventsPerSecond: number;
    }
  | { readonly ask: "measure"; readonly seconds: number }
  | { readonly ask: "finish" };

/** What was seen in one window. */
export interface HonestAnswer {
  readonly seconds: number;
  /** Events with a receipt, by producer. */
  readonly eventsOf: readonly number[];
  readonly receiptMs: readonly number[];
  readonly ended: readonly string[];
}

const tickMs = 5;
const frameMsMin = 200;
/** Keeps a frame within its bytes, however long the gate asked to gather. */
const frameEventsMax = 400;
const finishMsMax = 60_000;
const random = seededRandom("honest");
const pool = eventPool(2, 4_000, random);

const sessions: LoadSession[] = [];
/** By producer: when its last frame was sealed, when its open one is due, and the part of an event that it was short of. */
const sealedUs: number[] = [];
const dueUs: number[] = [];
const owed: number[] = [];
const ended: string[] = [];
let timer: NodeJS.Timeout | undefined;
let measured: { eventsOf: number[]; receiptMs: number[] } | undefined;

async function begin({ identities, gateway, eventsPerSecond }: Extract<HonestQuestion, { ask: "begin" }>): Promise<void> {
  for (const [n, identity] of identities.entries()) {
    const session = new LoadSession(fromWire(identity), gateway, {
      receipted({ events, sealedUs: from, receiptUs }) {
        if (measured === undefined) return;
        measured.eventsOf[n] = (measured.eventsOf[n] ?? 0) + events;
        measured.receiptMs.push((receiptUs - from) / 1_000);
      },
      ended: (reason) => void ended.push(reason),
    });
    if (!(await session.open())) throw new Error(`a session did not open: ${ended.join("; ")}`);
    sessions.push(session);
    const nowUs = sharedClockUs();
    sealedUs.push(nowUs);
    dueUs.push(nowUs + random.float() * frameMsMin * 1000);
    owed.push(0);
  }
  const perSession = eventsPerSecond / sessions.length;
  timer = setInterval(() => sealDue(perSession), tickMs);
}

function sealDue(perSession: number): void {
  const nowUs = sharedClockUs();
  for (const [n, session] of sessions.entries()) {
    const lateUs = nowUs - (dueUs[n] ?? nowUs);
    if (lateUs < 0) continue;
    const events = perSession * ((nowUs - (sealedUs[n] ?? nowUs)) / 1e6) + (owed[n] ?? 0);
    const intervalUs = Math.max(frameMsMin, session.lingerMs) * 1000;
    owed[n] = events % 1;
    sealedUs[n] = nowUs;
    dueUs[n] = nowUs + intervalUs - (lateUs % intervalUs);
    for (let left = Math.floor(events); left > 0; left -= frameEventsMax) session.seal(pool, Math.min(left, frameEventsMax));
  }
}

async function measure(seconds: number): Promise<HonestAnswer> {
  const into = { eventsOf: sessions.map(() => 0), receiptMs: [] as number[] };
  const startedUs = sharedClockUs();
  measured = into;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  measured = undefined;
  return { seconds: (sharedClockUs() - startedUs) / 1e6, ...into, ended };
}

serveQuestions(
  async (question: HonestQuestion) => {
    switch (question.ask) {
      case "begin":
        return await begin(question);
      case "measure":
        return await measure(question.seconds);
      case "finish":
        clearInterval(timer);
        return await settle(sessions, finishMsMax);
    }
  },
  async () => {
    for (const session of sessions) session.close();
  },
);
