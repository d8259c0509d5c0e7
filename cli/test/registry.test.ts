/** The registry: certificates, the gate's memory of it, its socket, its tables. */
import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { openTestServer } from "ransomeye-db/testing";
import { keyIdOf, parseSpiffeId, producerSpiffeId, rawPublicKey } from "ransomeye-ingestion/protocol";
import { Lifetime, recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { openPostgresAppender, openPostgresControl } from "ransomeye-pipeline";
import { createEnrolmentRequest, loadIdentity } from "ransomeye-sdk";
import { CliError } from "../src/errors.ts";
import { createRoot, openAuthority } from "../src/registry/authority.ts";
import { AuthorityKeeper } from "../src/registry/authority_keeper.ts";
import { ensureGatewayKeys } from "../src/registry/gateway_keys.ts";
import { followRegistry, registryRequest } from "../src/registry/client.ts";
import { DirectoryMemory } from "../src/registry/directory.ts";
import { readPrivate } from "../src/registry/key_files.ts";
import { Registry } from "../src/registry/registry.ts";
import { serveRegistry } from "../src/registry/server.ts";
import { LineSplitter, parsePush, type Push, type WireProducer, wireLineBytesMax } from "../src/registry/wire.ts";
import { enrolIdentity, ensureIdentity } from "../src/ship/identities.ts";
import { manualClock } from "./manual_clock.ts";

const domain = "ransomeye.test";
const server = await openTestServer();
after(() => server.close());

const wire = (n: number, more: Partial<WireProducer> = {}): WireProducer => ({
  id: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
  name: `p${n}`,
  kind: "dpi",
  status: "active",
  created_us: 1,
  keys: [],
  certificates: [],
  ...more,
});

const keeperIn = (secrets: string): Promise<AuthorityKeeper> =>
  AuthorityKeeper.open({ secrets, trustDomain: domain, clock: systemClock, random: systemRandom });

test("a producer's certificate names exactly one producer, for clients only, and is signed by the root", async () => {
  const root = await createRoot(domain, systemClock, systemRandom);
  const authority = await openAuthority(root, systemClock, systemRandom);
  const tls = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spiffeId = producerSpiffeId(domain, "windows", wire(1).id);
  const issued = await authority.issueProducer({ spiffeId, publicKey: tls.publicKey });
  const cert = new X509Certificate(issued.certPem);
  assert.equal(cert.subjectAltName, `URI:${spiffeId}`);
  assert.equal(parseSpiffeId(cert.subjectAltName?.slice(4) ?? "")?.role, "producer");
  assert.deepEqual(cert.keyUsage, ["1.3.6.1.5.5.7.3.2"]);
  assert.ok(!cert.ca && cert.verify(createPublicKey(new X509Certificate(root.certPem).publicKey.export({ type: "spki", format: "pem" }))));
  assert.equal(cert.fingerprint256.replaceAll(":", "").toLowerCase(), issued.fingerprint);
  assert.ok(Date.parse(cert.validTo) * 1000 === issued.notAfterUs);
  const gateway = new X509Certificate(
    (await authority.issueServer({ spiffeId: `spiffe://${domain}/gateway/g`, names: ["127.0.0.1", "localhost"] })).certPem,
  );
  assert.deepEqual(gateway.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  assert.equal(gateway.checkIP("127.0.0.1"), "127.0.0.1");
});

test("keys are made once, private, and a key that others can read is refused", async () => {
  const secrets = await temporaryDirectory();
  const first = await keeperIn(secrets);
  const again = await keeperIn(secrets);
  assert.equal(first.current.caPem, again.current.caPem);
  await ensureGatewayKeys(secrets, again, domain, ["127.0.0.1"], systemClock);
  const before = await readPrivate(join(secrets, "gateway.key"));
  await ensureGatewayKeys(secrets, again, domain, ["127.0.0.1"], systemClock);
  assert.equal(await readPrivate(join(secrets, "gateway.key")), before);
  await ensureGatewayKeys(secrets, again, domain, ["127.0.0.1", "gate.example"], systemClock);
  assert.notEqual(await readPrivate(join(secrets, "gateway.key")), before);
  for (const name of ["ca.key", "gateway.key", "receipt.key"]) assert.equal((await stat(join(secrets, name))).mode & 0o777, 0o600);
  await writeFile(join(secrets, "open.key"), "x", { mode: 0o644 });
  await assert.rejects(readPrivate(join(secrets, "open.key")), (error) => error instanceof CliError && error.code === "CLI_PERMISSION");
});

test("TB-2 R-13 the gate's memory takes whole snapshots, changes without a hole, and no older version", () => {
  const clock = manualClock();
  const memory = new DirectoryMemory(clock);
  const refused = (message: Push): void =>
    assert.throws(
      () => memory.apply(message),
      (error) => error instanceof CliError && error.code === "CLI_REGISTRY_PROTOCOL",
    );
  assert.equal(memory.ageMs(), Number.POSITIVE_INFINITY);
  assert.equal(memory.apply({ type: "heartbeat", version: 7 }), "nothing");
  refused({ type: "delta", previous: 6, version: 7, producers: [] });
  assert.equal(memory.apply({ type: "snapshot", version: 7, part: 0, parts: 2, producers: [wire(1)] }), "nothing");
  assert.equal(memory.lookup(wire(1).id), undefined, "half a snapshot counts for nothing");
  assert.equal(memory.apply({ type: "snapshot", version: 7, part: 1, parts: 2, producers: [wire(2)] }), "changed");
  assert.equal(memory.lookup(wire(2).id)?.status, "active");
  const changes: unknown[] = [];
  memory.onChange((change) => changes.push(change));
  memory.apply({ type: "delta", previous: 7, version: 8, producers: [wire(2, { status: "revoked" })] });
  assert.equal(memory.lookup(wire(2).id)?.status, "revoked");
  assert.deepEqual(changes, [{ version: 8, producers: [wire(2).id] }]);
  refused({ type: "delta", previous: 9, version: 10, producers: [] });
  refused({ type: "snapshot", version: 7, part: 0, parts: 1, producers: [] });
  refused({ type: "heartbeat", version: 9 });
  clock.advance(4000);
  assert.equal(memory.ageMs(), 4000);
  assert.equal(memory.apply({ type: "heartbeat", version: 8 }), "fresh");
  assert.equal(memory.ageMs(), 0);
  memory.disconnected();
  assert.equal(memory.apply({ type: "heartbeat", version: 8 }), "nothing", "a new connection must bring its snapshot first");
});

test("R-13 what is not exactly the registry's protocol is not believed", () => {
  const good = JSON.stringify({ type: "snapshot", version: 1, part: 0, parts: 1, producers: [wire(1)] });
  assert.equal(parsePush(good).type, "snapshot");
  for (const bad of [
    "",
    "{}",
    "[]",
    "null",
    good.replace('"active"', '"fine"'),
    good.replace('"dpi"', '"root"'),
    good.replace('"version":1', '"version":"1"'),
    good.replace("00000000-0000", "00000000_0000"),
  ]) {
    assert.throws(() => parsePush(bad), CliError, bad);
  }
  const lines = new LineSplitter();
  assert.deepEqual(lines.push(Buffer.from("a\nb")), ["a"]);
  assert.deepEqual(lines.push(Buffer.from("c\n")), ["bc"]);
  assert.throws(() => lines.push(Buffer.alloc(wireLineBytesMax + 1)), CliError);
});

test("DP-66 R-13 a registry from a backup goes past what the log has heard of, once, and says so", async () => {
  await using database = await server.database();
  const telemetry = recordingTelemetry();
  const pool = database.rolePool("ransomeye_registry");
  const bus = openPostgresControl({ pool, telemetry });
  const trust = await keeperIn(await temporaryDirectory());
  const open = async (): Promise<number> => {
    const registry = new Registry({ pool, trust, bus, trustDomain: domain, clock: systemClock, random: systemRandom, telemetry });
    await registry.open();
    return registry.snapshot().version;
  };
  const before = await open();
  const told = (): number => telemetry.events.filter(({ name }) => name === "registry_was_behind").length;
  assert.deepEqual([await open(), told()], [before, 0], "an ordinary start");
  assert.equal(await bus.setRegistry({ versionMin: before + 57, revoked: [] }), true);
  const after = await open();
  assert.ok(after >= before + 57, String(after));
  assert.deepEqual([await open(), told()], [after, 1]);
  const { rows } = await database.pool.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM registry.audit WHERE action = 'versions_skipped'",
  );
  assert.ok((rows[0]?.n ?? 0) > 0);
});

test("TB-2 R-13 enrolment is proven, idempotent by key, audited; revocation reaches gateway and bus, a stale gate appends for nobody; the socket is private", async () => {
  await using database = await server.database();
  await using lifetime = new Lifetime();
  const folder = await temporaryDirectory();
  const telemetry = recordingTelemetry();
  const trust = await keeperIn(folder);
  const pool = database.rolePool("ransomeye_registry");
  const open = async (): Promise<Registry> => {
    const registry = new Registry({
      pool,
      trust,
      bus: openPostgresControl({ pool, telemetry }),
      trustDomain: domain,
      clock: systemClock,
      random: systemRandom,
      telemetry,
    });
    await registry.open();
    return registry;
  };
  const socketPath = join(folder, "r.sock");
  await serveRegistry({ desk: await open(), socketPath, clock: systemClock, telemetry, lifetime });
  assert.equal((await stat(socketPath)).mode & 0o777, 0o600);
  const directory = await followRegistry({ socketPath, clock: systemClock, random: systemRandom, telemetry, lifetime });
  const seen = (): Promise<unknown> => new Promise((resolve) => directory.onChange(resolve));

  const identity = {
    directory: join(folder, "probe"),
    name: "probe",
    kind: "dpi" as const,
    registrySocket: socketPath,
    clock: systemClock,
    random: systemRandom,
  };
  const enrolled = seen();
  const first = await enrolIdentity(identity);
  await enrolled;
  const entry = directory.lookup(first.producer);
  const keyId = keyIdOf(rawPublicKey(first.identity.batchKey));
  assert.ok(entry?.status === "active" && entry.keys.get(keyId)?.publicKey.equals(rawPublicKey(first.identity.batchKey)));
  assert.equal((await loadIdentity(identity.directory)).producer, first.producer);

  const renewed = await enrolIdentity(identity);
  assert.ok(renewed.known && renewed.producer === first.producer);
  assert.equal((await ensureIdentity(identity)).tlsCertPem, renewed.identity.tlsCertPem);

  const { request } = createEnrolmentRequest({ kind: "dpi", name: "forger" }, systemRandom);
  const refusal = (error: unknown): boolean => error instanceof CliError && error.code === "CLI_REGISTRY_REFUSED";
  await assert.rejects(
    registryRequest(socketPath, { op: "enrol", request: { ...request, name: "other" } }, systemClock),
    refusal,
    "the proof covers the name",
  );
  await assert.rejects(
    registryRequest(socketPath, { op: "enrol", request: { ...request, batchProof: Buffer.alloc(64) } }, systemClock),
    refusal,
  );
  await assert.rejects(enrolIdentity({ ...identity, directory: join(folder, "twin") }), refusal, "a name in use");
  await assert.rejects(registryRequest(socketPath, { op: "revoke", producer: "nobody", reason: "" }, systemClock), refusal);

  const revoked = seen();
  await registryRequest(socketPath, { op: "revoke", producer: "probe", reason: "test" }, systemClock);
  await revoked;
  assert.equal(directory.lookup(first.producer)?.status, "revoked");
  const gate = await openPostgresAppender({ pool: database.rolePool("ransomeye_gate"), clock: systemClock, telemetry });
  const ask = { producer: wire(9).id, expectedEpoch: 0, keyId };
  assert.equal(
    (await gate.openEpoch({ ...ask, registryVersion: directory.version - 1 })).kind,
    "stale_registry",
    "a gate that has not heard of it",
  );
  assert.equal((await gate.openEpoch({ ...ask, producer: first.producer, registryVersion: directory.version })).kind, "revoked");
  assert.equal((await gate.openEpoch({ ...ask, registryVersion: directory.version })).kind, "opened");
  const { rows } = await database.pool.query(
    "SELECT (SELECT count(*)::int FROM bus.revoked) AS barred, (SELECT version FROM bus.registry_version) AS least, (SELECT count(*)::int FROM registry.audit) AS audit",
  );
  assert.deepEqual(rows[0], { barred: 1, least: directory.version, audit: 3 });
  await assert.rejects(
    registryRequest(socketPath, { op: "resume", producer: first.producer, reason: "" }, systemClock),
    refusal,
    "revoked stays revoked",
  );
  await assert.rejects(database.pool.query("UPDATE registry.producers SET status = 'active'"), /stays revoked/);
  await assert.rejects(database.pool.query("UPDATE registry.version SET version = 1"), /only grow/);
  await assert.rejects(pool.query("DELETE FROM registry.audit"), /permission denied/);
  assert.equal((await open()).snapshot().version, directory.version, "a registry that starts again knows what it knew");
});

test("the registry answers nonsense with a code and goes on", async () => {
  await using lifetime = new Lifetime();
  const socketPath = join(await temporaryDirectory(), "r.sock");
  const desk = {
    snapshot: () => ({ version: 1, producers: [wire(1)] }),
    handle: () => Promise.reject(new Error("boom")),
    suspect: () => undefined,
    onChange: () => () => undefined,
    revision: () => undefined,
  };
  await serveRegistry({ desk, socketPath, clock: systemClock, telemetry: recordingTelemetry(), lifetime });
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(socketPath, () => socket.write("garbage\n"));
    socket.once("data", (data: Buffer) => {
      resolve(data.toString());
      socket.destroy();
    });
  });
  assert.equal((JSON.parse(answer) as { code: string }).code, "CLI_REGISTRY_PROTOCOL");
  await assert.rejects(registryRequest(socketPath, { op: "list", from: 0 }, systemClock), /boom/);
});
