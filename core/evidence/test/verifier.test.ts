/** What a verifier finds: nothing in honest evidence, and the right record in anything that was bent, cut or exchanged. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EntryRecord, EvidenceRecord, Selection } from "../src/records.ts";
import { signNote, verifierKey } from "../src/signed_note.ts";
import { parseStatement, statementText } from "../src/statement.ts";
import type { Trust } from "../src/verifier.ts";
import { fullWorld, producerIds, reportOn, sealerKey, startUs, World } from "../src/testing.ts";

const [a = "", b = ""] = producerIds;

/** The same file with some of its entries bent. */
function bent(records: readonly EvidenceRecord[], bend: (entry: EntryRecord) => EntryRecord | undefined): EvidenceRecord[] {
  const kept = records.slice(0, -1).flatMap((record) => (record.type === "entry" ? (bend(record) ?? []) : record));
  return [...kept, { type: "end", records: kept.length }];
}

const isAt =
  (part: number, off: number) =>
  (entry: EntryRecord): boolean =>
    entry.part === part && entry.off === off;

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at % copy.length] = (copy[at % copy.length] ?? 0) ^ 1;
  return copy;
}

test("DP-4 X-3 honest evidence passes: everything, one producer, one event; gaps, dead letters and two keys of the sealer in it", () => {
  const world = fullWorld();
  const all = reportOn(world.file());
  assert.deepEqual(all.findings, []);
  assert.deepEqual(
    { ...all, sealerKeys: all.sealerKeys.length },
    {
      verdict: "PASS",
      selection: { kind: "all", sinceUs: 0 },
      findings: [],
      found: 0,
      statements: 5,
      batches: 9,
      rows: 14,
      deadLetters: 4,
      gaps: 5,
      unsealed: 1,
      attestation: null,
      anchored: false,
      sealerKeys: 2,
    },
  );
  for (const producer of producerIds)
    assert.equal(reportOn(world.file({ kind: "producer", producer, sinceUs: startUs, untilUs: null })).verdict, "PASS");
  assert.equal(reportOn(world.file({ kind: "event", producer: a, epoch: 2, seq: 3 })).verdict, "PASS");
  const trust = { keys: [verifierKey(world.firstKey)], copies: [world.statements.notes[3] as string] };
  assert.deepEqual([reportOn(world.file(), trust).verdict, reportOn(world.file(), trust).anchored], ["PASS", true]);
  assert.equal(reportOn(world.file(), { keys: [verifierKey(world.signer)] }).verdict, "PASS");
});

