/**
 * Why: a caller is told that its lines are lost only when their declaration is on disk, and a flood of such calls must not become a flood of writes.
 * Enforces: one write of the state at a time, for all declarations that grew since the last; each call is answered by the write that holds it; the cursor of lost
 *   lines moves with the declaration that counts them; age is looked at now and then.
 * Forbids: deciding what is lost: the heart does.
 */
import type { Timer } from "ransomeye-kernel";
import type { Call } from "./calls.ts";
import type { SdkError } from "./codes.ts";
import { eventsLost, lossDeclared } from "./events.ts";
import type { Effect, Signal } from "./machine_types.ts";
import type { RunnerContext } from "./runner_types.ts";
import type { StateKeeper } from "./state_keeper.ts";

/** The heart, as far as losses go. */
export interface LossHeart {
  /** The version of the losses that the state holds now. */
  readonly lossVersion: () => number;
  readonly signal: (signal: Signal) => void;
}

interface LostCall {
  readonly call: Call;
  /** Undefined while the heart waits for what stands before it to be on disk. */
  version: number | undefined;
}

/** Writes the losses of one producer. */
export class LossWriter {
  readonly #context: RunnerContext;
  readonly #keeper: StateKeeper;
  readonly #heart: LossHeart;
  #calls: LostCall[] = [];
  #cursor: string | undefined;
  #wanted = false;
  #writing: Promise<void> | undefined;
  #look: Timer | undefined;

  constructor(context: RunnerContext, keeper: StateKeeper, heart: LossHeart) {
    this.#context = context;
    this.#keeper = keeper;
    this.#heart = heart;
    this.#watchAge();
  }

  /** The lines of this call found no room. */
  lost(call: Call, cursor: string | undefined): void {
    this.#calls.push({ call, version: undefined });
    if (cursor !== undefined) this.#cursor = cursor;
    this.#heart.signal({ kind: "lost", count: call.lines });
  }

  /** A declaration was begun, or grew. */
  declare({ index, reason, count, fresh }: Extract<Effect, { kind: "declare" }>): void {
    const { identity, telemetry } = this.#context;
    const { producer } = identity;
    if (fresh) telemetry.emit(lossDeclared, { producer, reason });
    telemetry.emit(eventsLost, { producer, reason, events: count });
    if (reason === "spool_full") {
      for (const one of this.#calls) one.version ??= this.#heart.lossVersion();
      if (this.#cursor !== undefined) this.#keeper.cursorDeclared({ index, cursor: this.#cursor });
      this.#cursor = undefined;
    }
    this.#wanted = true;
    this.#writing ??= this.#write();
  }

  /** Waits until everything that is lost is declared on disk. */
  async finish(): Promise<void> {
    this.#look?.cancel();
    await this.#writing;
  }

  /** Nobody will declare anything any more. */
  fail(error: SdkError): void {
    this.#look?.cancel();
    for (const { call } of this.#calls.splice(0)) call.fail(error);
  }

  async #write(): Promise<void> {
    const { lossVersion, signal } = this.#heart;
    try {
      while (this.#wanted) {
        this.#wanted = false;
        let written = 0;
        await this.#keeper.save(() => {
          written = lossVersion();
        });
        const answered = this.#calls.filter((one) => one.version !== undefined && one.version <= written);
        this.#calls = this.#calls.filter((one) => one.version === undefined || one.version > written);
        for (const { call } of answered) call.markLost();
        signal({ kind: "declared", version: written });
      }
    } catch {
      // The keeper has told it: the producer stops, and `fail` answers the calls.
    } finally {
      this.#writing = undefined;
    }
  }

  #watchAge(): void {
    const { clock, options } = this.#context;
    const { spoolAgeMsMax } = options;
    if (spoolAgeMsMax === 0) return;
    this.#look = clock.setTimer(Math.min(lookMsMax, Math.max(lookMsMin, spoolAgeMsMax / 8)), () => {
      this.#heart.signal({ kind: "tick" });
      this.#watchAge();
    });
  }
}

const lookMsMin = 50;
const lookMsMax = 60_000;
