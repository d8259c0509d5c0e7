/** Enrolment over the network: tokens, renewal, clones, key rotation, wrong clocks; the SDK against the real listener. */
import assert from "node:assert/strict";
import "reflect-metadata";
import { generateKeyPairSync, webcrypto, X509Certificate } from "node:crypto";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import type { AddressInfo } from "node:net";
import { connect as tlsConnect, createServer, type TLSSocket } from "node:tls";
import * as x509 from "@peculiar/x509";
import { openTestServer } from "ransomeye-db/testing";
import { recordingTelemetry, sleep, systemClock, systemRandom } from "ransomeye-kernel";
import {
  channelBinding,
  ed25519Sign,
  enrolmentPaths,
  enrolmentWire,
  enrolProofBytes,
  formatToken,
  gatewaySpiffeId,
  keyIdOf,
  parseToken,
  rawPublicKey,
} from "ransomeye-ingestion/protocol";
import {
  enrolWithToken,
  loadIdentity,
  openProducer,
  renewIdentity,
  rotateBatchKey,
  saveIdentity,
  SdkError,
  signedClockOffsetUs,
} from "ransomeye-sdk";
import type { ShownClone } from "../src/registry/requests.ts";
import type { WireProducer } from "../src/registry/wire.ts";
import { domain, startEnrolment } from "./enrolment_parts.ts";

const server = await openTestServer();
after(() => server.close());

const dayUs = 86_400_000_000;
const refusedWith =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof SdkError && error.code === "SDK_ENROL_REFUSED" && error.fields["code"] === code;
const untrusted = (error: unknown): boolean => error instanceof SdkError && error.code === "SDK_ENROL_UNTRUSTED";

test("TB-5 a token admits one key once; asked again the same key gets the same identity, another key is refused and audited", async (t) => {
  const bench = await startEnrolment(t, server);
  const token = await bench.token();
  const directory = bench.folder("a");
  const first = await enrolWithToken(bench.agent, { directory, token, kind: "linux" });
  assert.equal(first.known, false);
  assert.equal(first.name, "probe");
  const saved = await loadIdentity(directory);
  assert.deepEqual(saved.enrolment, { host: bench.address.host, port: bench.address.port });
  const cert = new X509Certificate(saved.tlsCertPem);
  assert.equal(cert.subjectAltName, `URI:spiffe://ransomeye.test/producer/linux/${first.identity.producer}`);

  // A crash after the answer and before it was saved: the keys of the first attempt are there, the identity is not.
  const repeated = bench.folder("repeated");
  await cp(directory, repeated, { recursive: true });
  const keys = JSON.stringify({ tls_key: saved.tlsKeyPem, batch_key: await readFile(join(directory, "batch.key"), "utf8") });
  for (const file of ["identity.json", "tls.key", "tls.crt", "batch.key"]) await rm(join(repeated, file));
  await writeFile(join(repeated, "enrolment.json"), keys, { mode: 0o600 });
  const again = await enrolWithToken(bench.agent, { directory: repeated, token, kind: "linux" });
  assert.ok(again.known && again.identity.producer === first.identity.producer);

  await assert.rejects(
    enrolWithToken(bench.agent, { directory: bench.folder("b"), token, kind: "linux" }),
    refusedWith("ENROL_TOKEN_USED"),
  );
  assert.deepEqual(await bench.audit(), ["token_created", "enrolled", "enrolled_again", "token_reuse_refused"]);
  const { producers } = await bench.ask<{ producers: WireProducer[] }>({ op: "list", from: 0 });
  assert.equal(producers.length, 1);
  assert.deepEqual(await bench.ask({ op: "clones", all: false }), [], "a repeated request is no clone");
});