/** What somebody with all rights in the database may do to it, and what is then said of which record. */
const tampering: readonly {
  readonly what: string;
  readonly bend: (entry: EntryRecord) => EntryRecord | undefined;
  readonly says: readonly [string, string, RegExp];
}[] = [
  {
    what: "one byte of one batch",
    bend: (entry) => (isAt(0, 1)(entry) ? { ...entry, payload: flipped(entry.payload, 20) } : entry),
    says: ["FAIL", `batch ${a}:1:1 (partition 0, offset 1)`, /payload is not the one that was signed/],
  },
  {
    what: "one column of one row",
    bend: (entry) =>
      isAt(1, 3)(entry) ? { ...entry, rows: entry.rows.map((row, i) => (i === 1 ? { ...row, host: "ws-2" } : row)) } : entry,
    says: ["FAIL", `${b}:1:7`, /row differs in host$/],
  },
  {
    what: "where a row says that its line is",
    bend: (entry) =>
      isAt(1, 3)(entry) ? { ...entry, rows: entry.rows.map((row) => ({ ...row, byteLength: row.byteLength - 1 })) } : entry,
    says: ["FAIL", `${b}:1:6`, /another place in the batch/],
  },
  {
    what: "the version that a row was derived with",
    bend: (entry) => (isAt(1, 3)(entry) ? { ...entry, rows: entry.rows.map((row) => ({ ...row, normaliserVersion: 99 })) } : entry),
    says: ["FAIL", `${b}:1:6`, /derived by normaliser 99/],
  },
  {
    what: "one row removed",
    bend: (entry) => (isAt(0, 1)(entry) ? { ...entry, rows: entry.rows.slice(1) } : entry),
    says: ["MISSING", `${a}:1:1`, /its row is missing/],
  },
  {
    what: "one row twice",
    bend: (entry) => (isAt(0, 1)(entry) ? { ...entry, rows: [...entry.rows, ...entry.rows.slice(1)] } : entry),
    says: ["FAIL", `${a}:1:2`, /has two rows/],
  },
  {
    what: "a row that nobody sent",
    bend: (entry) =>
      isAt(0, 1)(entry) ? { ...entry, rows: [...entry.rows, ...entry.rows.slice(1).map((row) => ({ ...row, seq: 3 }))] } : entry,
    says: ["FAIL", `${a}:1:3`, /is not in the batch/],
  },
  {
    what: "a dead letter removed",
    bend: (entry) => (isAt(1, 1)(entry) ? { ...entry, deadLetters: [] } : entry),
    says: ["MISSING", `${b}:1:2`, /its dead letter is missing/],
  },
  {
    what: "a row for what the gateway called invalid",
    bend: (entry) =>
      isAt(1, 1)(entry)
        ? { ...entry, deadLetters: [], rows: [...entry.rows, ...entry.rows.slice(0, 1).map((row) => ({ ...row, seq: 2 }))] }
        : entry,
    says: ["FAIL", `${b}:1:2`, /the gateway's verdict was EVENT_NOT_JSON/],
  },
  {
    what: "a dead letter with another reason",
    bend: (entry) =>
      isAt(1, 1)(entry) ? { ...entry, deadLetters: entry.deadLetters.map((one) => ({ ...one, code: "EVENT_TOO_DEEP" })) } : entry,
    says: ["FAIL", `${b}:1:2`, /dead letter by EVENT_TOO_DEEP/],
  },
  {
    what: "a dead letter of a whole batch that covers less",
    bend: (entry) => (isAt(0, 3)(entry) ? { ...entry, deadLetters: entry.deadLetters.map((one) => ({ ...one, count: 2 })) } : entry),
    says: ["FAIL", `batch ${a}:1:8 (partition 0, offset 3)`, /do not cover it/],
  },
  {
    what: "a gap with another reason",
    bend: (entry) => (isAt(0, 2)(entry) ? { ...entry, gaps: entry.gaps.map((one) => ({ ...one, reason: "spool_age" })) } : entry),
    says: ["FAIL", `batch ${a}:1:3 (partition 0, offset 2)`, /not the one that it declares/],
  },
  {
    what: "the time of receipt",
    bend: (entry) => (isAt(0, 2)(entry) ? { ...entry, receivedUs: entry.receivedUs + 1 } : entry),
    says: ["FAIL", `batch ${a}:1:3 (partition 0, offset 2)`, /time of receipt or verdicts were changed/],
  },
  {
    what: "a signature",
    bend: (entry) => (isAt(1, 4)(entry) ? { ...entry, signature: flipped(entry.signature, 3) } : entry),
    says: ["FAIL", `batch ${b}:1:8 (partition 1, offset 4)`, /signature does not hold/],
  },
  {
    what: "one batch removed",
    bend: (entry) => (isAt(0, 2)(entry) ? undefined : entry),
    says: ["MISSING", "partition 0, offset 2", /checkpoint 1 covers it/],
  },
  {
    what: "the last batch under a checkpoint removed",
    bend: (entry) => (isAt(1, 3)(entry) ? undefined : entry),
    says: ["MISSING", "partition 1, offset 3", /checkpoint 4 covers it/],
  },
  {
    what: "the newest checkpoint's batches removed",
    bend: (entry) => (entry.leaf?.statement === 4 || entry.leaf === null ? undefined : entry),
    says: ["MISSING", "partition 0, offset 4", /the first of 3 in a row/],
  },
];

/** What the file says of itself, or leaves out, in order to look like something that is merely not yet done. */
const pretended: readonly { readonly what: string; readonly bend: (entry: EntryRecord) => EntryRecord; readonly says: RegExp }[] = [
  {
    what: "a sealed batch is not yet stored, and has no rows",
    bend: (entry) => ({ ...entry, stored: false, rows: [] }),
    says: /its row is missing/,
  },
  { what: "a sealed batch is not yet sealed", bend: (entry) => ({ ...entry, leaf: null }), says: /covers it, and the file has no proof/ },
  {
    what: "the same, of another log",
    bend: (entry) => ({ ...entry, leaf: null, generation: "10000000-0000-4000-8000-000000000002" }),
    says: /covers it, and the file has no proof/,
  },
  {
    what: "a line that is JSON cannot be read",
    bend: (entry) => ({ ...entry, rows: entry.rows.slice(1), deadLetters: [{ firstSeq: 1, count: 1, code: "ENGINE_LINE_UNREADABLE" }] }),
    says: /dead letter by ENGINE_LINE_UNREADABLE, and its line can be read/,
  },
];

for (const { what, bend, says } of pretended)
  test(`DP-4 R-20 what a file pretends is found: ${what}`, () => {
    for (const selection of [
      { kind: "event", producer: a, epoch: 1, seq: 1 },
      { kind: "producer", producer: a, sinceUs: startUs, untilUs: null },
      { kind: "all", sinceUs: 0 },
    ] as const) {
      const report = reportOn(bent(fullWorld().file(selection), (entry) => (isAt(0, 1)(entry) ? bend(entry) : entry)));
      assert.ok(
        report.findings.some(({ why }) => says.test(why)),
        `${selection.kind}: ${JSON.stringify(report.findings)}`,
      );
      assert.notEqual(report.verdict, "PASS");
    }
  });

for (const { what, bend, says } of tampering)
  test(`DP-4 R-20 tampering is named: ${what}`, () => {
    const report = reportOn(bent(fullWorld().file(), bend));
    const [state, record, why] = says;
    const found = report.findings.find((finding) => finding.what === record && why.test(finding.why));
    assert.ok(found, JSON.stringify(report.findings, null, 1));
    assert.deepEqual([found.state, report.verdict], [state, state]);
  });

test("DP-4 R-20 a producer's chain shows what was cut out of it, also at the end of an epoch", () => {
  const selection = { kind: "producer", producer: a, sinceUs: startUs, untilUs: null } as const;
  const world = fullWorld();
  const middle = reportOn(bent(world.file(selection), (entry) => (isAt(0, 2)(entry) ? undefined : entry)));
  assert.deepEqual([middle.verdict, middle.findings[0]?.what], ["MISSING", `${a}:1:3`]);
  const epochsEnd = reportOn(bent(world.file(selection), (entry) => (isAt(0, 3)(entry) ? undefined : entry)));
  assert.deepEqual([epochsEnd.verdict, epochsEnd.findings[0]?.what], ["MISSING", `${a}:1:8`]);
  const stranger = reportOn([
    ...world.file(selection).slice(0, -1),
    ...world.file().filter((one) => one.type === "entry" && one.part === 1),
    { type: "end", records: 17 },
  ]);
  assert.equal(stranger.verdict, "FAIL");
  assert.match(stranger.findings[0]?.why ?? "", /not what the file was made for/);
});

test("DP-4 R-20 statements: none can be left out, exchanged, made anew, or signed by somebody else", () => {
  const world = fullWorld();
  const { notes } = world.statements;
  const withNotes = (changed: readonly string[]): EvidenceRecord[] => {
    const rest = world.file().filter(({ type }) => type !== "statement");
    const [head, ...others] = rest.slice(0, -1);
    const records = [head as EvidenceRecord, ...changed.map((note) => ({ type: "statement", note }) as const), ...others];
    return [...records, { type: "end", records: records.length }];
  };
  assert.equal(reportOn(withNotes(notes)).verdict, "PASS");
  const whys = (changed: readonly string[], trust: Trust = {}): string => {
    const report = reportOn(withNotes(changed), trust);
    assert.notEqual(report.verdict, "PASS");
    return report.findings.map(({ state, what, why }) => `${state} ${what}: ${why}`).join("\n");
  };
  assert.match(whys(notes.toSpliced(1, 1)), /statement 2: does not follow statement 0: those between are missing/);
  assert.match(whys(notes.toSpliced(0, 1)), /a chain begins with statement 0/);
  assert.match(whys(notes.toSpliced(2, 1, "noise")), /not a signed note/);
  // Somebody who does not hold the key.
  const forged = { ...parseStatement(notes[1] as string), madeUs: startUs + 50 * 86_400_000_000 };
  assert.match(
    whys(notes.toSpliced(1, 1, signNote(statementText(forged), [sealerKey()]))),
    /statement 1: is not signed by the key of its time/,
  );
  // Somebody who holds it: the chain breaks at the next one, and at what was copied.
  assert.match(
    whys(notes.toSpliced(1, 1, signNote(statementText(forged), [world.firstKey]))),
    /statement 2: does not name statement 1 by its hash/,
  );
  // A key statement that the key before did not sign is somebody else's.
  const rotation = parseStatement(notes[2] as string);
  assert.match(
    whys(notes.toSpliced(2, 1, signNote(statementText(rotation), [world.signer]))),
    /statement 2: is not signed by the key of its time/,
  );
  assert.match(
    whys(notes.toSpliced(2, 1, signNote(statementText(rotation), [world.firstKey]))),
    /statement 2: is not signed by the key that it names/,
  );
  // A whole other world, honest in itself.
  const trust = { copies: [notes[4] as string] };
  const other = fullWorld();
  assert.equal(reportOn(other.file()).verdict, "PASS");
  assert.match(JSON.stringify(reportOn(other.file(), trust).findings), /statement 4.*the chain was made anew/);
  assert.match(
    JSON.stringify(reportOn(other.file(), { keys: [verifierKey(world.firstKey)] }).findings),
    /none of the given keys has signed in it/,
  );
  // The tail.
  const cut = bent(withNotes(notes.slice(0, 4)), (entry) => (entry.leaf === null || entry.leaf.statement === 4 ? undefined : entry));
  assert.equal(reportOn(cut).verdict, "PASS", "by itself nothing shows it");
  assert.match(JSON.stringify(reportOn(cut, trust).findings), /statement 4.*the tail was cut/);
});

test("DP-35 R-20 a hole behind a held day is expired only if statements account for each number in it, up to the batch that goes on", () => {
  const made = (): { readonly world: World; readonly expired: EvidenceRecord[] } => {
    const world = new World();
    for (const day of [0, 1, 2, 3]) {
      world.batch(0, { day });
      world.checkpoint(day);
    }
    return { world, expired: [1, 2].flatMap((day) => world.expire(day)) };
  };
  const whole = made();
  const report = reportOn(whole.world.file(undefined, whole.expired));
  assert.deepEqual([report.verdict, report.found], ["EXPIRED_BY_POLICY", 3], JSON.stringify(report.findings));
  for (const n of [0, 1]) {
    const { world, expired } = made();
    const part = reportOn(world.file(undefined, expired.toSpliced(n, 1)));
    assert.ok(
      part.findings.some(({ state }) => state === "MISSING"),
      `without what day ${n + 1} held`,
    );
  }
  // The batch behind the hole was put there by somebody: it names another one before it.
  const other = made();
  const chain = other.expired[1];
  assert.ok(chain?.type === "expired");
  const forged = new World();
  for (const day of [0, 1, 2, 3]) {
    forged.batch(0, { day, lines: ["{}", "{}"] });
    forged.checkpoint(day);
  }
  const gone = [1, 2].flatMap((day) => forged.expire(day));
  const last = forged.entries.at(-1);
  assert.ok(last !== undefined);
  other.world.entries.splice(-1, 1, last);
  assert.ok(
    gone.length === 2 && reportOn(other.world.file(undefined, other.expired)).findings.some(({ why }) => why.startsWith("does not follow")),
  );
});

test("DP-5 R-20 what retention has removed is told from what somebody has: as expired, by a statement that says so", () => {
  const world = fullWorld();
  const expired = world.expire(0);
  const all = reportOn(world.file());
  assert.equal(all.verdict, "EXPIRED_BY_POLICY", JSON.stringify(all.findings));
  assert.deepEqual(
    all.findings.map(({ what }) => what),
    ["checkpoint 1", "checkpoint 3"],
  );
  assert.equal(reportOn(world.file({ kind: "all", sinceUs: parseStatement(world.statements.notes[4] as string).madeUs })).verdict, "PASS");
  const event: Selection = { kind: "event", producer: b, epoch: 1, seq: 2 };
  const mine = expired.filter((one) => one.type === "expired" && one.chain.producer === b && one.chain.epoch === 1);
  const told = reportOn(world.file(event, mine));
  assert.equal(told.verdict, "EXPIRED_BY_POLICY");
  assert.match(told.findings[0]?.why ?? "", /2026-11-01, was removed by retention \(age, keeper\): statement 5/);
  assert.equal(reportOn(world.file(event)).verdict, "MISSING", "without the statement it is missing");
  const producer: Selection = { kind: "producer", producer: a, sinceUs: startUs, untilUs: null };
  const chain = expired.filter((one) => one.type === "expired" && one.chain.producer === a);
  assert.equal(reportOn(world.file(producer, chain)).verdict, "EXPIRED_BY_POLICY");
  for (const one of chain)
    if (one.type === "expired") {
      const lie = { ...one, chain: { ...one.chain, lastSeq: one.chain.lastSeq + 1 } };
      assert.match(JSON.stringify(reportOn(world.file(producer, [lie])).findings), /does not say that it was removed/);
    }
  // One batch of the other day, gone without a word.
  assert.equal(reportOn(bent(world.file(), (entry) => (isAt(0, 4)(entry) ? undefined : entry))).verdict, "MISSING");
});

test("DP-4 a world without anything in it passes, and says that there is nothing", () => {
  const report = reportOn(new World().file());
  assert.deepEqual([report.verdict, report.batches, report.statements], ["PASS", 0, 1]);
  assert.equal(reportOn(new World().file({ kind: "event", producer: a, epoch: 1, seq: 1 })).verdict, "MISSING");
  const absent = { type: "absent", event: `${a}:1:1`, why: "not there" } as const;
  assert.equal(reportOn(new World().file({ kind: "event", producer: a, epoch: 1, seq: 1 }, [absent])).verdict, "MISSING");
});
