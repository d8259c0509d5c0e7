/**
 * Why: what a gate does with frames that its bus has not answered shows only on a bus that does not answer.
 * Enforces: the bus in memory, whose appends wait for as long as a test says, and happen then; every other question is answered at once.
 * Forbids: use outside tests.
 */
import { systemClock } from "ransomeye-kernel";
import { type AppendOptions, type AppendOutcome, type FrameAppend, type MemoryBus, openMemoryBus } from "ransomeye-pipeline";

export class SilentBus {
  readonly bus: MemoryBus = openMemoryBus({ clock: systemClock });
  #spoken: Promise<void> | undefined;
  #speak: () => void = () => undefined;

  constructor() {
    const append = this.bus.append.bind(this.bus);
    this.bus.append = async (part: number, frames: readonly FrameAppend[], options: AppendOptions): Promise<AppendOutcome[]> => {
      await this.#spoken;
      return append(part, frames, options);
    };
  }

  /** From now on no append is answered. */
  fallSilent(): void {
    this.#spoken = new Promise((resolve) => {
      this.#speak = resolve;
    });
  }

  /** Answers what waits, and all that comes. */
  speak(): void {
    this.#spoken = undefined;
    this.#speak();
  }
}
