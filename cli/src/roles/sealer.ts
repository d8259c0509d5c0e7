/**
 * Why it exists: the sealer as a process of its own: it alone holds the key that statements are signed with, and the database role that may write them.
 * Enforces: what is stored is signed within `evidence.checkpoint_ms`, and once more at a stop; days that retention wants gone are signed away soon; whoever asks on this host
 *   gets the sealer's word for one event.
 * Forbids: the network; starting a second chain where one is there.
 */
import { join } from "node:path";
import { EvidenceError } from "ransomeye-evidence";
import { sleep } from "ransomeye-kernel";
import { keeperFailed } from "../events.ts";
import { serveAttestations } from "../sealing/attestation_desk.ts";
import { SealStore } from "../sealing/seal_store.ts";
import { Sealer } from "../sealing/sealer.ts";
import { SealerKeys } from "../sealing/sealer_keys.ts";
import { roleConnections } from "../supervisor/connection_budget.ts";
import { sealerSocketName } from "../supervisor/ipc.ts";
import { openRolePool } from "./pools.ts";
import type { Role } from "./role_process.ts";

/** How soon a day is signed away that retention wants gone. */
const wishMs = 5000;
const dayUs = 86_400_000_000;

/** The sealer's process. */
export const sealerRole: Role = async (context) => {
  const { begin, dataDir, clock, telemetry, lifetime } = context;
  const { checkpointMs, keyDaysMax } = begin.config.evidence;
  const store = new SealStore(openRolePool(context, roleConnections(begin.config).sealer));
  const open = (): Promise<Sealer> => Sealer.open({ store, keys: new SealerKeys(dataDir.secrets), clock, telemetry });
  let opened: Sealer | undefined = await open();
  const ended = new AbortController();
  const round = async (sealer: Sealer): Promise<void> => {
    await sealer.rotate(keyDaysMax * dayUs);
    await sealer.seal();
  };
  // One thing after the other, whoever wants it: an attestation is signed by the key of that moment, behind the statement of that moment.
  let last: Promise<unknown> = Promise.resolve();
  const serially = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work);
    last = done.catch(() => undefined);
    return done;
  };
  const attempt = (task: string, work: (sealer: Sealer) => Promise<unknown>): Promise<void> =>
    serially(async () => {
      try {
        opened ??= await open();
        await work(opened);
      } catch (error) {
        // What is wrong with the chain is for an operator; it shows as the end of this process.
        if (error instanceof EvidenceError) throw error;
        // Whether the last statement was stored is not known here any more: the database is asked.
        opened = undefined;
        telemetry.emit(keeperFailed, { task, reason: error instanceof Error ? error.message : String(error) });
      }
    });
  const loop = (async () => {
    let dueMs = clock.monotonicMs();
    while (!ended.signal.aborted) {
      if (clock.monotonicMs() >= dueMs) {
        dueMs = clock.monotonicMs() + checkpointMs;
        await attempt("checkpoint", round);
      }
      await attempt("expiry", async (sealer) => {
        // A day goes only when all of it is sealed.
        if ((await store.wishes()).length === 0) return;
        await sealer.seal();
        await sealer.expire();
      });
      await sleep(clock, Math.max(1, Math.min(wishMs, dueMs - clock.monotonicMs())), ended.signal).catch(() => undefined);
    }
  })();
  lifetime.defer("sealer", async () => {
    ended.abort(new Error("stopping"));
    await loop;
    // The engine has stored what was accepted; it shall not wait for the next start.
    await attempt("checkpoint", round);
  });
  await serveAttestations({
    socketPath: join(begin.socketDir, sealerSocketName),
    attest: (event) => serially(async () => (opened ??= await open()).attest(event)),
    clock,
    telemetry,
    lifetime,
  });
};
