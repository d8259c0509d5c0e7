/**
 * Why: claims DP-4 and DP-5 on the processes: what the sealer signs while the system runs, is killed and stops, and what a stranger can check of it.
 * Enforces: everything stored is sealed at a clean stop; a file is judged on a machine that has nothing but the file; kills of sealer and PostgreSQL break no chain,
 * wherever the log lies.
 * Forbids: looking into the database to find the answer.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { AttestationRecord, Report } from "ransomeye-evidence";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { writeNumberedEvents } from "../src/crash/numbered_events.ts";
import { RunningSystem } from "../src/harness/running_system.ts";

const events = 20_000;

/** Asks until the system can answer: PostgreSQL may just be coming back. */
async function checked(system: RunningSystem, holds: (report: Report) => boolean, ...more: readonly string[]): Promise<Report> {
  for (let attempt = 0; ; attempt += 1) {
    const said = await system.run("evidence", "check", "--since", "1h", "--json", ...more);
    const report = said.stdout === "" ? undefined : (JSON.parse(said.stdout) as Report);
    // Also while events come in, and in the middle of a kill.
    if (report !== undefined) assert.deepEqual([report.verdict, report.findings], ["PASS", []]);
    if (report !== undefined && holds(report)) return report;
    assert.ok(attempt < 60, said.stderr + said.stdout);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

test("DP-4 DP-5 DP-70 DP-72 R-20 X-3 evidence of a running system: sealed through kills, exported, judged elsewhere, sealed to the end at a stop", async () => {
  const elsewhere = await mkdtemp(join(tmpdir(), "re-elsewhere-"));
  await using system = await RunningSystem.start(["--set", "evidence.checkpoint_ms=300"]);
  try {
    const file = join(system.dataDir, "numbered.ndjson");
    await writeNumberedEvents(file, events, 7, OCSF_VERSION);
    const shipping = system.run("ship", file, "--wait", "stored");
    await checked(system, ({ statements }) => statements > 1);
    await system.kill("sealer");
    await checked(system, ({ rows }) => rows > 0);
    if (system.hasOwnDatabase) await system.kill("postgres");
    assert.equal((await shipping).exitCode, 0);
    const report = await checked(system, ({ rows, unsealed }) => rows === events && unsealed === 0);
    assert.deepEqual([report.verdict, report.findings], ["PASS", []]);

    const ledger = await system.json<{ producers: readonly { producer: string }[] }>("audit");
    const id = `${ledger.producers[0]?.producer}:1:${events}`;
    const exported = join(elsewhere, "event.evidence");
    assert.equal((await system.run("evidence", "export", exported, "--event", id)).exitCode, 0);
    assert.equal((await stat(exported)).mode & 0o777, 0o600);
    const recordOf = (text: string): AttestationRecord =>
      JSON.parse(text.split("\n").find((line) => line.startsWith('{"type":"attestation"')) ?? "null") as AttestationRecord;
    const attestation = recordOf(await readFile(exported, "utf8"));
    assert.match(attestation.note ?? attestation.why ?? "", new RegExp(`^ransomeye/attestation/v1\nevent ${id}\n`));
    assert.ok(attestation.document?.includes('"profiles":["record_integrity"]') && attestation.document.includes('"signatures":['));
    // Whoever can ask for the sealer's word owns the data directory.
    const { socketDir } = JSON.parse(await readFile(join(system.dataDir, "runtime.json"), "utf8")) as { socketDir: string };
    assert.equal((await stat(join(socketDir, "sealer.sock"))).mode & 0o777, 0o600);
    const copy = join(elsewhere, "checkpoint.note");
    await writeFile(copy, (await system.run("evidence", "checkpoint")).stdout);
    const key = (await system.run("evidence", "key")).stdout.trim();
    const whole = join(elsewhere, "all.evidence");
    assert.equal((await system.run("evidence", "export", whole)).exitCode, 0);
    assert.equal((await system.run("evidence", "export", whole)).exitCode, 2, "a file that is there is not written over");

    assert.equal(await system.stop(), 0);
    // Nothing of the system runs any more.
    for (const trust of [[], ["--key", key], ["--checkpoint", copy]])
      for (const name of [exported, whole]) {
        const judged = await system.run("evidence", "verify", name, ...trust, "--json");
        const { verdict, anchored, rows, attestation: attested } = JSON.parse(judged.stdout) as Report;
        assert.deepEqual(
          [judged.exitCode, verdict, anchored, rows, attested?.state],
          [0, "PASS", trust.length > 0, name === whole ? events : 1, name === whole ? undefined : "signed"],
          judged.stderr,
        );
      }
    const text = await readFile(exported, "utf8");
    const bent = join(elsewhere, "bent.evidence");
    await writeFile(
      bent,
      text.replace(/"payload":"(.{400})./u, (_all, before: string) => `"payload":"${before}/`),
    );
    const judged = await system.run("evidence", "verify", bent);
    assert.equal(judged.exitCode, 1);
    assert.match(judged.stdout, /^FAIL .*batch .*\n +its payload is not the one that was signed/);
    await writeFile(bent, text.replace(/\\"severity_id\\":\d/u, String.raw`\"severity_id\":6`));
    const altered = await system.run("evidence", "verify", bent);
    assert.equal(altered.exitCode, 1);
    assert.match(
      altered.stdout,
      /^FAIL +attestation of .*\n +has a document that differs from what the signed line gives in severity_id\n/,
    );
    await writeFile(bent, text.slice(0, text.length / 2));
    const cut = await system.run("evidence", "verify", bent);
    assert.deepEqual([cut.exitCode, cut.stdout], [1, ""]);
    assert.match(cut.stderr, /EVIDENCE_FILE_UNREADABLE/);
    assert.equal((await system.run("evidence", "verify", join(elsewhere, "none"))).exitCode, 2);

    await system.startAgain(["--set", "evidence.checkpoint_ms=86400000"]);
    const after = await checked(system, () => true, "--checkpoint", copy);
    assert.deepEqual([after.anchored, after.unsealed, after.rows], [true, 0, events]);
    const signed = async (): Promise<number> =>
      (await readFile(join(system.dataDir, "logs", "sealer.log"), "utf8")).split('"event":"statement_signed"').length - 1;
    const before = await signed();
    assert.equal((await system.run("ship", file, "--wait", "stored")).exitCode, 0);
    assert.equal(await signed(), before, "the next checkpoint is due tomorrow");
    const unsealed = join(elsewhere, "unsealed.evidence");
    const early = await system.run("evidence", "export", unsealed, "--event", id.replace(/\d+$/u, String(2 * events)));
    assert.equal(early.exitCode, 0);
    assert.match(early.stderr, /the event's attestation is not signed: no checkpoint covers its batch yet/);
    assert.deepEqual(
      [recordOf(await readFile(unsealed, "utf8")).note, (await system.run("evidence", "verify", unsealed)).exitCode],
      [null, 0],
    );
    assert.equal(await system.stop(), 0);
    assert.equal(await signed(), before + 1, "a stop leaves nothing unsealed");
  } finally {
    await rm(elsewhere, { recursive: true, force: true });
  }
});
