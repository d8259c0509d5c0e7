/**
 * Why it exists: the index of observables as a process of its own: reading every document once more must not stand in the way of rows.
 * Enforces: what is stored is indexed within seconds where the host has room, and later where it has not; nothing is lost or doubled by an end at any moment.
 * Forbids: the network; being needed: what it has not come to is read directly by whoever asks.
 */
import { IndexBuilder, IndexStore } from "ransomeye-engine";
import { sleep } from "ransomeye-kernel";
import { keeperFailed, observablesIndexed } from "../events.ts";
import { roleConnections } from "../supervisor/connection_budget.ts";
import { openRolePool } from "./pools.ts";
import type { Role } from "./role_process.ts";

/** How long batches gather before they are indexed together; small ones would cost a transaction each. */
const roundMs = 2000;

/** The indexer's process. */
export const indexerRole: Role = async (context) => {
  const { begin, clock, telemetry, lifetime } = context;
  const store = new IndexStore(openRolePool(context, roleConnections(begin.config).indexer));
  const open = (): IndexBuilder => new IndexBuilder({ store, nowUs: () => clock.nowUs() });
  let builder = open();
  const ended = new AbortController();
  const loop = (async () => {
    while (!ended.signal.aborted) {
      let isBehind = false;
      try {
        const round = await builder.round();
        isBehind = round.isBehind || round.sorted > 0;
        if (round.frames > 0 || round.sorted > 0)
          telemetry.emit(observablesIndexed, { batches: round.frames, bytes: round.bytes, keys: round.keys, sorted: round.sorted });
      } catch (error) {
        // Marks and summaries say what was done; nothing is kept here that could contradict them.
        builder = open();
        telemetry.emit(keeperFailed, { task: "index", reason: error instanceof Error ? error.message : String(error) });
      }
      if (!isBehind) await sleep(clock, roundMs, ended.signal).catch(() => undefined);
    }
  })();
  lifetime.defer("indexer", async () => {
    ended.abort(new Error("stopping"));
    await loop;
  });
};
