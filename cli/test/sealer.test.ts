/** The sealer, the export and the verifier on a real database: sealed, tampered with, expired, rolled back. */
import assert from "node:assert/strict";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { expireDay, type Pool } from "ransomeye-db";
import { openTestServer, removeCounted, tamper } from "ransomeye-db/testing";
import { type EvidenceRecord, parseStatement, type Selection, verifyRecords } from "ransomeye-evidence";
import { producerIds, startUs } from "ransomeye-evidence/testing";
import { systemClock } from "ransomeye-kernel";
import { openPlace, type Place } from "./sealed_place.ts";

const server = await openTestServer();
after(() => server.close());
const [a = "", b = ""] = producerIds;
const everything: Selection = { kind: "all", sinceUs: 0 };
const day1Us = startUs + 86_400_000_000;
const place = (): Promise<Place & AsyncDisposable> => openPlace(server);

test("DP-5 R-20 what is stored is sealed once, a checkpoint for each day, and proves itself; the key is the sealer's alone", async () => {
  await using at = await place();
  const sealer = await at.open();
  assert.equal(await sealer.seal(), 9);
  assert.equal(await sealer.seal(), 0, "nothing twice");
  const statements = (await at.notes()).map((note) => parseStatement(note));
  assert.deepEqual(
    statements.map((one) => [
      one.kind,
      one.kind === "checkpoint" ? [one.day, one.entries, one.ranges.map(({ part, afterOff, upToOff }) => [part, afterOff, upToOff])] : null,
    ]),
    [
      ["key", null],
      [
        "checkpoint",
        [
          "2026-11-01",
          5,
          [
            [0, 0, 3],
            [1, 0, 2],
          ],
        ],
      ],
      [
        "checkpoint",
        [
          "2026-11-02",
          4,
          [
            [0, 3, 5],
            [1, 2, 4],
          ],
        ],
      ],
    ],
  );
  assert.equal((await stat(join(at.secrets, "sealer.key"))).mode & 0o777, 0o600);
  for (const selection of [
    everything,
    { kind: "producer", producer: a, sinceUs: startUs, untilUs: null },
    { kind: "event", producer: b, epoch: 1, seq: 2 },
    { kind: "event", producer: a, epoch: 2, seq: 1 },
  ] as const) {
    const report = await at.verify(selection, { copies: (await at.notes()).slice(-1) });
    assert.deepEqual([report.verdict, report.findings, report.unsealed], ["PASS", [], 0], JSON.stringify(selection));
  }
  assert.equal((await at.verify({ kind: "event", producer: a, epoch: 9, seq: 1 })).verdict, "MISSING");
  await assert.rejects(at.verify({ kind: "producer", producer: a, sinceUs: startUs + 1e15, untilUs: null }), {
    code: "EVIDENCE_NOTHING_SELECTED",
  });
});

test("DP-5 R-20 a sealer goes on where the last one ended; what is not yet stored is not sealed", async () => {
  await using at = await place();
  await at.pool.query("UPDATE bus.consumer_offset SET off = 2 WHERE grp = 'engine'");
  assert.equal(await (await at.open()).seal(), 4);
  assert.equal((await at.verify()).unsealed, 5);
  await storedUpToTheEnd(at.pool);
  const again = await at.open();
  assert.equal(await again.seal(), 5);
  assert.deepEqual([(await at.verify()).verdict, (await at.verify()).unsealed], ["PASS", 0]);
});

test("DP-5 R-20 a checkpoint has a bound, also in the middle of a partition; what is beyond is the next one's", async () => {
  await using at = await place();
  assert.equal(await (await at.open({ entriesMax: 2 })).seal(), 9);
  const sizes = (await at.notes()).map((note) => parseStatement(note)).map((one) => (one.kind === "checkpoint" ? one.entries : 0));
  assert.deepEqual(sizes, [0, 2, 2, 1, 2, 2]);
  assert.equal((await at.verify()).verdict, "PASS");
});

