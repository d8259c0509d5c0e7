/**
 * Why it exists: replication, failover and gossip happen when they happen, and a test that waits for them must end whatever comes.
 * Enforces: one bound for all waits; an error that says what was waited for and what the servers logged last.
 * Forbids: a fixed pause in the place of a question.
 */
import { sleep, systemClock } from "ransomeye-kernel";

/** Nothing here takes this long on a machine that works. */
export const waitMsMax = 30_000;
const pauseMsMax = 50;
const tailLinesMax = 15;

/** Who can say what went wrong. */
export interface Logging {
  readonly port: number;
  log(): Promise<string>;
}

/**
 * Asks until there is an answer, and gives it. False, undefined and a thrown error are all "not yet": a server that starts, loads or has
 * just died answers in many ways.
 */
export async function until<T>(what: string, servers: readonly Logging[], ask: () => Promise<T | false | undefined>): Promise<T> {
  const end = systemClock.monotonicMs() + waitMsMax;
  let cause: unknown;
  for (let pauseMs = 2; ; pauseMs = Math.min(pauseMsMax, pauseMs * 2)) {
    try {
      cause = undefined;
      const answer = await ask();
      if (answer !== false && answer !== undefined) return answer;
    } catch (error) {
      cause = error;
    }
    if (systemClock.monotonicMs() >= end) break;
    await sleep(systemClock, pauseMs);
  }
  const said = await Promise.all(servers.map(async (server) => `--- ${server.port}\n${tailOf(await server.log())}`));
  throw new Error([`waited ${waitMsMax / 1000} s in vain for ${what}`, ...said].join("\n"), { cause });
}

/** The end of a log. */
export function tailOf(log: string): string {
  return log.trimEnd().split("\n").slice(-tailLinesMax).join("\n");
}