test("a refusal says what to do, and an address where no registry answers is named", async (t) => {
  const bench = await startEnrolment(t, server);
  const directory = bench.folder("told");
  const token = await bench.token({ kind: "dpi" });
  await assert.rejects(enrolWithToken(bench.agent, { directory, token, kind: "linux" }), (error: Error) => {
    assert.match(error.message, /^ENROL_KIND: the token is for a producer of kind dpi; \S/);
    return refusedWith("ENROL_KIND")(error);
  });
  const silent = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  silent.close();
  const nobody = { ...bench.agent, address: { host: "127.0.0.1", port } };
  await assert.rejects(enrolWithToken(nobody, { directory, token, kind: "linux" }), {
    code: "SDK_ENROL_UNREACHABLE",
    message: new RegExp(`at 127\\.0\\.0\\.1:${String(port)} \\(.*ECONNREFUSED`),
  });
  const made = await bench.ask<{ server: string }>({ op: "token_create", name: "x", kind: "linux", uses: 1, seconds: 60 });
  assert.equal(made.server, `${bench.address.host}:${String(bench.address.port)}`);
});

test("TB-5 of a token only a hash is kept; a wrong secret, an unknown, an expired, a revoked one and one of another kind have their codes", async (t) => {
  const bench = await startEnrolment(t, server);
  const attempt = (token: string): Promise<unknown> =>
    enrolWithToken(bench.agent, { directory: bench.folder(token.slice(-8)), token, kind: "linux" });
  const text = await bench.token();
  const token = parseToken(text);
  assert.ok(token !== undefined);
  const dump = JSON.stringify((await bench.tables.query("SELECT t::text FROM registry.enrolment_tokens t")).rows);
  assert.ok(dump.includes(token.id) && !dump.includes(token.secret.toString("hex")) && !dump.includes(token.secret.toString("base64")));
  await assert.rejects(attempt(formatToken({ ...token, secret: Buffer.alloc(32, 1) })), refusedWith("ENROL_TOKEN_REFUSED"));
  await assert.rejects(attempt(formatToken({ ...token, id: "0011223344556677" })), refusedWith("ENROL_TOKEN_REFUSED"));
  await assert.rejects(
    enrolWithToken(bench.agent, { directory: bench.folder("w"), token: text, kind: "windows" }),
    refusedWith("ENROL_KIND"),
  );
  await bench.ask({ op: "token_revoke", id: token.id });
  await assert.rejects(attempt(text), refusedWith("ENROL_TOKEN_REVOKED"));
  const short = await bench.token({ seconds: 5 });
  bench.shift(10_000_000);
  await assert.rejects(attempt(short), refusedWith("ENROL_TOKEN_EXPIRED"));
  const { producers } = await bench.ask<{ producers: WireProducer[] }>({ op: "list", from: 0 });
  assert.equal(producers.length, 0);
  const secret = token.secret.toString("base64url");
  assert.ok(!JSON.stringify(bench.telemetry.events).includes(secret), "no secret in what is logged");
});

test("TB-5 many machines race for one use: exactly one gets it", async (t) => {
  const bench = await startEnrolment(t, server);
  const token = await bench.token();
  const attempts = Array.from({ length: 12 }, (_, i) =>
    enrolWithToken(bench.agent, { directory: bench.folder(`racer-${i}`), token, kind: "linux" }).then(
      () => "enrolled",
      (error: unknown) => (refusedWith("ENROL_TOKEN_USED")(error) ? "refused" : String(error)),
    ),
  );
  const outcomes = await Promise.all(attempts);
  assert.equal(outcomes.filter((outcome) => outcome === "enrolled").length, 1);
  assert.equal(outcomes.filter((outcome) => outcome === "refused").length, 11);
});

