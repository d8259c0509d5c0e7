/** Where exported records go: a new file or a pipe, and what happens when neither takes any more. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { after, test } from "node:test";
import type { EvidenceRecord } from "ransomeye-evidence";
import { writeEvidenceFile, writeEvidenceStream } from "../src/evidence/evidence_file.ts";

const folder = await mkdtemp(join(tmpdir(), "re-evidence-file-"));
after(() => rm(folder, { recursive: true, force: true }));

/** Records that know whether their reader has let them go, as an export knows its connection. */
class Records {
  given = 0;
  released = false;
  readonly #count: number;
  readonly #failsAfter: number;

  constructor(count: number, failsAfter = Number.POSITIVE_INFINITY) {
    this.#count = count;
    this.#failsAfter = failsAfter;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EvidenceRecord, void, undefined> {
    try {
      while (this.given < this.#count) {
        if (this.given === this.#failsAfter) throw new Error("the database is gone");
        this.given += 1;
        yield { type: "statement", note: `note ${this.given} ${"x".repeat(1000)}` };
      }
    } finally {
      this.released = true;
    }
  }
}

test("DP-4 a file of evidence is new, its owner's alone, whole or not there, and never written over", async () => {
  const path = join(folder, "one.evidence");
  const records = new Records(300);
  assert.equal(await writeEvidenceFile(path, records), 300);
  assert.equal((await readFile(path, "utf8")).trimEnd().split("\n").length, 300);
  assert.equal((await stat(path)).mode & 0o777, 0o600);

  await writeFile(path, "somebody's");
  // However much there is to write: what nobody takes is not waited for.
  for (const count of [1, 5000]) {
    const refused = new Records(count);
    await assert.rejects(writeEvidenceFile(path, refused), { code: "EEXIST" });
    assert.equal(refused.given, 0);
  }
  assert.equal(await readFile(path, "utf8"), "somebody's");

  const half = join(folder, "half.evidence");
  const failing = new Records(5000, 2000);
  await assert.rejects(writeEvidenceFile(half, failing), /the database is gone/);
  await assert.rejects(stat(half), { code: "ENOENT" });
  assert.ok(failing.released);
});

/** Takes `fits` writes, then fails with `error`. */
const sink = (fits: number, error: Error): Writable => {
  let taken = 0;
  const stream = new Writable({
    write: (_chunk, _encoding, done) => setImmediate(() => done((taken += 1) > fits ? error : null)),
  });
  return stream.on("error", () => undefined);
};

const failed = (code: string): Error => Object.assign(new Error(code), { code, syscall: "write" });

test("a reader who has seen enough ends an export without an error; a full disk is told; both let the records go", async () => {
  const seen = new Records(5000);
  assert.equal(await writeEvidenceStream(sink(3, failed("EPIPE")), seen), null);
  assert.ok(seen.given > 0 && seen.given < 5000);
  assert.ok(seen.released);

  const full = new Records(5000);
  await assert.rejects(writeEvidenceStream(sink(3, failed("ENOSPC")), full), { code: "ENOSPC" });
  assert.ok(full.released);

  const left = new Records(5000);
  const gone = sink(0, failed("EPIPE"));
  gone.destroy();
  assert.equal(await writeEvidenceStream(gone, left), null);
  assert.ok(left.released);

  assert.equal(await writeEvidenceStream(sink(5000, failed("EPIPE")), new Records(300)), 300);
});
