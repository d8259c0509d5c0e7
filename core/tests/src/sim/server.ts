/**
 * Why: bus and sink live in one PostgreSQL; this is its model: requests travel, are carried out in one instant or not at all, and answers may get lost.
 * Enforces: what was carried out survives every crash (commits are durable); a server that is down carries out nothing.
 * Forbids: an answer before the work is done.
 */
import type { Random } from "ransomeye-kernel";
import { type FrameLog, BusError, type Groups, type MemoryBus, type Position, openMemoryBus } from "ransomeye-pipeline";
import { SimDatabase } from "./database.ts";
import { SimGroups } from "./groups.ts";
import type { Oracle } from "./oracle.ts";
import { type Life, type Scheduler, between, chance } from "./scheduler.ts";

/** What the network and the server do to requests; probabilities of a fault for each. */
export interface ServerFaults {
  refused: number;
  answerLost: number;
  delayMsMax: number;
}

export class SimServer {
  readonly bus: MemoryBus;
  readonly groups: SimGroups;
  readonly database: SimDatabase;
  readonly faults: ServerFaults = { refused: 0, answerLost: 0, delayMsMax: 5 };
  readonly #scheduler: Scheduler;
  readonly #oracle: Oracle;
  readonly #awayUntilMs = new Map<string, number>();
  #downUntilMs = 0;
  #incarnation = 0;
  readonly #tails: number[];

  constructor(scheduler: Scheduler, partitions: number, oracle: Oracle) {
    this.#scheduler = scheduler;
    this.#oracle = oracle;
    const clock = { nowUs: () => scheduler.nowUs, monotonicMs: () => scheduler.nowMs, setTimer: () => ({ cancel: () => undefined }) };
    this.bus = openMemoryBus({ clock, partitions, epochOpeningsPerDayMax: 64 });
    this.groups = new SimGroups(partitions, () => scheduler.nowMs);
    this.#tails = Array.from({ length: partitions }, () => 0);
    this.database = new SimDatabase(this.groups, this.bus);
  }

  get isDown(): boolean {
    return this.#scheduler.nowMs < this.#downUntilMs;
  }

  /** kill -9 of the server, and its recovery. What was committed stays; what was under way is undone. */
  crash(downMs: number): void {
    this.#incarnation += 1;
    this.#downUntilMs = this.#scheduler.nowMs + downMs;
  }

  /** The network between the server and this process is gone; what was under way arrives. */
  partition(who: string, ms: number): void {
    this.#awayUntilMs.set(who, this.#scheduler.nowMs + ms);
  }

  /** An operator sets a partition back to a place that was read before. */
  async rewind(random: Random): Promise<void> {
    const part = between(random, 0, this.bus.partitions - 1);
    const stored = this.groups.rows[part]?.position ?? null;
    let position: Position | null = null;
    const back = between(random, 0, stored?.off ?? 0);
    if (back > 0)
      position = (await this.bus.read(part, null, { framesMax: back, bytesMax: Number.MAX_SAFE_INTEGER })).at(-1)?.position ?? null;
    this.groups.rewind(part, position);
  }

  /** True if the engine's group has stored every entry. */
  isDrained(): boolean {
    return this.groups.rows.every((row, part) => (row.position?.off ?? 0) === this.#tails[part]);
  }

  describe(): unknown {
    return this.groups.rows.map((row, part) => ({ off: row.position?.off ?? 0, tail: this.#tails[part], owner: row.owner }));
  }

  /**
   * A request of a process. It may arrive after the process has died. `work` is one transaction: it is carried out in one step. Whoever asked
   * hears the result, or an error that says that nothing was done (BUS_UNAVAILABLE), or one that says that nobody knows (BUS_OUTCOME_UNKNOWN).
   */
  call<T>(life: Life, label: string, work: () => Promise<T> | T, who = ""): Promise<T> {
    const { random } = this.#scheduler;
    const travelMs = (): number => random.float() * this.faults.delayMsMax;
    return new Promise<T>((resolve, reject) => {
      const answer = (delayMs: number, settle: () => void): void => void life.in(delayMs, "", settle);
      const incarnation = this.#incarnation;
      const away = (): boolean => this.#scheduler.nowMs < (this.#awayUntilMs.get(who) ?? 0);
      const unheard = away();
      this.#scheduler.in(travelMs(), "", async () => {
        if (this.isDown || unheard || incarnation !== this.#incarnation || chance(random, this.faults.refused)) {
          answer(travelMs(), () => reject(new BusError("BUS_UNAVAILABLE", "the server is away")));
          return;
        }
        try {
          const result = await work();
          if (label !== "") this.#scheduler.note(label);
          const later = this.#incarnation;
          const lost = chance(random, this.faults.answerLost);
          life.in(travelMs(), "", () => {
            if (lost || away() || later !== this.#incarnation)
              answer(between(random, 1, 50), () => reject(new BusError("BUS_OUTCOME_UNKNOWN", "the connection was lost")));
            else resolve(result);
          });
        } catch (error) {
          answer(travelMs(), () => reject(error));
        }
      });
    });
  }

  /** The bus as a process of this life reaches it. */
  log(life: Life, who: string): FrameLog {
    const { bus } = this;
    const call = <T>(label: string, work: () => Promise<T> | T): Promise<T> => this.call(life, label, work, who);
    return {
      generation: bus.generation,
      partitions: bus.partitions,
      append: (part, frames, options) =>
        call(
          `${who} appended ${frames.length} to ${part}: ${frames.map((frame) => `${frame.link.producer.slice(-2)}:${frame.link.epoch}:${frame.link.firstSeq}+${frame.link.count}`).join(" ")}`,
          async () => {
            const outcomes = await bus.append(part, frames, options);
            for (const outcome of outcomes) if (outcome.kind === "accepted") this.#tails[part] = outcome.position.off;
            this.#oracle.appended(frames, outcomes, options);
            return outcomes;
          },
        ),
      openEpoch: (request) =>
        call(`${who} opens an epoch of ${request.producer.slice(-2)} after ${request.expectedEpoch}`, () => bus.openEpoch(request)),
      headsOf: (producers) => call("", () => bus.headsOf(producers)),
      pressure: (question) => call("", () => bus.pressure(question)),
      report: (report) => call("", () => bus.report(report)),
      tails: () => call("", () => bus.tails()),
      read: (part, after, options) => call("", () => bus.read(part, after, options)),
      checkPosition: (position) => call("", () => bus.checkPosition(position)),
      seek: (part, receivedUs) => call("", () => bus.seek(part, receivedUs)),
      close: () => Promise.resolve(),
    };
  }

  /** The groups as a process of this life reaches them. */
  groupsOf(life: Life): Groups {
    const { groups } = this;
    return {
      acquire: (group, member, options) => this.call(life, "", () => groups.acquire(group, member, options)),
      renew: (leases, leaseMs) => this.call(life, "", () => groups.renew(leases, leaseMs)),
      release: (leases) => this.call(life, "", () => groups.release(leases)),
      commit: (lease, position) => this.call(life, "", () => groups.commit(lease, position)),
      lag: () => this.call(life, "", () => groups.lag()),
    };
  }
}