test("TB-5 a proof is worth nothing on another connection: nobody can replay it or pass it on", async (t) => {
  const bench = await startEnrolment(t, server);
  const token = parseToken(await bench.token());
  assert.ok(token !== undefined);
  const keys = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: "CN=whatever",
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
  });
  const batch = generateKeyPairSync("ed25519");
  const ask = {
    tokenId: token.id,
    tokenSecret: token.secret,
    kind: "linux" as const,
    csr: Buffer.from(request.rawData),
    batchKey: rawPublicKey(batch.publicKey),
  };
  const open = (): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const socket = tlsConnect({ ...bench.address, rejectUnauthorized: false }, () => resolve(socket));
      socket.on("error", reject);
    });
  const proofOn = (socket: TLSSocket): Buffer => {
    const binding = socket.exportKeyingMaterial(channelBinding.bytes, channelBinding.label, Buffer.alloc(0));
    return ed25519Sign(enrolProofBytes(binding, ask), batch.privateKey);
  };
  const send = (socket: TLSSocket, batchProof: Buffer): Promise<string> =>
    new Promise((resolve) => {
      const body = JSON.stringify(enrolmentWire.enrolAsk.write({ ...ask, batchProof }));
      socket.once("data", (answer: Buffer) => {
        resolve(answer.toString());
        socket.destroy();
      });
      socket.write(`POST ${enrolmentPaths.enrol} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    });
  const [one, other] = [await open(), await open()];
  assert.match(await send(other, proofOn(one)), /400 .*ENROL_PROOF/s);
  assert.match(await send(one, proofOn(one)), /^HTTP\/1.1 200 /, "and the token was not used up by the attempt");
});

test("TB-6 a registry with another authority is told nothing", async (t) => {
  const bench = await startEnrolment(t, server);
  const other = await startEnrolment(t, server);
  const token = await bench.token();
  await assert.rejects(enrolWithToken(other.agent, { directory: bench.folder("a"), token, kind: "linux" }), untrusted);
  const asked = other.telemetry.events.filter(({ name }) => name === "enrolment_answered").map(({ fields }) => fields["path"]);
  assert.deepEqual(asked, [enrolmentPaths.roots], "nothing but the question whom it is");
  const { identity } = await enrolWithToken(bench.agent, { directory: bench.folder("b"), token, kind: "linux" });
  await assert.rejects(renewIdentity({ ...other.agent }, bench.folder("b")), untrusted);
  assert.equal((await loadIdentity(bench.folder("b"))).tlsCertPem, identity.tlsCertPem);
});

test("TB-7 a renewal gives a new certificate, repeated or within the grace too; later, revoked or barred it does not", async (t) => {
  const bench = await startEnrolment(t, server);
  const directory = bench.folder("a");
  const { identity } = await enrolWithToken(bench.agent, { directory, token: await bench.token(), kind: "linux" });
  const renewed = await renewIdentity(bench.agent, directory);
  assert.notEqual(renewed.tlsCertPem, identity.tlsCertPem);
  assert.notEqual(renewed.tlsKeyPem, identity.tlsKeyPem, "a fresh TLS key");
  assert.equal((await loadIdentity(directory)).tlsCertPem, renewed.tlsCertPem);
  const batch = rawPublicKey(renewed.batchKey);
  assert.ok(batch.equals(rawPublicKey(identity.batchKey)), "the batch key stays");

  // It ended 20 days ago by the registry's clock.
  bench.shift(110 * dayUs);
  const late = await renewIdentity(bench.agent, directory);
  bench.shift(110 * dayUs + 121 * dayUs);
  await assert.rejects(renewIdentity(bench.agent, directory), refusedWith("ENROL_GRACE_OVER"));
  bench.shift(110 * dayUs);
  const producer = identity.producer;
  const fingerprint = new X509Certificate(late.tlsCertPem).fingerprint256.replaceAll(":", "").toLowerCase();
  await bench.ask({ op: "suspend", producer, reason: "" });
  await assert.rejects(renewIdentity(bench.agent, directory), refusedWith("ENROL_BARRED"));
  await bench.ask({ op: "resume", producer, reason: "" });
  await bench.ask({ op: "revoke_part", producer, part: "certificate", id: fingerprint, reason: "" });
  await assert.rejects(renewIdentity(bench.agent, directory), refusedWith("ENROL_CERT_UNKNOWN"));
});

test("TB-7 a running producer renews by itself, long before the end, and shows the new certificate at its next connection", {
  timeout: 60_000,
}, async (t) => {
  const bench = await startEnrolment(t, server);
  const directory = bench.folder("a");
  const { identity } = await enrolWithToken(bench.agent, { directory, token: await bench.token(), kind: "linux" });
  // A gateway that looks at who comes and hangs up.
  const issued = await bench.trust.current.issueServer({ spiffeId: gatewaySpiffeId(domain, "g"), names: ["127.0.0.1"] });
  const shown = new Set<string>();
  const door = createServer(
    { key: issued.keyPem, cert: issued.certPem, requestCert: true, rejectUnauthorized: false, ALPNProtocols: ["h2"] },
    (socket) => {
      shown.add(socket.getPeerX509Certificate()?.fingerprint256 ?? "");
      socket.destroy();
    },
  );
  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
  const telemetry = recordingTelemetry();
  const producer = await openProducer({
    identity,
    identityDir: directory,
    gateway: { host: "127.0.0.1", port: (door.address() as AddressInfo).port },
    spoolDir: bench.folder("spool"),
    options: { backoffBaseMs: 10, backoffCapMs: 50 },
    clock: { ...systemClock, nowUs: () => systemClock.nowUs() + 61 * dayUs },
    random: systemRandom,
    telemetry,
  });
  t.after(async () => {
    await producer.close();
    door.close();
  });
  while (shown.size < 2) await sleep(systemClock, 10);
  const renewed = await loadIdentity(directory);
  assert.deepEqual(
    [...shown],
    [identity, renewed].map(({ tlsCertPem }) => new X509Certificate(tlsCertPem).fingerprint256),
  );
  assert.ok(telemetry.events.some(({ name }) => name === "sdk_certificate_renewed"));
});

test("TB-8 R-6 one identity renewed from two machines is served, audited and shown to an operator until it is accepted", async (t) => {
  const bench = await startEnrolment(t, server);
  const [here, there] = [bench.folder("here"), bench.folder("there")];
  const { identity } = await enrolWithToken(bench.agent, { directory: here, token: await bench.token(), kind: "linux" });
  await cp(here, there, { recursive: true });
  await renewIdentity(bench.agent, here);
  assert.deepEqual(await bench.ask({ op: "clones", all: false }), []);
  await renewIdentity(bench.agent, there);
  const found = await bench.ask<ShownClone[]>({ op: "clones", all: false });
  assert.deepEqual(
    found.map(({ producer, evidence, times }) => ({ producer, evidence, times })),
    [{ producer: identity.producer, evidence: "renewal_fork", times: 1 }],
  );
  // Both machines have left their trace, and which of them came second.
  assert.deepEqual((await bench.audit()).slice(-3), ["renewed", "clone_suspected", "renewed"]);
  assert.deepEqual(await bench.ask({ op: "accept_clone", producer: identity.producer, reason: "reinstalled" }), { findings: 1 });
  assert.deepEqual(await bench.ask({ op: "clones", all: false }), []);
  await assert.rejects(bench.ask({ op: "accept_clone", producer: identity.producer, reason: "" }), /nothing is suspected/);
});

test("TB-9 a batch key is rotated by both keys; the old one ends after the overlap; asking again changes nothing", async (t) => {
  const bench = await startEnrolment(t, server);
  const directory = bench.folder("a");
  const { identity } = await enrolWithToken(bench.agent, { directory, token: await bench.token(), kind: "linux" });
  const before = keyIdOf(rawPublicKey(identity.batchKey));
  const rotated = await rotateBatchKey(bench.agent, directory);
  const next = keyIdOf(rawPublicKey(rotated.identity.batchKey));
  assert.notEqual(next, before);
  assert.equal(keyIdOf(rawPublicKey((await loadIdentity(directory)).batchKey)), next);
  const keys = async (): Promise<Map<string, number | null>> => {
    const { producers } = await bench.ask<{ producers: WireProducer[] }>({ op: "list", from: 0 });
    return new Map(producers[0]?.keys.map((key) => [key.key_id, key.retired_us]));
  };
  assert.deepEqual(
    await keys(),
    new Map([
      [before, rotated.retiredUs],
      [next, null],
    ]),
  );
  assert.ok(rotated.retiredUs > bench.agent.clock.nowUs() + 29 * dayUs);
  await renewIdentity(bench.agent, directory);
  bench.shift(31 * dayUs);
  await renewIdentity(bench.agent, directory);
});

test("TB-14 a replaced key is good for longer where an operator says so, audited; one in force or revoked is not touched", async (t) => {
  const bench = await startEnrolment(t, server);
  const directory = bench.folder("a");
  const { identity } = await enrolWithToken(bench.agent, { directory, token: await bench.token(), kind: "linux" });
  const { producer } = identity;
  const old = keyIdOf(rawPublicKey(identity.batchKey));
  const extend = (id: string): Promise<WireProducer> =>
    bench.ask({ op: "extend_key", producer, id, seconds: 7 * 86_400, reason: "was away" });
  await assert.rejects(extend(old), /has not been replaced/);
  await rotateBatchKey(bench.agent, directory);
  const inOverlap = (await extend(old)).keys.find(({ key_id }) => key_id === old)?.retired_us ?? 0;
  assert.ok(inOverlap > bench.agent.clock.nowUs() + 29 * dayUs, "an overlap is never cut short");
  bench.shift(40 * dayUs);
  await saveIdentity(directory, identity);
  await assert.rejects(renewIdentity(bench.agent, directory), refusedWith("ENROL_KEY_REFUSED"));
  await extend(old.slice(0, 8));
  await renewIdentity(bench.agent, directory);
  assert.ok((await bench.audit()).includes("key_extended"));
  await bench.ask({ op: "revoke_part", producer, part: "key", id: old, reason: "stolen" });
  await assert.rejects(extend(old), /was revoked, and stays so/);
  await assert.rejects(extend("0123456789abcdef"), /has no key/);
});

test("TB-10 a host whose clock is wrong in either direction enrols and renews by signed time (FM-17)", async (t) => {
  for (const aheadUs of [200 * dayUs, -200 * dayUs]) {
    const bench = await startEnrolment(t, server, aheadUs);
    const directory = bench.folder("a");
    const { identity } = await enrolWithToken(bench.agent, { directory, token: await bench.token(), kind: "linux" });
    await renewIdentity(bench.agent, directory);
    const offsetUs = await signedClockOffsetUs(bench.agent, identity.caPem);
    assert.ok(Math.abs(offsetUs - aheadUs) < 60_000_000);
  }
});

test("TB-10 signed time helps no certificate that has really ended, and is believed from nobody else", async (t) => {
  const bench = await startEnrolment(t, server, -200 * dayUs);
  const other = await startEnrolment(t, server);
  const directory = bench.folder("a");
  const { identity } = await enrolWithToken(bench.agent, { directory, token: await bench.token(), kind: "linux" });
  // The listener goes on with the certificate that it has; its clock is right from now on.
  bench.shift(0);
  await assert.rejects(renewIdentity(bench.agent, directory), untrusted);
  await assert.rejects(signedClockOffsetUs(other.agent, identity.caPem), untrusted);
});

test("TB-11 older TLS, unknown paths, large and malformed bodies are refused within bounds", async (t) => {
  const bench = await startEnrolment(t, server);
  const raw = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = tlsConnect({ ...bench.address, rejectUnauthorized: false }, () => socket.write(text));
      let heard = "";
      socket.on("data", (chunk: Buffer) => {
        heard += chunk.toString();
      });
      socket.on("close", () => resolve(heard));
      socket.on("error", reject);
    });
  const post = (path: string, body: string): string =>
    `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  for (const target of ["/v1/else", "//", "///", "/\\", "http://[", "*", "/v1/roots%", "/v1/time?nonce=zz&%"])
    assert.match(await raw(`GET ${target} HTTP/1.1\r\nhost: x\r\n\r\n`), /40[04] .*ENROL_(?:PATH_UNKNOWN|MALFORMED)/s, target);
  const paths = new Set(bench.telemetry.events.filter(({ name }) => name === "enrolment_answered").map(({ fields }) => fields["path"]));
  assert.deepEqual(paths, new Set(["other", "/v1/time"]), "a stranger's words are no metric labels");
  assert.match(await raw(post(enrolmentPaths.enrol, "{}")), /400 .*ENROL_MALFORMED/s);
  assert.match(await raw(post(enrolmentPaths.enrol, "[")), /400 .*ENROL_MALFORMED/s);
  assert.match(await raw(post(enrolmentPaths.enrol, JSON.stringify({ x: "y".repeat(9000) }))), /413 .*ENROL_TOO_LARGE/s);
  assert.match(await raw(post(enrolmentPaths.renew, JSON.stringify({ csr: "", key_id: "", batch_proof: "" }))), /400 .*ENROL_MALFORMED/s);
  await assert.rejects(
    new Promise((_, reject) => tlsConnect({ ...bench.address, rejectUnauthorized: false, maxVersion: "TLSv1.2" }).on("error", reject)),
  );
});
