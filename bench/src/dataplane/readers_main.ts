/**
 * Why: a console, scripts and analysts read while rows come in; sixty-four sessions. A console asks the ledger and the groups' places once for all who look at it; the others
 * look for events.
 * Enforces: reads through views alone, as the reader's role; each is timed by its client, from the question to the last row.
 * Forbids: a pause that hides a slow answer: it begins when the answer is there.
 */
import { type Client, type Connection, instantSql, openClient } from "ransomeye-db";
import { seededRandom } from "ransomeye-kernel";
import { serveQuestions, sharedClockUs } from "../load/worker.ts";

export type ReadersQuestion =
  | { readonly ask: "open"; readonly connection: Connection; readonly sessions: number; readonly pauseMs: number }
  /** What was read since the last such question. */
  | { readonly ask: "told" };

/** Milliseconds of every read, by what was asked. */
export type ReadersAnswer = Readonly<Record<string, readonly number[]>>;

interface Known {
  readonly producer_id: string;
  readonly epoch: number;
  readonly seq: number;
  readonly received_at: number;
}

const random = seededRandom("readers");
const rangeRows = 200;
const newestUs = 1_000_000;
let readMs: Record<string, number[]> = {};
let known: readonly Known[] = [];
let ended = false;
const goesOn = (): boolean => !ended;
let sessions: Promise<void>[] = [];

type Read = readonly [name: string, read: (client: Client) => Promise<unknown>];

const ofEvents: readonly Read[] = [
  [
    "an event by its id",
    async (client) => {
      const one = known[random.uint32() % known.length] as Known;
      const { rows } = await client.query("SELECT id, host, message FROM views.event($1, $2, $3)", [one.producer_id, one.epoch, one.seq]);
      if (rows.length !== 1) throw new Error("an event that was stored is not found");
    },
  ],
  [
    `${rangeRows} events of a moment`,
    (client) => {
      const from = (known[random.uint32() % known.length] as Known).received_at;
      return rangeOf(client, from, from + newestUs);
    },
  ],
  [`${rangeRows} events of the last second`, (client) => rangeOf(client, Date.now() * 1000 - newestUs, Date.now() * 1000)],
];

const ofTheConsole: readonly Read[] = [
  ["the ledger", (client) => client.query("SELECT * FROM views.ledger_live")],
  ["how far the groups are", (client) => client.query("SELECT * FROM views.consumer_lag")],
];

function rangeOf(client: Client, fromUs: number, toUs: number): Promise<unknown> {
  return client.query(
    `SELECT id, host, message FROM views.events WHERE received_at BETWEEN ${instantSql("$1")} AND ${instantSql("$2")} LIMIT ${rangeRows}`,
    [fromUs, toUs],
  );
}

async function open({ connection, sessions: count, pauseMs }: Extract<ReadersQuestion, { ask: "open" }>): Promise<void> {
  const clients = await Promise.all(Array.from({ length: count }, () => openClient(connection, "bench reader")));
  const { rows } = await (clients[0] as Client).query<Known>(
    "SELECT producer_id, epoch, seq, received_at FROM views.events WHERE seq % 97 = 0 LIMIT 2000",
  );
  if (rows.length === 0) throw new Error("nothing has been stored to be read");
  known = rows;
  sessions = clients.map(async (client, n) => {
    await new Promise((resolve) => setTimeout(resolve, (pauseMs * n) / count));
    for (let turn = n; goesOn(); turn += 1) {
      const reads = n === 0 ? ofTheConsole : ofEvents;
      const [name, read] = reads[turn % reads.length] as Read;
      const fromUs = sharedClockUs();
      await read(client);
      (readMs[name] ??= []).push((sharedClockUs() - fromUs) / 1000);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    await client.end();
  });
}

async function answer(question: ReadersQuestion): Promise<ReadersAnswer> {
  if (question.ask === "open") await open(question);
  // A session that has failed says so here.
  await Promise.race([Promise.all(sessions), Promise.resolve()]);
  const told = readMs;
  readMs = {};
  return told;
}

serveQuestions(answer, async () => {
  ended = true;
  await Promise.all(sessions);
});
