/** Atomic files: whole, with the asked-for permissions, and nothing left behind. */
import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { diskFacts, machineFacts, writeFileAtomic } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";

test("a file is replaced whole, with exactly the mode asked for whatever the umask", async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, "secret");
  await writeFile(path, "old");
  const umask = process.umask(0o077);
  try {
    await writeFileAtomic(path, "new", 0o644);
  } finally {
    process.umask(umask);
  }
  assert.equal(await readFile(path, "utf8"), "new");
  assert.equal((await stat(path)).mode & 0o777, 0o644);
  assert.deepEqual(await readdir(directory), ["secret"]);
});

test("writers of one path at once leave one whole file", async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, "state");
  const contents = Array.from({ length: 8 }, (_, i) => String(i).repeat(50_000));
  await Promise.all(contents.map((content) => writeFileAtomic(path, content, 0o600)));
  assert.ok(contents.includes(await readFile(path, "utf8")));
  assert.deepEqual(await readdir(directory), ["state"]);
});

test("a target that cannot be replaced keeps what it has and leaves no temporary file", async () => {
  const directory = await temporaryDirectory();
  await assert.rejects(writeFileAtomic(join(directory, "missing", "file"), "x", 0o600));
  const occupied = join(directory, "occupied");
  await writeFileAtomic(join(directory, "other"), "x", 0o600);
  await (await import("node:fs/promises")).mkdir(occupied);
  await assert.rejects(writeFileAtomic(occupied, "x", 0o600));
  assert.deepEqual((await readdir(directory)).sort(), ["occupied", "other"]);
});

test("the machine's facts are plausible", async () => {
  const facts = machineFacts();
  assert.ok(facts.cores >= 1);
  assert.ok(facts.memoryBytes > 64 * 1024 * 1024);
  const disk = await diskFacts(tmpdir());
  assert.ok(disk.freeBytes <= disk.totalBytes);
});

test("what a predecessor with our process id left half written is no obstacle", async () => {
  const path = join(await temporaryDirectory(), "state");
  // In a container every process has the same id, and its writes have the same numbers.
  for (let n = 1; n <= 200; n += 1) await writeFile(`${path}.${process.pid}.${n}.tmp`, "half");
  await writeFileAtomic(path, "whole", 0o600);
  assert.equal(await readFile(path, "utf8"), "whole");
});
