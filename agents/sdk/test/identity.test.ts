/**
 * Why: keys are the identity. Enforces: promise 4 at the producer: proof of both keys, private files.
 */
import assert from "node:assert/strict";
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { verifyEnrolment } from "ransomeye-ingestion/protocol";
import { hasCode, seededRandom } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { createEnrolmentRequest, enrolmentKeys, enrolmentOver, loadIdentity, SDK_CODES, saveIdentity } from "../src/lib.ts";
import { testIdentity } from "./gateway_double.ts";

test("ING-7 an enrolment request proves both keys, and two are never alike", () => {
  const one = createEnrolmentRequest({ kind: "dpi", name: "probe" }, seededRandom(1));
  const two = createEnrolmentRequest({ kind: "dpi", name: "probe" }, seededRandom(1));
  assert.equal(verifyEnrolment(one.request).kind, "decoded");
  assert.notDeepEqual(one.request.batchPublicKey, two.request.batchPublicKey);
  assert.ok(!JSON.stringify(one.request).includes("PRIVATE"));
});

test("P-4: an identity is written for its owner alone, and refused where others may read it", async () => {
  const directory = join(await temporaryDirectory(), "producer");
  const identity = { ...testIdentity(), receiptKeys: [Buffer.alloc(32, 5)] };
  await saveIdentity(directory, identity);
  const loaded = await loadIdentity(directory);
  assert.ok(loaded.batchKey.equals(identity.batchKey));
  assert.deepEqual({ ...loaded, batchKey: 0 }, { ...identity, batchKey: 0 });
  const files = ["identity.json", "tls.key", "tls.crt", "ca.crt", "batch.key"];
  for (const name of files) assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600, name);
  assert.equal((await stat(directory)).mode & 0o777, 0o700);
  for (const name of [...files, "."]) {
    const path = join(directory, name);
    await chmod(path, name === "." ? 0o750 : 0o640);
    await assert.rejects(loadIdentity(directory), (error) => hasCode(error, "SDK_IDENTITY_EXPOSED"), name);
    await chmod(path, name === "." ? 0o700 : 0o600);
  }
  await loadIdentity(directory);
});

test("an identity that is not one is refused with a code", async () => {
  const directory = join(await temporaryDirectory(), "producer");
  await assert.rejects(loadIdentity(directory), (error) => hasCode(error, "SDK_IDENTITY_INVALID"));
  await saveIdentity(directory, testIdentity());
  const path = join(directory, "identity.json");
  const good = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  for (const change of [{ producer: "x" }, { kind: "mac" }, { trust_domain: "" }, { receipt_keys: ["00"] }]) {
    await writeFile(path, JSON.stringify({ ...good, ...change }), { mode: 0o600 });
    await assert.rejects(loadIdentity(directory), (error) => hasCode(error, "SDK_IDENTITY_INVALID"), JSON.stringify(change));
  }
  await writeFile(path, JSON.stringify(good));
  await writeFile(join(directory, "batch.key"), testIdentity().tlsKeyPem);
  await assert.rejects(loadIdentity(directory), (error) => hasCode(error, "SDK_IDENTITY_INVALID"));
});

test("an identity whose certificate is not its key's, or is none, is refused where it is read, in words that hold no key", async () => {
  const directory = join(await temporaryDirectory(), "producer");
  const identity = testIdentity();
  const refused = async (what: string): Promise<string> => {
    const error = await loadIdentity(directory).then(
      () => assert.fail(what),
      (reason: unknown) => reason as Error,
    );
    assert.ok(hasCode(error, "SDK_IDENTITY_INVALID") && error.message.includes(directory), what);
    assert.doesNotMatch(error.message, /PRIVATE|MIG|MC4/, what);
    return error.message;
  };
  assert.match(await refused("nothing there"), /ENOENT/);
  for (const [name, text, says] of [
    ["tls.crt", "-----BEGIN CERTIFICATE-----", /./],
    ["tls.crt", identity.caPem, /tls\.crt is not the certificate/],
    ["ca.crt", "", /ca\.crt holds no certificate/],
    ["renewal.json", identity.tlsKeyPem, /renewal\.json is damaged/],
    ["renewal.json", "{}", /renewal\.json is damaged/],
  ] as const) {
    await saveIdentity(directory, identity);
    await writeFile(join(directory, name), text, { mode: 0o600 });
    assert.match(await refused(name), says);
  }
});

test("keys of an enrolment are on disk before anybody is asked, and the same at the next attempt until it is over", async () => {
  const directory = join(await temporaryDirectory(), "producer");
  const first = await enrolmentKeys(directory);
  const again = await enrolmentKeys(directory);
  assert.ok(again.tlsKey.equals(first.tlsKey) && again.batchKey.equals(first.batchKey));
  const { request } = createEnrolmentRequest({ kind: "linux", name: "x" }, seededRandom(1), again);
  assert.equal(verifyEnrolment(request).kind, "decoded");
  await enrolmentOver(directory);
  assert.ok(!(await enrolmentKeys(directory)).batchKey.equals(first.batchKey));
  const path = join(directory, "enrolment.json");
  await writeFile(path, (await readFile(path, "utf8")).slice(0, 200));
  await assert.rejects(
    enrolmentKeys(directory),
    (error: Error) => hasCode(error, "SDK_IDENTITY_INVALID") && !/PRIVATE/.test(error.message),
  );
});

test("a folder that holds other things and is open to others is refused, not closed", async () => {
  const directory = await temporaryDirectory();
  await mkdir(join(directory, "somebody"));
  await chmod(directory, 0o755);
  await assert.rejects(saveIdentity(directory, testIdentity()), (error) => hasCode(error, "SDK_IDENTITY_EXPOSED"));
  await assert.rejects(enrolmentKeys(directory), (error) => hasCode(error, "SDK_IDENTITY_EXPOSED"));
  assert.equal((await stat(directory)).mode & 0o777, 0o755);
});

test("every code says what it means and what comes next", () => {
  for (const [code, { meaning, next, stage }] of Object.entries(SDK_CODES))
    assert.ok(code.startsWith("SDK_") && meaning && next && stage, code);
});
