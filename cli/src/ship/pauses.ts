/**
 * Why it exists: a stream that pauses may leave records waiting for lines that do not come, and nobody but the clock can say so.
 * Enforces: after each pause of `pauseMs` an empty chunk, which a reader takes as the word that time has passed; chunks come through as they are.
 * Forbids: reading ahead: one chunk is asked for at a time.
 */
import type { Clock } from "ransomeye-kernel";

const empty = Buffer.alloc(0);

/** The input's chunks, and an empty one whenever none has come for `pauseMs`. */
export async function* withPauses(input: AsyncIterable<Buffer>, clock: Clock, pauseMs: number): AsyncGenerator<Buffer> {
  const source = input[Symbol.asyncIterator]();
  try {
    for (let asked = source.next(); ; ) {
      const next = await firstOf(asked, clock, pauseMs);
      if (next === undefined) {
        yield empty;
        continue;
      }
      if (next.done === true) return;
      yield next.value;
      asked = source.next();
    }
  } finally {
    await source.return?.();
  }
}

/** What was asked for, or undefined if it takes longer. */
async function firstOf<T>(asked: Promise<T>, clock: Clock, pauseMs: number): Promise<T | undefined> {
  let pass = (): void => undefined;
  const pause = new Promise<undefined>((resolve) => {
    pass = (): void => resolve(undefined);
  });
  const timer = clock.setTimer(pauseMs, pass);
  try {
    return await Promise.race([asked, pause]);
  } finally {
    timer.cancel();
  }
}
