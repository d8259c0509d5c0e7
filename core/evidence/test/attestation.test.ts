/** The OCSF document of an event, its attestation, and what is found of one that was bent, moved or signed by somebody else. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { attestationText, parseAttestation } from "../src/attestation_note.ts";
import type { AttestationRecord, EvidenceRecord } from "../src/records.ts";
import { parseNote, signNote, verifierKey } from "../src/signed_note.ts";
import { parseStatement, statementHash } from "../src/statement.ts";
import { fullWorld, producerIds, reportOn, sealerKey, startUs, withEnd, World } from "../src/testing.ts";

const [a = "", b = ""] = producerIds;
const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const event = { producer: a, epoch: 2, seq: 3 };
const id = `${a}:2:3`;

const recordOf = (records: readonly EvidenceRecord[]): AttestationRecord =>
  records.find((one): one is AttestationRecord => one.type === "attestation") as AttestationRecord;
const bent = (records: readonly EvidenceRecord[], change: Partial<AttestationRecord>): EvidenceRecord[] =>
  records.map((one) => (one.type === "attestation" ? { ...one, ...change } : one));
const hex = (text: string): string => createHash("sha256").update(text, "utf8").digest("hex");
const findings = (records: readonly EvidenceRecord[]): string[] =>
  reportOn(records).findings.map(({ state, what, why }) => `${state} ${what} ${why}`);

/** A world with one event, this line. */
function worldOf(line: string): { readonly world: World; readonly records: EvidenceRecord[] } {
  const world = new World();
  world.batch(0, { lines: [line] });
  world.checkpoint(0);
  return { world, records: world.attestedFile({ producer: a, epoch: 1, seq: 1 }) };
}

test("DP-70 an event's document is the signed line's own with one attestation, and its fingerprint is over all of it but fingerprint and signatures", () => {
  const { world, records } = worldOf(
    `{"metadata":{"version":"1.9.0","product":{"name":"x"}},"time":1.0e3, "message":"caf\\u00e9","class_uid":0,"unmapped":{"b":[1,{"z":1,"a":null}]}}`,
  );
  const authority = verifierKey(world.firstKey);
  const attestation = `"authority_uid":"${authority}","chain_uid":"${a}:1"`;
  const before = `{"attestation_list":[{${attestation},"uid":"${a}:1:1"}],"class_uid":0,"message":"café","metadata":{"product":{"name":"x"},"profiles":["record_integrity"],"version":"1.9.0"},"time":1000,"unmapped":{"b":[1,{"a":null,"z":1}]}}`;
  const digest = `{"algorithm":"SHA-256","algorithm_id":3,"encoding":"Hex","encoding_id":1,"serialization":"JCS","serialization_id":2,"value":"${hex(before)}"}`;
  const signature = `{"algorithm":"Ed25519","algorithm_id":99,"created_time":${startUs / 1000 + 41 * 86_400_000},"digest":${digest},"serialization":"c2sp.org/signed-note","serialization_id":99}`;
  const attested = before.replace(`"chain_uid":"${a}:1",`, `"chain_uid":"${a}:1","fingerprint":${digest},"signatures":[${signature}],`);
  const { document, note } = recordOf(records);
  assert.equal(document, attested);
  assert.equal(parseAttestation(note ?? "").fingerprint, hex(before));
  assert.deepEqual([reportOn(records).verdict, reportOn(records).attestation], ["PASS", { state: "signed", why: null }]);
  const unsigned = before.replace(`"chain_uid":"${a}:1",`, `"chain_uid":"${a}:1","fingerprint":${digest},`);
  const alone = bent(records, { document: unsigned, note: null, why: "the sealer is away" });
  assert.deepEqual([reportOn(alone).verdict, reportOn(alone).attestation], ["PASS", { state: "unsigned", why: "the sealer is away" }]);
});

