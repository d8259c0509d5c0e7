/**
 * Why: a share of fifty thousand producers, in a process of its own with a source address of its own: one address has 28,000 ports, one process 20,000 files.
 * Enforces: a real connection, session and epoch for each; small frames now and then, at moments spread over the interval.
 * Forbids: reconnecting: who was lost is counted as lost.
 */
import { seededRandom } from "ransomeye-kernel";
import { eventPool } from "../load/line_pool.ts";
import { LoadSession } from "../load/load_session.ts";
import { settle } from "../load/settle.ts";
import { fromWire, type WireIdentity } from "../load/wire_identity.ts";
import { serveQuestions, sharedClockUs } from "../load/worker.ts";

export type CrowdQuestion =
  | {
      readonly ask: "open";
      readonly identities: readonly WireIdentity[];
      readonly gateway: { readonly host: string; readonly port: number };
      readonly from: string;
    }
  | { readonly ask: "begin"; readonly intervalSeconds: number }
  | { readonly ask: "measure"; readonly seconds: number }
  | { readonly ask: "finish" };

/** What was seen in the measured time. */
export interface CrowdAnswer {
  readonly connected: number;
  readonly frames: number;
  readonly receiptMs: readonly number[];
  readonly ended: Readonly<Record<string, number>>;
}

const openAtOnce = 48;
const openMsMax = 30_000;
const tickMs = 20;
const finishMsMax = 120_000;
const random = seededRandom("crowd");
const pool = eventPool(4, 500, random);

const sessions: LoadSession[] = [];
const dueUs: number[] = [];
const ended: Record<string, number> = {};
let lost = 0;
let receiptMs: number[] | undefined;
let timer: NodeJS.Timeout | undefined;

async function open({ identities, gateway, from }: Extract<CrowdQuestion, { ask: "open" }>): Promise<number> {
  const waiting = [...identities];
  const openOne = async (): Promise<void> => {
    for (let identity = waiting.pop(); identity !== undefined; identity = waiting.pop()) {
      const over = (reason: string): void => {
        const what = /INGEST_\w+/.exec(reason)?.[0] ?? reason;
        ended[what] = (ended[what] ?? 0) + 1;
        lost += 1;
      };
      const handlers = { receipted: note, ended: over };
      const session = new LoadSession(fromWire(identity), gateway, handlers, { from });
      const opened = await Promise.race([session.open(), after(openMsMax)]);
      if (opened === true) sessions.push(session);
      else if (opened === undefined) {
        session.close();
        over("no session in time");
      }
    }
  };
  await Promise.all(Array.from({ length: openAtOnce }, openOne));
  return sessions.length;
}

function note({ sealedUs, receiptUs }: { readonly sealedUs: number; readonly receiptUs: number }): void {
  receiptMs?.push((receiptUs - sealedUs) / 1_000);
}

function begin(intervalSeconds: number): void {
  const intervalUs = intervalSeconds * 1e6;
  const nowUs = sharedClockUs();
  for (const n of sessions.keys()) dueUs[n] = nowUs + random.float() * intervalUs;
  // Producers by the moment at which they are due: looking at all of them every time would cost more than sending.
  const order = [...sessions.keys()].sort((a, b) => (dueUs[a] ?? 0) - (dueUs[b] ?? 0));
  let next = 0;
  timer = setInterval(() => {
    const now = sharedClockUs();
    for (let n = order[next % order.length]; n !== undefined && (dueUs[n] ?? now) <= now; n = order[next % order.length]) {
      sessions[n]?.seal(pool, 1 + (n % 3));
      dueUs[n] = (dueUs[n] ?? now) + intervalUs;
      next += 1;
    }
  }, tickMs);
}

async function measure(seconds: number): Promise<CrowdAnswer> {
  const seen: number[] = [];
  receiptMs = seen;
  await after(seconds * 1_000);
  receiptMs = undefined;
  return { connected: sessions.length - lost, frames: seen.length, receiptMs: seen, ended };
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

serveQuestions(
  async (question: CrowdQuestion) => {
    switch (question.ask) {
      case "open":
        return await open(question);
      case "begin":
        return begin(question.intervalSeconds);
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
