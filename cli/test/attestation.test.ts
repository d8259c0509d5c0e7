/** The sealer's word on one event, on a real database: what it signs, what it refuses, and how it is asked. */
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { stat, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { openTestServer, tamper } from "ransomeye-db/testing";
import { type AttestationRecord, type EvidenceRecord, parseAttestation, type Report, verifyRecords } from "ransomeye-evidence";
import { producerIds, type World } from "ransomeye-evidence/testing";
import { decodeHeader, encodeHeader, frameHash, signHeader } from "ransomeye-ingestion/protocol";
import { Lifetime, recordingTelemetry, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import type { EventId } from "../src/queries/events.ts";
import { askSealer, serveAttestations } from "../src/sealing/attestation_desk.ts";
import type { Attested } from "../src/sealing/attester.ts";
import type { Sealer } from "../src/sealing/sealer.ts";
import { manualClock } from "./manual_clock.ts";
import { openPlace, type Place } from "./sealed_place.ts";

const server = await openTestServer();
after(() => server.close());
const [a = "", b = ""] = producerIds;
const place = (world?: World): Promise<Place & AsyncDisposable> => openPlace(server, world);
const event: EventId = { producer: a, epoch: 2, seq: 3 };

/** What is exported of an event while this sealer can be asked. */
async function exported(
  at: Place,
  id: EventId,
  sealer?: Sealer,
): Promise<{ readonly records: EvidenceRecord[]; readonly attestation: AttestationRecord | undefined; readonly report: Report }> {
  const records: EvidenceRecord[] = [];
  for await (const record of at.records({ kind: "event", ...id }, sealer && ((asked) => sealer.attest(asked)))) records.push(record);
  return { records, attestation: records.find((one) => one.type === "attestation"), report: await judged(records) };
}

async function judged(records: readonly EvidenceRecord[]): Promise<Report> {
  async function* given(): AsyncGenerator<EvidenceRecord> {
    yield* records;
  }
  return verifyRecords(given(), {});
}

const why = (attested: Attested): string => (attested.kind === "refused" ? attested.why : `signed: ${attested.note}`);

test("DP-72 R-20 the sealer signs an event's fingerprint under the checkpoint that covers it, and the export proves itself; a rotated key keeps what it signed", async () => {
  await using at = await place();
  const sealer = await at.open();
  await sealer.seal();
  const first = await exported(at, event, sealer);
  assert.deepEqual([first.report.verdict, first.report.findings, first.report.attestation], ["PASS", [], { state: "signed", why: null }]);
  const note = parseAttestation(first.attestation?.note ?? "");
  assert.deepEqual([note.event, note.checkpoint, note.statement], [`${a}:2:3`, 2, 2]);
  assert.match(first.attestation?.document ?? "", new RegExp(note.fingerprint));
  assert.equal(await sealer.rotate(0), true);
  assert.equal((await judged(first.records)).verdict, "PASS");
  for (const id of [event, { producer: b, epoch: 1, seq: 1 }]) {
    const again = await exported(at, id, sealer);
    assert.deepEqual([again.report.verdict, again.report.attestation?.state], ["PASS", "signed"]);
    assert.equal(parseAttestation(again.attestation?.note ?? "").statement, 3, "behind the statement of the moment");
  }
  // A sealer that was started again reads the whole chain, in one read or in several that end anywhere; then from the checkpoint on.
  for (const notesPerRead of [1, 2, 3, 4, 5]) {
    const started = await at.open({ notesPerRead });
    for (const id of [event, { producer: b, epoch: 1, seq: 1 }, event]) assert.match(why(await started.attest(id)), /^signed/);
  }
});

test("DP-72 an export without the sealer's word has the fingerprint, and says why it is not signed", async () => {
  await using at = await place();
  await at.pool.query("UPDATE bus.consumer_offset SET off = 2 WHERE grp = 'engine'");
  const sealer = await at.open();
  await sealer.seal();
  const away = await exported(at, { producer: a, epoch: 1, seq: 1 });
  assert.deepEqual([away.report.verdict, away.report.attestation], ["PASS", { state: "unsigned", why: "the sealer was not asked" }]);
  assert.match(away.attestation?.document ?? "", /"fingerprint":/);
  assert.doesNotMatch(away.attestation?.document ?? "", /"signatures":/);
  const unsealed = await exported(at, event, sealer);
  assert.deepEqual([unsealed.report.verdict, unsealed.report.unsealed, unsealed.attestation?.note], ["PASS", 1, null]);
  assert.match(unsealed.report.attestation?.why ?? "", /no checkpoint covers its batch yet/);
  const absent = await exported(at, { producer: a, epoch: 9, seq: 1 }, sealer);
  assert.deepEqual([absent.report.verdict, absent.attestation], ["MISSING", undefined]);
  // Nothing was ever signed: an export of a database that no sealer has seen.
  await using fresh = await place();
  const unknown = await exported(fresh, event);
  assert.deepEqual([unknown.report.statements, unknown.report.attestation?.state], [0, "unsigned"]);
  assert.doesNotMatch(unknown.attestation?.document ?? "", /authority_uid/);
});

test("DP-72 the sealer refuses what is no event of the log, and says why", async () => {
  await using at = await place();
  const sealer = await at.open();
  await sealer.seal();
  for (const [id, says] of [
    [{ producer: a, epoch: 9, seq: 1 }, /the log has no batch with it/],
    [{ producer: a, epoch: 2, seq: 999 }, /the log has no batch with it/],
    [{ producer: a, epoch: 2, seq: 0 }, /the log has no batch with it/],
    [{ producer: "20000000-0000-4000-8000-0000000000ff", epoch: 1, seq: 1 }, /the log has no batch with it/],
    [{ producer: b, epoch: 1, seq: 2 }, /dead letter: EVENT_NOT_JSON/],
    [{ producer: a, epoch: 1, seq: 4 }, /declared it lost/],
    [{ producer: a, epoch: 1, seq: 9 }, /does not decode/],
  ] as const)
    assert.match(why(await sealer.attest(id)), says);
  assert.deepEqual(
    at.telemetry.events.filter(({ name }) => name === "log_entry_changed"),
    [],
  );
});

/** What somebody with all rights in the database may do to a sealed batch before he asks for the sealer's word on it. */
const tamperings: readonly {
  readonly what: string;
  readonly table: string;
  readonly sql: string;
  readonly values?: (at: Place) => unknown[];
}[] = [
  {
    what: "one byte of the batch",
    table: "bus.frames",
    sql: "UPDATE bus.frames SET body = set_byte(body, 90, get_byte(body, 90) # 1) WHERE part = 0 AND off = 5",
  },
  {
    what: "batch, header, signature and hashes, all of them made anew",
    table: "bus.frames",
    sql: "UPDATE bus.frames SET body = $1, header = $2, signature = $3, payload_hash = $4, hash = $5 WHERE part = 0 AND off = 5",
    values: (at) => {
      const entry = at.world.entries.find(({ part, off }) => part === 0 && off === 5);
      const decoded = decodeHeader(entry?.header ?? Buffer.alloc(0));
      if (entry === undefined || decoded.kind === "refused") throw new Error("no such entry");
      const payload = Buffer.from(entry.payload.toString().replaceAll("ws-1", "ws-2"));
      const hash = createHash("sha256").update(payload).digest();
      const header = encodeHeader({ ...decoded.value, payloadHash: hash });
      return [payload, header, signHeader(header, generateKeyPairSync("ed25519").privateKey), hash, frameHash(header)];
    },
  },
  {
    what: "what the gateway said of it",
    table: "bus.frames",
    sql: "UPDATE bus.frames SET verdicts = (SELECT verdicts FROM bus.frames WHERE part = 1 AND off = 1) WHERE part = 0 AND off = 5",
  },
  {
    what: "when it came",
    table: "bus.frames",
    sql: "UPDATE bus.frames SET received_at = received_at + interval '1 microsecond' WHERE part = 0 AND off = 5",
  },
  {
    what: "a leaf beside it",
    table: "evidence.leaves",
    sql: "UPDATE evidence.leaves SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1) WHERE statement = 2",
  },
  {
    what: "which checkpoint covers it",
    table: "evidence.sealed_range",
    sql: "UPDATE evidence.sealed_range SET statement = 1 WHERE part = 0 AND up_to_off = 5",
  },
  {
    what: "the log that it is of",
    table: "evidence.sealed_range",
    sql: "UPDATE evidence.sealed_range SET generation = '10000000-0000-4000-8000-0000000000ff' WHERE part = 0 AND up_to_off = 5",
  },
];

for (const { what, table, sql, values } of tamperings)
  test(`DP-72 R-20 the sealer does not sign for what was changed in the database: ${what}`, async () => {
    await using at = await place();
    const sealer = await at.open();
    await sealer.seal();
    const neighbour = { producer: b, epoch: 1, seq: 6 };
    assert.match(why(await sealer.attest(event)), /^signed/);
    assert.equal(await tamper(at.pool, table, sql, values?.(at)), 1);
    assert.match(why(await sealer.attest(event)), /is not what checkpoint \d was signed over: it was changed in the database/);
    assert.ok(
      at.telemetry.events.some(({ name, level, fields }) => name === "log_entry_changed" && level === "error" && fields["off"] === 5),
    );
    if (table === "bus.frames") assert.match(why(await sealer.attest(neighbour)), /^signed/);
    const { report, attestation } = await exported(at, event, sealer);
    assert.deepEqual([report.verdict, attestation?.note ?? null], ["FAIL", null]);
  });

test("DP-72 R-20 an id that columns claim and the signed header does not is not there", async () => {
  await using at = await place();
  const sealer = await at.open();
  await sealer.seal();
  await tamper(at.pool, "bus.frames", "UPDATE bus.frames SET epoch = 7 WHERE part = 0 AND off = 5");
  assert.match(why(await sealer.attest({ ...event, epoch: 7 })), /the log has no batch with it/);
});

test("DP-72 R-20 the sealer signs behind no chain but its own", async () => {
  await using at = await place();
  const sealer = await at.open();
  await sealer.seal();
  await tamper(
    at.pool,
    "evidence.statement",
    "UPDATE evidence.statement SET note = replace(note, 'entries 5', 'entries 6') WHERE number = 1",
  );
  assert.match(why(await sealer.attest(event)), /does not hold the statements up to 2 as they were signed/);
  await tamper(
    at.pool,
    "evidence.statement",
    "UPDATE evidence.statement SET note = replace(note, 'entries 6', 'entries 5') WHERE number = 1",
  );
  assert.match(why(await sealer.attest(event)), /^signed/, "put right, it is read anew");

  // Somebody who has the key signs another chain into the database, in the place of the last statement.
  await using other = await place();
  const own = await other.open();
  await other.pool.query("UPDATE bus.consumer_offset SET off = 2 WHERE grp = 'engine'");
  await own.seal();
  await tamper(other.pool, "evidence.sealed_range", "DELETE FROM evidence.sealed_range");
  await tamper(other.pool, "evidence.leaves", "DELETE FROM evidence.leaves");
  await tamper(other.pool, "evidence.statement", "DELETE FROM evidence.statement WHERE number > 0");
  await writeFile(join(other.secrets, "sealer.latest"), `0 ${await hashOfFirst(other)}\n`, { mode: 0o600 });
  await other.pool.query("UPDATE bus.consumer_offset SET off = 3 WHERE grp = 'engine'");
  await (await other.open()).seal();
  assert.match(why(await own.attest({ producer: a, epoch: 1, seq: 1 })), /does not hold the statements up to 1 as they were signed/);
});

async function hashOfFirst(at: Place): Promise<string> {
  const { rows } = await at.pool.query<{ hash: string }>("SELECT encode(hash, 'hex') AS hash FROM evidence.statement WHERE number = 0");
  return rows[0]?.hash ?? "";
}

/** A desk of which the test answers the questions. */
async function openDesk(
  attest: (id: EventId) => Promise<Attested>,
): Promise<{ path: string; clock: ReturnType<typeof manualClock>; asked: string[]; outcomes: () => unknown[]; lifetime: Lifetime }> {
  const path = join(await temporaryDirectory(), "sealer.sock");
  const clock = manualClock();
  const telemetry = recordingTelemetry();
  const lifetime = new Lifetime();
  const asked: string[] = [];
  await serveAttestations({
    socketPath: path,
    attest: (id) => {
      asked.push(`${id.producer}:${id.epoch}:${id.seq}`);
      return attest(id);
    },
    clock,
    telemetry,
    lifetime,
  });
  const outcomes = (): unknown[] =>
    telemetry.events.filter(({ name }) => name === "attestation_answered").map(({ fields }) => fields["outcome"]);
  return { path, clock, asked, outcomes, lifetime };
}

/** What comes back for these bytes, until the end of the connection. */
function sent(path: string, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let text = "";
    socket.on("connect", () => socket.write(bytes));
    socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(text));
  });
}