test("DP-4 R-20 an export is of one moment, whatever is stored and sealed while it is written", async () => {
  await using at = await place();
  await at.pool.query("UPDATE bus.consumer_offset SET off = 2 WHERE grp = 'engine'");
  const sealer = await at.open();
  await sealer.seal();
  async function* slowly(): AsyncGenerator<EvidenceRecord, void, undefined> {
    for await (const record of at.records(everything)) {
      yield record;
      if (record.type !== "statement") continue;
      await storedUpToTheEnd(at.pool);
      await sealer.seal();
    }
  }
  const report = await verifyRecords(slowly(), {});
  assert.deepEqual([report.verdict, report.statements, report.unsealed], ["PASS", 2, 5], JSON.stringify(report.findings));
  assert.equal((await at.verify()).unsealed, 0);
});

async function storedUpToTheEnd(pool: Pool): Promise<void> {
  await pool.query("UPDATE bus.consumer_offset o SET off = p.off FROM bus.partition_head p WHERE p.part = o.part AND o.grp = 'engine'");
}

/** Done to a sealed database by somebody with every right in it; the record that is named, and how. */
const tampering: readonly {
  readonly what: string;
  readonly table: string;
  readonly sql: string;
  readonly says: readonly [string, string];
}[] = [
  {
    what: "one byte of one batch",
    table: "bus.frames",
    sql: "UPDATE bus.frames SET body = set_byte(body, 20, 7) WHERE part = 0 AND off = 1",
    says: ["FAIL", `batch ${a}:1:1 (partition 0, offset 1)`],
  },
  {
    what: "one column of one row",
    table: "data.events_agent",
    sql: `UPDATE data.events_agent SET message = 'nothing happened' WHERE producer_id = '${b}' AND seq = 1`,
    says: ["FAIL", `${b}:1:1`],
  },
  {
    what: "one row deleted",
    table: "data.events_agent",
    sql: `DELETE FROM data.events_agent WHERE producer_id = '${b}' AND seq = 1`,
    says: ["MISSING", `${b}:1:1`],
  },
  {
    what: "one batch deleted",
    table: "bus.frames",
    sql: "DELETE FROM bus.frames WHERE part = 0 AND off = 2",
    says: ["MISSING", "partition 0, offset 2"],
  },
  {
    what: "the newest batches deleted",
    table: "bus.frames",
    sql: `DELETE FROM bus.frames WHERE received_at >= to_timestamp(${day1Us / 1e6})`,
    says: ["MISSING", "partition 0, offset 4"],
  },
  {
    what: "a dead letter deleted",
    table: "data.event_dead_letters",
    sql: "DELETE FROM data.event_dead_letters WHERE first_seq = 2",
    says: ["MISSING", `${b}:1:2`],
  },
  {
    what: "the words of a gap",
    table: "data.gaps",
    sql: "UPDATE data.gaps SET reason = 'server_lost'",
    says: ["FAIL", `batch ${a}:1:3 (partition 0, offset 2)`],
  },
  {
    what: "a time of receipt",
    table: "bus.frames",
    sql: "UPDATE bus.frames SET received_at = received_at + interval '1 microsecond' WHERE part = 1 AND off = 2",
    says: ["FAIL", `batch ${b}:1:4 (partition 1, offset 2)`],
  },
  {
    what: "verdicts",
    table: "bus.frames",
    sql: "UPDATE bus.frames SET verdicts = set_byte(verdicts, 9, 1) WHERE part = 1 AND off = 3",
    says: ["FAIL", `batch ${b}:1:6 (partition 1, offset 3)`],
  },
  {
    what: "the leaves of a checkpoint",
    table: "evidence.leaves",
    sql: "DELETE FROM evidence.leaves WHERE statement = 1",
    says: ["FAIL", `batch ${a}:1:1 (partition 0, offset 1)`],
  },
  {
    what: "a statement",
    table: "evidence.statement",
    sql: "UPDATE evidence.statement SET note = replace(note, 'entries 5', 'entries 4') WHERE number = 1",
    says: ["FAIL", "statement 1"],
  },
];

for (const { what, table, sql, says } of tampering)
  test(`DP-4 R-20 tampering inside the database is named: ${what}`, async () => {
    await using at = await place();
    await (await at.open()).seal();
    await tamper(at.pool, table, sql);
    const report = await at.verify();
    const [state, record] = says;
    assert.ok(
      report.findings.some((finding) => finding.what === record && finding.state === state),
      JSON.stringify(report.findings, null, 1),
    );
    assert.notEqual(report.verdict, "PASS");
  });

