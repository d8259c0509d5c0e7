/**
 * Why: disks fail and fill, and whoever waits for a spool must hear of it. Enforces: what was not durable is never confirmed, every call is answered, and nothing
 * stays open or locked.
 */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { type OpenProducer, openProducer, type OpenSpoolFile, type Producer, saveIdentity } from "../src/lib.ts";
import { openSpoolFile } from "../src/spool_files.ts";
import { settings, testIdentity } from "./gateway_double.ts";

const identity = testIdentity();

async function openFor(t: TestContext, all: OpenProducer): Promise<Producer> {
  const one = await openProducer(all);
  t.after(() => one.close());
  return one;
}

/** A disk that fails at each flush. */
const failing =
  (code: string): OpenSpoolFile =>
  async (path, create) => ({
    ...(await openSpoolFile(path, create)),
    sync: () => Promise.reject(Object.assign(new Error(code), { code })),
  });

test("a disk that fails to flush ends the producer: what was not durable is never confirmed", async (t) => {
  const directory = await temporaryDirectory();
  const one = await openFor(t, settings(identity, 9, directory, { openFile: failing("EIO") }));
  await assert.rejects(one.sendMany([Buffer.from("{}")]), (error) => hasCode(error, "SDK_SPOOL_FAILED"));
  assert.equal(one.stats().stopped, "SDK_SPOOL_FAILED");
  await one.close();
});

test("a producer that stops answers every call, also one whose lines wait in the open frame", async (t) => {
  const one = await openFor(t, settings(identity, 9, await temporaryDirectory(), { openFile: failing("EIO"), lingerMs: 60_000 }));
  const calls = [one.sendMany([Buffer.from("{}")], { urgent: true }), one.sendMany([Buffer.from("{}")]), one.send("{}")];
  for (const call of calls) await assert.rejects(call, (error) => hasCode(error, "SDK_SPOOL_FAILED"));
  await one.close();
});

test("whatever becomes of the last state, a spool that is closed has no file open; one that could not be opened is free", async () => {
  const directory = await temporaryDirectory();
  let files = 0;
  const counting: OpenSpoolFile = async (path, create) => {
    const file = await openSpoolFile(path, create);
    files += 1;
    return { ...file, close: () => file.close().then(() => void (files -= 1)) };
  };
  const identityDir = join(await temporaryDirectory(), "identity");
  await saveIdentity(identityDir, identity);
  const unusable = { ...settings({ ...identity, tlsCertPem: "none" }, 9, directory, { openFile: counting }), identityDir };
  await assert.rejects(openProducer(unusable));
  const one = await openProducer(settings(identity, 9, directory, { openFile: counting }));
  await one.sendMany([Buffer.from("{}")]);
  assert.equal(files, 1);
  await rm(directory, { recursive: true });
  await assert.rejects(one.close());
  assert.equal(files, 0);
});

test("a spool that is closed on a full disk says so to whoever still waits", async (t) => {
  const one = await openFor(t, settings(identity, 9, await temporaryDirectory(), { openFile: failing("ENOSPC") }));
  const call = assert.rejects(one.sendMany([Buffer.from("{}")], { urgent: true }), (error) => hasCode(error, "SDK_DISK_FULL"));
  await one.close();
  await call;
});
