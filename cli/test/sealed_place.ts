/** A database with a world of evidence in it, a sealer's key, and the export straight into the verifier. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pool } from "ransomeye-db";
import type { TestDatabase, TestServer } from "ransomeye-db/testing";
import { type EvidenceRecord, type Report, type Selection, type Trust, verifyRecords } from "ransomeye-evidence";
import { fullWorld, type World } from "ransomeye-evidence/testing";
import { recordingTelemetry, systemClock } from "ransomeye-kernel";
import { exportEvidence, type ExportOptions } from "../src/evidence/export.ts";
import type { WireProducer } from "../src/registry/wire.ts";
import { SealStore } from "../src/sealing/seal_store.ts";
import { Sealer } from "../src/sealing/sealer.ts";
import { SealerKeys } from "../src/sealing/sealer_keys.ts";
import { storeEntries } from "./stored_world.ts";

/** A database with a world in it, and somebody who seals it. */
export interface Place {
  readonly database: TestDatabase;
  readonly pool: Pool;
  readonly world: World;
  readonly secrets: string;
  readonly telemetry: ReturnType<typeof recordingTelemetry>;
  readonly open: (more?: { readonly entriesMax?: number; readonly notesPerRead?: number }) => Promise<Sealer>;
  readonly verify: (selection?: Selection, trust?: Trust) => Promise<Report>;
  readonly records: (selection: Selection, attest?: ExportOptions["attest"]) => AsyncGenerator<EvidenceRecord, void, undefined>;
  readonly notes: () => Promise<string[]>;
}

export async function openPlace(server: TestServer, world: World = fullWorld()): Promise<Place & AsyncDisposable> {
  const database = await server.database();
  const { pool } = database;
  const secrets = await mkdtemp(join(tmpdir(), "re-sealer-"));
  await pool.query("SELECT bus.configure(2)");
  await storeEntries(pool, world.entries);
  const keysOf = world.file().flatMap((record) => (record.type === "key" ? [record] : []));
  const producers = keysOf.map(({ producer, publicKey }) => ({
    id: producer,
    name: "ws",
    keys: [{ public_key: publicKey.toString("base64") }],
  })) as unknown as WireProducer[];
  const telemetry = recordingTelemetry();
  const store = new SealStore(database.rolePool("ransomeye_sealer"));
  const reader = database.rolePool("ransomeye_reader");
  const records: Place["records"] = (selection, attest) =>
    exportEvidence({ pool: reader, selection, producers, nowUs: systemClock.nowUs(), ...(attest === undefined ? {} : { attest }) });
  return {
    database,
    pool,
    world,
    secrets,
    telemetry,
    open: (more = {}) => Sealer.open({ store, keys: new SealerKeys(secrets), clock: systemClock, telemetry, ...more }),
    records,
    verify: (selection = { kind: "all", sinceUs: 0 }, trust = {}) => verifyRecords(records(selection), trust),
    notes: async () =>
      (await reader.query<{ note: string }>("SELECT note FROM views.statements ORDER BY number")).rows.map(({ note }) => note),
    [Symbol.asyncDispose]: async () => {
      await database.close();
      await rm(secrets, { recursive: true, force: true });
    },
  };
}
