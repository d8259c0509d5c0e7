/**
 * Why: on either side of the log's servers a process dies or stands still: who appends, who makes rows, who mirrors and trims.
 * Enforces: it is struck in the middle of its work and not between two pieces of it: the engine in a transaction, the gateway between send and answer.
 * Forbids: help for the recovery; the supervisor starts again what was killed.
 */
import type { Client } from "ransomeye-db";
import { type Random, sleep, systemClock } from "ransomeye-kernel";
import { servingGateway } from "../crash/serving_gateway.ts";
import type { RunningSystem } from "../harness/running_system.ts";
import { theOne } from "./server_faults.ts";
import type { Stage } from "./stage.ts";
import { unreadBytes } from "./unread_bytes.ts";

/** An engine that works all the time is in a transaction nearly always; one that waits for events is not, and then it is struck all the same. */
const catchTriesMax = 100;
const catchPauseMsMax = 10;
const pollMs = 20;
/** The shortest lease; PostgreSQL is to end what a stopped engine has left open within one. A COPY that waits for its client it does not end at all. */
export const leaseMsMin = 1000;
const abandonedMsMax = 3 * leaseMsMin;
const pastLeaseMsMax = 1500;
/** An append of events is larger than this, and what gateways ask otherwise is smaller. */
const appendBytesMin = 1000;
/** How long a server stands still before a gateway dies that waits for an answer: until something was sent, at most so long, and a little more. */
const sendMsMax = 3000;
const unansweredMsMax = 50;

/** SIGKILL of the engine in its transaction. */
export async function engineKill({ system }: Stage, random: Random): Promise<string> {
  await using administrator = await administratorOf(system);
  const caught = await stopEngine(system, administrator.client, random);
  await system.kill("engine");
  return `engine ${caught ? "in a transaction" : "between transactions"}`;
}

/** SIGSTOP of the engine in its transaction, past its lease, and until PostgreSQL has ended that transaction if it does. */
export async function engineStop({ system }: Stage, random: Random): Promise<string> {
  await using administrator = await administratorOf(system);
  const { client } = administrator;
  const fromMs = systemClock.monotonicMs();
  const stoodMs = (): number => Math.round(systemClock.monotonicMs() - fromMs);
  const caught = await stopEngine(system, client, random);
  try {
    let open = caught;
    while (open && stoodMs() < abandonedMsMax) {
      await sleep(systemClock, pollMs);
      open = (await openTransactions(client)) > 0;
    }
    const ended = open ? `NOT ended after ${stoodMs()} ms` : `ended after ${stoodMs()} ms`;
    await sleep(systemClock, leaseMsMin + random.float() * pastLeaseMsMax);
    return `engine stood still for ${stoodMs()} ms, ${caught ? `its transaction ${ended}` : "between transactions"}`;
  } finally {
    await system.signal("engine", "SIGCONT");
  }
}

/** SIGKILL of a gateway that has sent appends to a server that has not answered yet, and will carry them out when it is gone. */
export async function gatewayKill({ system, servers }: Stage, random: Random): Promise<string> {
  const server = theOne(servers);
  const name = await servingGateway(system, random);
  const pid = (await system.runtime()).children.find((child) => child.name === name)?.pid ?? 0;
  const untilMs = systemClock.monotonicMs() + sendMsMax;
  let unread: number | undefined;
  server.stop();
  try {
    do {
      await sleep(systemClock, random.float() * unansweredMsMax);
      unread = await unreadBytes(pid, server.port);
    } while (unread !== undefined && unread < appendBytesMin && systemClock.monotonicMs() < untilMs);
    await system.kill("gateway", name);
  } finally {
    server.go();
  }
  return `${name} killed with ${unread ?? "unknown"} bytes sent and not answered`;
}

/** SIGKILL of the keeper, wherever it is. */
export async function keeperKill({ system }: Stage): Promise<string> {
  await system.kill("keeper");
  return "keeper killed";
}

/** Stops the engine, in a transaction that has written if there is one to be had. Says whether. */
async function stopEngine(system: RunningSystem, client: Client, random: Random): Promise<boolean> {
  for (let left = catchTriesMax; left > 0; left -= 1) {
    await system.signal("engine", "SIGSTOP");
    if ((await openTransactions(client)) > 0) return true;
    if (left === 1) break;
    await system.signal("engine", "SIGCONT");
    await sleep(systemClock, random.float() * catchPauseMsMax);
  }
  return false;
}

/** Transactions of the engine that have written something. */
async function openTransactions(client: Client): Promise<number> {
  const sql =
    "SELECT count(*)::int AS open FROM pg_stat_activity WHERE usename = 'ransomeye_engine' AND backend_xid IS NOT NULL AND state <> 'idle'";
  return (await client.query<{ open: number }>(sql)).rows[0]?.open ?? 0;
}

async function administratorOf(system: RunningSystem): Promise<AsyncDisposable & { readonly client: Client }> {
  const client = await system.administrator();
  return { client, [Symbol.asyncDispose]: () => client.end() };
}