test("DP-4 R-20 the newest hour removed with its statement shows against a copy from elsewhere, and to the sealer", async () => {
  await using at = await place();
  const sealer = await at.open();
  await sealer.seal();
  const copies = (await at.notes()).slice(-1);
  await tamper(at.pool, "bus.frames", `DELETE FROM bus.frames WHERE received_at >= to_timestamp(${day1Us / 1e6})`);
  await tamper(at.pool, "data.events_agent", `DELETE FROM data.events_agent WHERE received_at >= to_timestamp(${day1Us / 1e6})`);
  await tamper(at.pool, "evidence.sealed_range", "DELETE FROM evidence.sealed_range WHERE statement = 2");
  await tamper(at.pool, "evidence.statement", "DELETE FROM evidence.statement WHERE number = 2");
  await at.pool.query("UPDATE bus.partition_head SET off = 3; UPDATE bus.consumer_offset SET off = 3");
  assert.equal((await at.verify()).verdict, "PASS", "nothing in the database shows it");
  const report = await at.verify(everything, { copies });
  assert.deepEqual([report.verdict, report.findings[0]?.what], ["MISSING", "statement 2"]);
  await assert.rejects(at.open(), { code: "EVIDENCE_CHAIN_ROLLED_BACK" });
});

test("DP-4 R-20 what is sealed cannot be made to look as if it were yet to be stored, or yet to be sealed", async () => {
  await using at = await place();
  await (await at.open()).seal();
  const event: Selection = { kind: "event", producer: b, epoch: 1, seq: 1 };
  await at.pool.query("UPDATE bus.consumer_offset SET off = 0 WHERE grp = 'engine'");
  await tamper(at.pool, "data.events_agent", `DELETE FROM data.events_agent WHERE producer_id = '${b}' AND seq = 1`);
  for (const selection of [everything, event]) assert.equal((await at.verify(selection)).findings[0]?.what, `${b}:1:1`);
  await tamper(at.pool, "evidence.sealed_range", "DELETE FROM evidence.sealed_range");
  for (const selection of [everything, { ...event, seq: 3 }]) assert.notEqual((await at.verify(selection)).verdict, "PASS");
});

test("DP-5 R-20 an entry that is missing stops its partition, loudly, and no other", async () => {
  await using at = await place();
  await tamper(at.pool, "bus.frames", "DELETE FROM bus.frames WHERE part = 0 AND off = 2");
  const sealer = await at.open();
  assert.equal(await sealer.seal(), 5);
  assert.deepEqual(
    at.telemetry.events.filter(({ name }) => name === "log_entry_missing").map(({ fields }) => fields),
    [{ part: 0, off: 2 }],
  );
  assert.equal(await sealer.seal(), 0);
});

test("DP-5 R-20 R-33 retention takes a day only after all of it is sealed and signed away; afterwards it is told as expired", async () => {
  await using at = await place();
  const keeper = { pool: at.database.rolePool("ransomeye_keeper"), clock: systemClock, telemetry: at.telemetry };
  await at.pool.query("UPDATE bus.consumer_offset SET off = 2 WHERE grp = 'engine' AND part = 0");
  const sealer = await at.open();
  await sealer.seal();
  const day = "2026-11-01";
  await at.pool.query("INSERT INTO evidence.expiry_wish (day, policy, actor) VALUES ($1::date, 'age', 'keeper')", [day]);
  assert.deepEqual(await sealer.expire(), [], "one of its entries is not sealed");
  await storedUpToTheEnd(at.pool);
  assert.deepEqual(await expireDay(keeper, day, "age"), { kind: "unsigned", waitsTooLong: false });
  await sealer.seal();
  assert.deepEqual(await sealer.expire(), [day]);
  assert.deepEqual(await sealer.expire(), [], "once");
  assert.equal((await expireDay(keeper, day, "age")).kind, "expired");
  await removeCounted(at.database.connection, keeper);
  const all = await at.verify();
  assert.equal(all.verdict, "EXPIRED_BY_POLICY", JSON.stringify(all.findings));
  assert.ok(all.findings.every(({ state }) => state === "EXPIRED_BY_POLICY"));
  const event = await at.verify({ kind: "event", producer: b, epoch: 1, seq: 2 });
  assert.deepEqual([event.verdict, event.findings[0]?.what], ["EXPIRED_BY_POLICY", `${b}:1:2`]);
  const chain = await at.verify({ kind: "producer", producer: b, sinceUs: startUs, untilUs: null });
  assert.deepEqual([chain.verdict, chain.findings.length], ["EXPIRED_BY_POLICY", 1]);
  // The day after is whole, and something missing from it is not told as expired.
  assert.equal((await at.verify({ kind: "event", producer: a, epoch: 2, seq: 1 })).verdict, "PASS");
  await tamper(at.pool, "bus.frames", "DELETE FROM bus.frames WHERE part = 1 AND off = 4");
  assert.equal((await at.verify()).verdict, "MISSING");
});