test("DP-70 what the producer attested stays, and is covered; a profile is named once", () => {
  const own = `{"uid":"own","fingerprint":{"algorithm_id":3,"value":"00"},"signatures":[{"algorithm_id":3}]}`;
  const { records } = worldOf(`{"metadata":{"profiles":["host","record_integrity"]},"attestation_list":[${own}]}`);
  const document = JSON.parse(recordOf(records).document ?? "") as {
    metadata: { profiles: string[] };
    attestation_list: Record<string, unknown>[];
  };
  assert.deepEqual(document.metadata.profiles, ["host", "record_integrity"]);
  assert.deepEqual(document.attestation_list[0], JSON.parse(own));
  assert.deepEqual([document.attestation_list.length, document.attestation_list[1]?.["uid"]], [2, `${a}:1:1`]);
  assert.equal(reportOn(records).verdict, "PASS");
  const other = worldOf(`{"metadata":{"profiles":["host","record_integrity"]},"attestation_list":[${own.replace("00", "01")}]}`).records;
  assert.notEqual(parseAttestation(recordOf(other).note ?? "").fingerprint, parseAttestation(recordOf(records).note ?? "").fingerprint);
  for (const nothing of [`"attestation_list":null`, `"attestation_list":[]`])
    assert.equal(reportOn(worldOf(`{"metadata":{"profiles":null},${nothing}}`).records).attestation?.state, "signed");
});

test("DP-70 what is no event, or has no canonical form, has no attestation, and the reason is said", () => {
  const world = fullWorld();
  for (const [producer, epoch, seq, why] of [
    [b, 1, 2, /dead letter: EVENT_NOT_JSON/],
    [a, 1, 4, /declared it lost/],
    [a, 1, 9, /its batch does not decode/],
  ] as const) {
    const records = world.attestedFile({ producer, epoch, seq });
    const report = reportOn(records);
    assert.deepEqual([report.verdict, report.attestation?.state, recordOf(records).document], ["PASS", "none", null]);
    assert.match(report.attestation?.why ?? "", why);
  }
  for (const [line, why] of [
    [`{"metadata":{},"a":1,"a":2}`, /"a" twice.*canonical form/],
    [`{"metadata":{},"a":1e999}`, /double/],
    [`{"metadata":{},"a":"\\ud800"}`, /surrogate/],
    [`{"metadata":[]}`, /no OCSF event/],
    [`{"metadata":{"profiles":{}}}`, /no lists/],
    [`{"metadata":{},"attestation_list":"x"}`, /no lists/],
  ] as const) {
    const { records } = worldOf(line);
    assert.match(reportOn(records).attestation?.why ?? "", why);
    assert.equal(reportOn(records).verdict, "PASS");
    assert.match(findings(bent(records, { document: "{}" }))[0] ?? "", /^FAIL attestation of .* the event can have none/);
  }
  // PostgreSQL refused the row: no attestation, though the line is one of an event.
  const { records } = worldOf(`{"metadata":{}}`);
  const refused = records.map((one) =>
    one.type === "entry" ? { ...one, rows: [], deadLetters: [{ firstSeq: 1, count: 1, code: "ENGINE_ROW_REFUSED" }] } : one,
  );
  assert.match(findings(refused)[0] ?? "", /can have none: it is a dead letter: ENGINE_ROW_REFUSED/);
});