test("DP-73 the sealer's socket is its owner's alone, knows one question, and takes no bytes to sign", { timeout: 60_000 }, async () => {
  const desk = await openDesk(() => Promise.resolve({ kind: "refused", why: "not today" }));
  await using _lifetime = desk.lifetime;
  assert.equal((await stat(desk.path)).mode & 0o777, 0o600);
  const id = `${a}:2:3`;
  for (const question of [
    "noise",
    "null",
    "[]",
    "{}",
    '"attest"',
    '{"op":"attest"}',
    '{"op":"attest","event":7}',
    '{"op":"attest","event":"1:2:3"}',
    `{"op":"attest","event":"${a}:2:99999999999999999"}`,
    `{"op":"sign","event":"${id}"}`,
    `{"op":"attest","event":"${id}\\u0000"}`,
    `{"op":"attest","event":"${id}","more":"${"x".repeat(600)}"}`,
  ])
    assert.match(await sent(desk.path, `${question}\n`), /^\{"ok":false,"code":"CLI_USAGE".*\n$/, question);
  assert.deepEqual(desk.asked, []);
  assert.equal(await sent(desk.path, "x".repeat(100_000)), "", "a line without an end is not gathered");
  assert.match(await sent(desk.path, `{"op":"attest","event":"${id}"}\n{"op":"attest","event":"${a}:2:4"}\n`), /not today/);
  assert.deepEqual(desk.asked, [id], "one question a connection");
  assert.deepEqual([...new Set(desk.outcomes())], ["not_understood", "refused"]);
  assert.deepEqual(await askSealer(desk.path, event, systemClock), { kind: "refused", why: "not today" });
});

test("DP-73 who says nothing is let go, the ninth is not let in, and questions are answered one after the other", {
  timeout: 60_000,
}, async () => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  let atOnce = 0;
  let most = 0;
  const desk = await openDesk(async () => {
    most = Math.max(most, (atOnce += 1));
    await held;
    atOnce -= 1;
    throw new Error("the database is gone");
  });
  await using _lifetime = desk.lifetime;
  const open = (): Promise<Socket> =>
    new Promise((resolve) => {
      const socket = connect(desk.path, () => resolve(socket));
      socket.on("error", () => undefined);
    });
  const silent = await Promise.all(Array.from({ length: 5 }, open));
  const answers = Array.from({ length: 3 }, () => askSealer(desk.path, event, systemClock));
  while (desk.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.match(why(await askSealer(desk.path, event, systemClock)), /closed the connection without an answer|cannot be reached/);
  const gone = Promise.all(silent.map((socket) => new Promise((resolve) => socket.resume().once("close", resolve))));
  desk.clock.advance(5001);
  await gone;
  release();
  for (const answer of await Promise.all(answers)) assert.match(why(answer), /could not look for it: the database is gone/);
  assert.equal(most, 1);
  await desk.lifetime.drain();
  assert.match(why(await askSealer(desk.path, event, systemClock)), /the sealer's socket .* cannot be reached/);
});

test("DP-73 an answer that is no attestation is no answer", async () => {
  for (const [note, says] of [
    ["noise", /not a signed note/],
    ["ransomeye/evidence/v1\n\n— ransomeye-sealer AAAA\n", /not a signed note/],
  ] as const) {
    const desk = await openDesk(() => Promise.resolve({ kind: "attested", note }));
    await using _lifetime = desk.lifetime;
    assert.match(why(await askSealer(desk.path, event, systemClock)), says);
  }
});