test("DP-5 R-20 keys rotate: both sign the handover, old proofs stay valid, and a crash in the middle loses nothing", async () => {
  await using at = await place();
  const sealer = await at.open();
  await at.pool.query("UPDATE bus.consumer_offset SET off = 2 WHERE grp = 'engine'");
  await sealer.seal();
  assert.equal(await sealer.rotate(86_400_000_000), false, "not yet");
  assert.equal(await sealer.rotate(0), true);
  await storedUpToTheEnd(at.pool);
  await sealer.seal();
  const report = await at.verify();
  assert.deepEqual([report.verdict, report.sealerKeys.length], ["PASS", 2]);
  for (const key of report.sealerKeys) assert.equal((await at.verify(everything, { keys: [key] })).verdict, "PASS");
  // The statement was stored, and the new key not yet put in its place.
  const key = await readFile(join(at.secrets, "sealer.key"));
  assert.equal(await sealer.rotate(0), true);
  await rm(join(at.secrets, "sealer_next.key"), { force: true });
  await writeFile(join(at.secrets, "sealer_next.key"), await readFile(join(at.secrets, "sealer.key")), { mode: 0o600 });
  await writeFile(join(at.secrets, "sealer.key"), key, { mode: 0o600 });
  assert.equal(await (await at.open()).seal(), 0);
  assert.notDeepEqual(await readFile(join(at.secrets, "sealer.key")), key);
  // And one that was made and never named.
  await writeFile(join(at.secrets, "sealer_next.key"), key, { mode: 0o600 });
  await (await at.open()).rotate(0);
  assert.deepEqual([(await at.verify()).verdict, (await at.verify()).sealerKeys.length], ["PASS", 4]);
});

test("DP-5 R-20 a lost, strange or open key file, and a statement that somebody else has signed, stop the sealer with a way out", async () => {
  await using at = await place();
  const sealer = await at.open();
  await sealer.seal();
  const path = join(at.secrets, "sealer.key");
  const key = await readFile(path);
  await rm(path);
  await assert.rejects(at.open(), { code: "EVIDENCE_KEY_MISSING" });
  await writeFile(path, "noise", { mode: 0o600 });
  await assert.rejects(at.open(), { code: "EVIDENCE_KEY_UNREADABLE" });
  await rm(path);
  await writeFile(path, key, { mode: 0o644 });
  await assert.rejects(at.open(), { code: "CLI_PERMISSION" });
  await rm(path);
  await writeFile(path, key, { mode: 0o600 });
  const other = join(at.secrets, "other");
  await mkdir(other);
  await using elsewhere = await place();
  const foreign = await elsewhere.open();
  await foreign.seal();
  const note = (await elsewhere.notes())[2] as string;
  await at.pool.query(
    "INSERT INTO evidence.statement (number, kind, day, made_us, hash, note) VALUES (3, 'checkpoint', '2026-11-02', 0, '\\x', $1)",
    [note],
  );
  await assert.rejects(at.open(), { code: "EVIDENCE_CHAIN_ROLLED_BACK" });
  assert.equal((await at.verify()).verdict, "FAIL");
});
