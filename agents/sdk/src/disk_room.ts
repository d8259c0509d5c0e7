/**
 * Why: a disk without room is a state that passes, for the spool's segments as for its state file; any other failure of the disk is not.
 * Enforces: the work is tried again until there is room or the spool closes; that it waits is told at once, and now and then. Forbids: giving up by itself.
 */
import { type Clock, sleep } from "ransomeye-kernel";
import { SdkError } from "./codes.ts";

const retryMs = 500;
/** Of failed attempts, the first is told and then one a minute. */
const tellEvery = 120;

/** Who waits for room, and who hears of it. */
export interface RoomWaiter {
  readonly clock: Clock;
  readonly closing: AbortSignal;
  readonly stalled: (error: SdkError) => void;
}

/** Does the work, again and again while the disk is full. Rejects with any other failure; and with SDK_DISK_FULL once `closing` aborts: there is no room, and nobody waits for some. */
export async function untilRoom(work: () => Promise<void>, { clock, closing, stalled }: RoomWaiter): Promise<void> {
  for (let failures = 0; ; failures += 1) {
    try {
      await work();
      return;
    } catch (error) {
      if (!isFull(error)) throw error;
      const full = new SdkError("SDK_DISK_FULL", "no room on the disk for the spool", { cause: error });
      // Twice a second would fill the log, which may lie on the same disk.
      if (failures % tellEvery === 0) stalled(full);
      await sleep(clock, retryMs, closing).catch(() => {
        throw full;
      });
    }
  }
}

function isFull(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === "ENOSPC" || code === "EDQUOT";
}