test("DP-71 one character of the document, of its fingerprint or of the note changed is found and named", () => {
  const records = fullWorld().attestedFile(event);
  assert.equal(reportOn(records).verdict, "PASS");
  const { document, note } = recordOf(records);
  for (const [name, text] of [
    ["document", document ?? ""],
    ["note", note ?? ""],
  ] as const)
    for (let at = 0; at < text.length; at += 1) {
      const other = text[at] === "1" ? "2" : "1";
      const report = reportOn(bent(records, { [name]: `${text.slice(0, at)}${other}${text.slice(at + 1)}` }));
      assert.equal(report.verdict, "FAIL", `${name} ${at}`);
      assert.ok(report.findings.some(({ what }) => what === `attestation of ${id}`));
    }
  for (const [change, says] of [
    [
      { document: document?.replace(`"severity_id":1`, `"severity_id":5`) ?? "" },
      /differs from what the signed line gives in severity_id$/,
    ],
    [{ document: document?.replace(/"value":"./gu, `"value":"g`) ?? "" }, /in attestation_list$/],
    [{ document: document?.replace(`"severity_id":1`, `"severity_id": 1`) ?? "" }, /not in its canonical form/],
    [{ document: document?.replace(`"severity_id":1`, `"severity_id":9,"severity_id":1`) ?? "" }, /"severity_id" twice/],
    [{ document: "[".repeat(100_000) }, /nested deeper/],
    [{ document: "null" }, /differs .* in .*class_uid/],
    [{ note: `${note}${note?.split("\n").at(-2)}\n` }, /cannot be read/],
    // The last character of a signature has two bits that decode to nothing.
    [{ note: note?.replace(/.(?==\n$)/, (last) => base64[base64.indexOf(last) + 1] ?? "") ?? "" }, /cannot be read/],
    [{ note: null, why: "stripped" }, /in attestation_list$/],
    [{ document: null }, /MISSING .*the event can have one/],
    [{ event: `${a}:2:4` }, /one of another event/],
  ] as const)
    assert.match(findings(bent(records, change)).join("\n"), says);
});

test("DP-71 a batch that was changed takes its attestation with it", () => {
  const records = fullWorld()
    .attestedFile(event)
    .map((one) => {
      if (one.type !== "entry") return one;
      const payload = Buffer.from(one.payload);
      payload[payload.indexOf("ws-1") + 3] = "2".charCodeAt(0);
      return { ...one, payload, rows: one.rows.map((row) => ({ ...row, host: row.seq === 3 ? "ws-2" : row.host })) };
    });
  const found = findings(records);
  assert.ok(
    found.some((one) => /signed over another fingerprint/.test(one)) &&
      found.some((one) => /differs .* in attestation_list, device/.test(one)),
    found.join("\n"),
  );
});

test("DP-71 a note of another event, another checkpoint, another chain or another key is named, whoever signed it", () => {
  const world = fullWorld();
  const stranger = sealerKey();
  const hash = (number: number): string => statementHash(parseNote(world.statements.notes[number] as string).text);
  const says = (say: Parameters<World["attestedFile"]>[1]): string => findings(world.attestedFile(event, say)).join("\n");
  assert.equal(says({}), "");
  for (const [say, why] of [
    [{ event: `${a}:2:4` }, /another event/],
    [{ fingerprint: "0".repeat(64) }, /another fingerprint/],
    [{ checkpoint: 1 }, /names checkpoint 1, which is not the one/],
    [{ checkpoint: 99 }, /names checkpoint 99/],
    [{ statementHash: hash(1) }, /no such statement/],
    [{ statement: 7 }, /no such statement/],
    [{ statement: 1, statementHash: hash(1), signer: world.firstKey }, /before the statements that it names/],
    [{ madeUs: startUs }, /before the statements that it names/],
    [{ signer: stranger }, /not signed by the sealer's key of its time/],
    [{ signer: world.firstKey }, /not signed by the sealer's key of its time/],
  ] as const)
    assert.match(says(say), why);
  // A key of the same name is another key; a statement is no attestation, and none is a statement.
  const records = world.attestedFile(event);
  assert.match(findings(bent(records, { note: world.statements.notes[4] as string }))[0] ?? "", /note that cannot be read/);
  assert.throws(() => parseStatement(recordOf(records).note ?? ""), { code: "EVIDENCE_STATEMENT_MALFORMED" });
  const said = parseAttestation(recordOf(records).note ?? "");
  assert.throws(() => parseAttestation(signNote(attestationText(said), [world.signer, stranger])), {
    code: "EVIDENCE_STATEMENT_MALFORMED",
  });
});

test("DP-71 R-20 an attestation from before the sealer's key was rotated holds, and one from behind it is the new key's", () => {
  const world = fullWorld();
  const old = recordOf(world.attestedFile(event));
  const before = world.signer;
  world.rotate();
  const records = world.attestedFile(event);
  assert.equal(reportOn(bent(records, { ...old })).verdict, "PASS");
  assert.equal(reportOn(records).verdict, "PASS");
  assert.match(findings(world.attestedFile(event, { signer: before }))[0] ?? "", /not signed by the sealer's key of its time/);
});

test("DP-71 an attestation stands behind its batch, once, in a file of one event; a file of an older release has none", () => {
  const world = fullWorld();
  const records = world.attestedFile(event);
  const attestation = recordOf(records);
  const entry = records.findIndex(({ type }) => type === "entry");
  for (const moved of [
    [...records.slice(0, entry), attestation, ...records.slice(entry, entry + 1)],
    [...records.slice(0, -1), attestation],
    [...world.file().slice(0, -1), attestation],
  ])
    assert.match(findings(withEnd(moved)).join("\n"), /does not stand behind the batch of the event/);
  const older = reportOn(world.file({ kind: "event", ...event }));
  assert.deepEqual([older.verdict, older.attestation], ["PASS", null]);
  // What no checkpoint covers was signed by nobody.
  const unsealed = { producer: b, epoch: 1, seq: 8 };
  assert.match(findings(world.attestedFile(unsealed, { checkpoint: 4 }))[0] ?? "", /not the one that covers the batch/);
});
