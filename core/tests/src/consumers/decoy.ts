/**
 * Why: attacks for consumers have to come the way that all come: signed by a honeypot, through the gateway, out of the engine's transaction.
 * Enforces: attack n has sequence number n and a severity that follows from n, so that a test can say what must come of it.
 * Forbids: publishing to a stream.
 */
import { join } from "node:path";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { loadIdentity, openProducer, type Producer } from "ransomeye-sdk";
import { numberedEvent } from "../crash/numbered_events.ts";
import type { RunningSystem } from "../harness/running_system.ts";

/** OCSF severities in turn: informational, critical, low, high. */
const severities = [1, 5, 2, 4] as const;
const severityHigh = 4;

/** Whether attack n is grave: of priority high or critical. */
export function isGrave(n: number): boolean {
  return severityOf(n) >= severityHigh;
}

/** A honeypot of this system. */
export class Decoy {
  readonly #producer: Producer;
  #sent = 0;

  private constructor(producer: Producer) {
    this.#producer = producer;
  }

  static async open(system: RunningSystem): Promise<Decoy> {
    const out = join(system.dataDir, "identities", "decoy");
    await system.run("producer", "enroll", "decoy", "--kind", "honeypot", "--out", out);
    const producer = await openProducer({
      identity: await loadIdentity(out),
      gateway: { host: "127.0.0.1", port: (await system.runtime()).gateway.port },
      spoolDir: join(system.dataDir, "spool", "decoy"),
      options: {},
      clock: systemClock,
      random: systemRandom,
      telemetry: recordingTelemetry(),
    });
    return new Decoy(producer);
  }

  /** Attacks so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Is attacked `attacks` times more. */
  async isAttacked(attacks: number): Promise<void> {
    const lines = Array.from({ length: attacks }, (_, index) => Buffer.from(eventOf(this.#sent + index + 1)));
    this.#sent += attacks;
    await this.#producer.sendMany(lines, { urgent: true });
  }

  /** Resolves when all of it is rows. */
  async isStored(): Promise<void> {
    await this.#producer.drain("stored");
  }

  async close(): Promise<void> {
    await this.#producer.close();
  }
}

function severityOf(n: number): number {
  return severities[n % severities.length] ?? 0;
}

function eventOf(n: number): string {
  const event = JSON.parse(numberedEvent(n, n, OCSF_VERSION)) as Record<string, unknown>;
  return JSON.stringify({ ...event, severity_id: severityOf(n) });
}
