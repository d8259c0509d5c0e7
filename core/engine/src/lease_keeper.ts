// Why: partitions are owned for a time only, and somebody must watch that time.
// Enforces: renewal at a third of the lease, a deadline at two thirds; what the bus does not confirm is let go.
// Forbids: believing a lease: it spares work and no more, the fence in the row transaction decides.

import { type Clock, type Telemetry, sleep } from "ransomeye-kernel";
import type { Groups, Lease } from "ransomeye-pipeline";
import { type Assignment, newAssignment } from "./assignment.ts";
import { busUnreadable, leaseLost, lagEntries, leaseTaken, partitionsOwned, partitionsStopped } from "./events.ts";
import { workDeadlineMs } from "./pace.ts";
import { offsetOf } from "./sink_store.ts";
import { type TailWatch, codeOf } from "./tail_watch.ts";
import type { Writer } from "./writer.ts";

/** An engine that could own more asks at least this often, so that a dead one's partitions rest no longer than its lease. */
const acquireMsMax = 1000;

export interface LeaseKeeperOptions {
  readonly groups: Groups;
  readonly group: string;
  readonly member: string;
  readonly leaseMs: number;
  readonly partitions: number;
  readonly writers: readonly Writer[];
  readonly tails: TailWatch;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  /** Settles after the first turn in which the bus has answered; never rejects. */
  readonly answered: Promise<void>;
  #answer: () => void = () => undefined;
  #renewAtMs = 0;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.answered = new Promise((resolve) => {
      this.#answer = resolve;
    });
  }

  /** Keeps leases until `signal` aborts. They stay ours then, until `release`. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, leaseMs, telemetry } = this.#options;
    const turnMs = Math.min(acquireMsMax, leaseMs / 3);
    while (!signal.aborted) {
      try {
        await this.turn();
        this.#answer();
      } catch (error) {
        telemetry.emit(busUnreadable, { code: codeOf(error), reason: error instanceof Error ? error.message : String(error) });
      }
      await sleep(clock, turnMs, signal).catch(() => undefined);
    }
  }

  /** Renews what is due and takes what is free. */
  async turn(): Promise<void> {
    const { clock, groups, group, member, leaseMs, partitions, telemetry } = this.#options;
    const askedMs = clock.monotonicMs();
    if (askedMs >= this.#renewAtMs) {
      await this.#renew(askedMs);
      this.#renewAtMs = askedMs + leaseMs / 3;
    }
    if (this.#assignments().length < partitions) {
      const takenMs = clock.monotonicMs();
      const held = this.#assignments().map((assignment) => assignment.lease);
      for (const lease of await groups.acquire(group, member, { leaseMs, partsMax: partitions, held }))
        this.#take(lease, workDeadlineMs(takenMs, leaseMs));
    }
    const owned = this.#assignments();
    telemetry.set(lagEntries, this.lag());
    telemetry.set(partitionsOwned, owned.length);
    telemetry.set(partitionsStopped, owned.filter((assignment) => assignment.stopped).length);
  }

  /** Frames on the bus without rows, in the partitions that are ours, as of the last look. */
  lag(): number {
    let entries = 0;
    for (const { lease, stored } of this.#assignments()) entries += Math.max(0, this.#options.tails.tail(lease.part) - offsetOf(stored));
    return entries;
  }

  /** Gives all leases back, so that the next owner need not wait for their end. */
  async release(): Promise<void> {
    const leases = this.#assignments().map((assignment) => assignment.lease);
    for (const { part } of leases) this.#writerOf(part).drop(part);
    if (leases.length > 0) await this.#options.groups.release(leases);
  }

  async #renew(askedMs: number): Promise<void> {
    const { groups, leaseMs, telemetry } = this.#options;
    const held = this.#assignments();
    if (held.length === 0) return;
    const kept = new Map<number, Lease>();
    for (const lease of await groups.renew(
      held.map((assignment) => assignment.lease),
      leaseMs,
    ))
      kept.set(lease.part, lease);
    for (const assignment of held) {
      const { part, token } = assignment.lease;
      if (kept.get(part)?.token === token) {
        assignment.deadlineMs = workDeadlineMs(askedMs, leaseMs);
      } else if (this.#writerOf(part).assignments.includes(assignment)) {
        this.#writerOf(part).drop(part);
        telemetry.emit(leaseLost, { part, reason: "not_renewed" });
      }
    }
  }

  #take(lease: Lease, deadlineMs: number): void {
    this.#writerOf(lease.part).assign(newAssignment(lease, deadlineMs));
    this.#options.telemetry.emit(leaseTaken, { part: lease.part, token: lease.token, off: lease.position?.off ?? 0 });
  }

  #assignments(): Assignment[] {
    return this.#options.writers.flatMap((writer) => writer.assignments);
  }

  #writerOf(part: number): Writer {
    const { writers } = this.#options;
    return writers[part % writers.length] as Writer;
  }
}
