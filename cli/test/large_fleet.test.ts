/**
 * Why it exists: a registry holds a fleet, and what it tells gateways and commands travels in lines that are bounded.
 * Enforces: R-13 with thousands of producers and with producers that have had every certificate they can be given: all of them are told, whole.
 * Forbids: a bound that only a demo fits into.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { openTestServer } from "ransomeye-db/testing";
import { Lifetime, recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { openPostgresControl } from "ransomeye-pipeline";
import { AuthorityKeeper } from "../src/registry/authority_keeper.ts";
import { followRegistry, listProducers } from "../src/registry/client.ts";
import { Registry } from "../src/registry/registry.ts";
import { serveRegistry } from "../src/registry/server.ts";

const trustDomain = "ransomeye.test";
const server = await openTestServer();
after(() => server.close());

/** Producers with one key and some certificates each; the first few with as many as a hostile one could collect. */
const fleetSql = `
  INSERT INTO registry.producers (id, kind, name) SELECT md5('p' || i)::uuid, 'linux', 'host-' || i FROM generate_series(1, $1::int) i;`;
const keysSql = `
  INSERT INTO registry.producer_keys (key_id, producer_id, public_key)
    SELECT substring(sha256(('k' || i)::bytea) FROM 1 FOR 8), md5('p' || i)::uuid, sha256(('k' || i)::bytea) FROM generate_series(1, $1::int) i`;
const certificatesSql = `
  INSERT INTO registry.certificates (fingerprint, producer_id, serial, not_after, tls_key)
    SELECT sha256((i || ':' || n)::bytea), md5('p' || i)::uuid, i || ':' || n, clock_timestamp() + interval '1 day', sha256(i::text::bytea)
    FROM generate_series($1::int, $2::int) i, generate_series(1, $3::int) n`;

test("R-13 thousands of producers, and a few with thousands of certificates, reach gateways and lists whole", async () => {
  await using database = await server.database();
  await using lifetime = new Lifetime();
  const folder = await temporaryDirectory();
  const producers = 1200;
  const hostile = 4;
  await database.pool.query(fleetSql, [producers]);
  await database.pool.query(keysSql, [producers]);
  await database.pool.query(certificatesSql, [1, hostile, 3600]);
  await database.pool.query(certificatesSql, [hostile + 1, producers, 14]);
  const telemetry = recordingTelemetry();
  const pool = database.rolePool("ransomeye_registry");
  const trust = await AuthorityKeeper.open({ secrets: folder, trustDomain, clock: systemClock, random: systemRandom });
  const bus = openPostgresControl({ pool, telemetry });
  const registry = new Registry({ pool, trust, bus, trustDomain, clock: systemClock, random: systemRandom, telemetry });
  await registry.open();
  const socketPath = join(folder, "r.sock");
  await serveRegistry({ desk: registry, socketPath, clock: systemClock, telemetry, lifetime });

  const { producers: listed } = await listProducers(socketPath, systemClock);
  assert.equal(new Set(listed.map(({ id }) => id)).size, producers);
  const directory = await followRegistry({ socketPath, clock: systemClock, random: systemRandom, telemetry, lifetime });
  for (const { id, certificates, keys } of listed) {
    const entry = directory.lookup(id);
    assert.equal(entry?.certificates?.size, certificates.length, id);
    assert.equal(entry?.keys.size, keys.length, id);
  }
  assert.equal(listed.filter(({ certificates }) => certificates.length === 3600).length, hostile);
});
