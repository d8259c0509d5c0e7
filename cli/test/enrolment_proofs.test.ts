/** Enrolment against agents that are not the SDK: proofs that do not hold, keys that are none, guesses, and a listener that is asked too much. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, test } from "node:test";
import { connect } from "node:tls";
import { openTestServer } from "ransomeye-db/testing";
import { enrolmentPaths, formatToken, parseToken, rawPublicKey } from "ransomeye-ingestion/protocol";
import { enrolWithToken, loadIdentity, type ProducerIdentity, rotateBatchKey, signedClockOffsetUs } from "ransomeye-sdk";
import { parseRequest, requestLine, suspicionEvidence } from "../src/registry/requests.ts";
import type { WireProducer } from "../src/registry/wire.ts";
import { type EnrolmentBench, startEnrolment } from "./enrolment_parts.ts";
import { ask, askToEnrol, askToRenew, askToRotate, certificationRequest } from "./raw_agent.ts";

const server = await openTestServer();
after(() => server.close());

const dayUs = 86_400_000_000;
const stranger = generateKeyPairSync("ed25519");
/** The point of order one: a signature over anything verifies under it. */
const smallOrder = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]);

async function machine(bench: EnrolmentBench, name: string): Promise<ProducerIdentity> {
  const token = await bench.token({ name });
  return (await enrolWithToken(bench.agent, { directory: bench.folder(name), token, kind: "linux" })).identity;
}

const keysOf = async (bench: EnrolmentBench): Promise<number> => {
  const { producers } = await bench.ask<{ producers: WireProducer[] }>({ op: "list", from: 0 });
  return producers.reduce((sum, { keys }) => sum + keys.length, 0);
};

test("TB-5 whoever has not signed with both keys is admitted under neither, and the token is still good", async (t) => {
  const bench = await startEnrolment(t, server);
  const token = await bench.token();
  const csr = await certificationRequest();
  const forged = Buffer.from(csr);
  forged.writeUInt8(forged.readUInt8(forged.length - 1) ^ 1, forged.length - 1);
  const { code } = await askToEnrol(bench.address, token, { csr: forged });
  assert.equal(code, "ENROL_PROOF", "the TLS key has not signed the request");
  assert.equal((await askToEnrol(bench.address, token, { signer: stranger.privateKey })).code, "ENROL_PROOF");
  assert.equal((await askToEnrol(bench.address, token, { batchKey: smallOrder })).code, "ENROL_KEY_REFUSED");
  assert.equal(await keysOf(bench), 0);
  assert.equal((await askToEnrol(bench.address, token)).code, "ok");
});

test("TB-7 a renewal needs the batch key beside the certificate, and the certificate beside the batch key", async (t) => {
  const bench = await startEnrolment(t, server);
  const identity = await machine(bench, "one");
  const other = await machine(bench, "other");
  assert.equal((await askToRenew(bench.address, identity, { signer: stranger.privateKey })).code, "ENROL_PROOF");
  assert.equal(
    (await askToRenew(bench.address, { ...identity, batchKey: other.batchKey })).code,
    "ENROL_KEY_REFUSED",
    "of another producer",
  );
  const foreign = { ...identity, tlsCertPem: other.tlsCertPem, tlsKeyPem: other.tlsKeyPem };
  assert.equal((await askToRenew(bench.address, foreign)).code, "ENROL_KEY_REFUSED");
  assert.equal((await ask(bench.address, enrolmentPaths.renew, () => ({}))).code, "ENROL_MALFORMED");
  const forged = await certificationRequest();
  forged.writeUInt8(forged.readUInt8(forged.length - 1) ^ 1, forged.length - 1);
  assert.equal((await askToRenew(bench.address, identity, { csr: forged })).code, "ENROL_PROOF");
  assert.equal((await askToRenew(bench.address, identity)).code, "ok");
});

test("TB-9 a key takes over by the signatures of both, is one worth the name, nobody else's, and by a certificate in force", async (t) => {
  const bench = await startEnrolment(t, server);
  const identity = await machine(bench, "one");
  const other = await machine(bench, "other");
  const before = await keysOf(bench);
  assert.equal((await askToRotate(bench.address, identity, { newSigner: stranger.privateKey })).code, "ENROL_PROOF");
  assert.equal((await askToRotate(bench.address, identity, { oldSigner: stranger.privateKey })).code, "ENROL_PROOF");
  assert.equal((await askToRotate(bench.address, identity, { newKey: smallOrder })).code, "ENROL_KEY_REFUSED");
  const taken = { newKey: rawPublicKey(other.batchKey), newSigner: other.batchKey };
  assert.equal((await askToRotate(bench.address, identity, taken)).code, "ENROL_KEY_REFUSED");
  bench.shift(95 * dayUs);
  assert.equal((await askToRotate(bench.address, identity)).code, "ENROL_GRACE_OVER", "it may renew, and then rotate");
  bench.shift(0);
  assert.equal(await keysOf(bench), before);
  assert.equal((await askToRotate(bench.address, identity)).code, "ok");
});

test("TB-9 keys are bounded by the day, and asking again does not put off the end of the old one", async (t) => {
  const bench = await startEnrolment(t, server);
  const identity = await machine(bench, "one");
  const answers: string[] = [];
  for (let nth = 0; nth < 6; nth += 1) answers.push((await askToRotate(bench.address, identity)).code);
  assert.deepEqual(answers, ["ok", "ok", "ok", "ok", "ENROL_RATE", "ENROL_RATE"]);
  const retiredUs = async (): Promise<number | null | undefined> =>
    (await bench.ask<{ producers: WireProducer[] }>({ op: "list", from: 0 })).producers[0]?.keys[0]?.retired_us;
  const first = await retiredUs();
  bench.shift(5 * dayUs);
  await assert.rejects(rotateBatchKey(bench.agent, bench.folder("one")));
  assert.equal(await retiredUs(), first);
});

test("TB-7 certificates are bounded by the day for each producer", async (t) => {
  const bench = await startEnrolment(t, server);
  const identity = await machine(bench, "one");
  const other = await machine(bench, "other");
  const answers: string[] = [];
  for (let nth = 0; nth < 20; nth += 1) answers.push((await askToRenew(bench.address, identity)).code);
  assert.deepEqual(answers, [...Array<string>(19).fill("ok"), "ENROL_RATE"], "with the first one");
  assert.equal((await askToRenew(bench.address, other)).code, "ok");
});

test("TB-11 guesses are audited once and lock their address out, the right token included; it is told for how long", async (t) => {
  const bench = await startEnrolment(t, server);
  const text = await bench.token();
  const token = parseToken(text);
  assert.ok(token !== undefined);
  const wrong = formatToken({ ...token, secret: Buffer.alloc(32, 9) });
  for (let guess = 1; guess <= 10; guess += 1) assert.equal((await askToEnrol(bench.address, wrong)).code, "ENROL_TOKEN_REFUSED");
  const { code, text: said } = await askToEnrol(bench.address, text);
  assert.equal(code, "ENROL_RATE");
  assert.ok(Number(/"retry_after_ms":(\d+)/.exec(said)?.[1]) > 500_000, said);
  assert.deepEqual(
    (await bench.audit()).filter((action) => action === "token_refused"),
    ["token_refused", "token_refused"],
    "the first, and the one that locked",
  );
});

test("TB-5 a token for several machines names them apart; one producer's key does not become another kind's, a barred one's is no way back", async (t) => {
  const bench = await startEnrolment(t, server);
  const token = await bench.token({ uses: 3, name: "web" });
  for (const folder of ["a", "b"]) await enrolWithToken(bench.agent, { directory: bench.folder(folder), token, kind: "linux" });
  const { producers } = await bench.ask<{ producers: WireProducer[] }>({ op: "list", from: 0 });
  assert.deepEqual(
    producers.map(({ name }) => name),
    ["web-1", "web-2"],
  );
  const batch = generateKeyPairSync("ed25519");
  const mine = { batchKey: rawPublicKey(batch.publicKey), signer: batch.privateKey };
  assert.equal((await askToEnrol(bench.address, await bench.token({ name: "mine" }), mine)).code, "ok");
  assert.equal((await askToEnrol(bench.address, await bench.token({ name: "mine" }))).code, "ENROL_NAME_TAKEN");
  await bench.ask({ op: "suspend", producer: "mine", reason: "" });
  assert.equal((await askToEnrol(bench.address, await bench.token({ name: "again" }), mine)).code, "ENROL_BARRED");
});

test("TB-8 R-6 a second machine that enrols with the same batch key is served, and shown to an operator once", async (t) => {
  const bench = await startEnrolment(t, server);
  const batch = generateKeyPairSync("ed25519");
  const mine = { batchKey: rawPublicKey(batch.publicKey), signer: batch.privateKey };
  const token = await bench.token({ name: "mine" });
  for (let nth = 0; nth < 3; nth += 1) assert.equal((await askToEnrol(bench.address, token, mine)).code, "ok");
  const found = await bench.ask<{ evidence: string; times: number }[]>({ op: "clones", all: false });
  assert.deepEqual(
    found.map(({ evidence, times }) => ({ evidence, times })),
    [{ evidence: "enrolment_fork", times: 2 }],
  );
  assert.equal((await bench.audit()).filter((action) => action === "clone_suspected").length, 1);
});

test("TB-8 R-6 every sign of a clone that a gateway may tell is kept for an operator, counted when it comes again, audited once", async (t) => {
  const bench = await startEnrolment(t, server);
  const { producer } = await machine(bench, "one");
  const tell = (evidence: (typeof suspicionEvidence)[number]): void => {
    const request = parseRequest(requestLine({ op: "suspect", suspicion: { producer, evidence, detail: "seen at gateway 1" } }));
    assert.ok(request.op === "suspect");
    bench.registry.suspect(request.suspicion);
  };
  for (const evidence of [...suspicionEvidence, ...suspicionEvidence]) tell(evidence);
  // The registry takes one after the other: after this renewal it has taken them all.
  assert.equal((await askToRenew(bench.address, await loadIdentity(bench.folder("one")))).code, "ok");
  const found = await bench.ask<{ evidence: string; times: number; detail: string }[]>({ op: "clones", all: false });
  assert.deepEqual(
    found.map(({ evidence, times, detail }) => ({ evidence, times, detail })).sort((a, b) => a.evidence.localeCompare(b.evidence)),
    [...suspicionEvidence].sort().map((evidence) => ({ evidence, times: 2, detail: "seen at gateway 1" })),
  );
  const said = bench.telemetry.events.filter(({ name }) => name === "clone_suspected");
  assert.equal(said.length, suspicionEvidence.length);
  assert.equal((await bench.audit()).filter((action) => action === "clone_suspected").length, suspicionEvidence.length);
});

test("TB-11 what goes wrong inside is told by its code and by nothing that names internals", async (t) => {
  const bench = await startEnrolment(t, server);
  const token = await bench.token();
  bench.registry.admit = () => Promise.reject(new Error("relation registry.internal does not exist"));
  const { code, text } = await askToEnrol(bench.address, token);
  assert.equal(code, "ENROL_UNAVAILABLE");
  assert.doesNotMatch(text, /internal does not exist|relation/);
});

test("TB-11 one address opens connections at its rate, one connection asks a few times, and none is resumed", async (t) => {
  const bench = await startEnrolment(t, server, 0, { "enrolment.source_requests_per_minute_max": "3" });
  interface Talk {
    readonly answers: number;
    readonly resumed: boolean;
    readonly session: Buffer | undefined;
  }
  /** Sends so many requests at once and hears until each has an answer of whatever kind; rejects where the connection is cut. */
  const talk = (requests: number, session?: Buffer): Promise<Talk> =>
    new Promise((resolve, reject) => {
      let heard = "";
      let offered: Buffer | undefined;
      const socket = connect({ ...bench.address, rejectUnauthorized: false, ...(session === undefined ? {} : { session }) }, () => {
        socket.write(`GET ${enrolmentPaths.roots} HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(requests));
      });
      socket.on("session", (given: Buffer) => {
        offered = given;
      });
      const over = (): void => {
        resolve({ answers: heard.split("HTTP/1.1 200").length - 1, resumed: socket.isSessionReused(), session: offered });
        socket.destroy();
      };
      socket.on("data", (chunk: Buffer) => {
        heard += chunk.toString();
        if (heard.split("HTTP/1.1 ").length > requests || heard.includes("HTTP/1.1 503")) over();
      });
      socket.on("error", reject);
    });
  const { answers, session } = await talk(12);
  assert.ok(answers > 0 && answers <= 8, `${answers} answers on one connection`);
  assert.equal((await talk(1, session)).resumed, false, "whatever a client keeps of a connection opens no other");
  await talk(1);
  await assert.rejects(talk(1), "the fourth within a minute");
});

test("TB-4 TB-10 when another authority takes over the listener follows it: its certificate, and who vouches for its time", async (t) => {
  const bench = await startEnrolment(t, server);
  const before = await machine(bench, "before");
  assert.ok(Math.abs(await signedClockOffsetUs(bench.agent, before.caPem)) < 60_000_000);
  await bench.ask({ op: "authority_rotate", overlapSeconds: 3600 });
  await bench.refresh();
  await bench.ask({ op: "authority_retire" });
  await bench.refresh();
  const young = await machine(bench, "young");
  assert.notEqual(young.caPem.trim(), before.caPem.trim());
  assert.ok(Math.abs(await signedClockOffsetUs(bench.agent, young.caPem)) < 60_000_000, "endorsed by the authority in force");
  await assert.rejects(signedClockOffsetUs(bench.agent, before.caPem));
});

test("TB-11 the listener's own certificate is renewed long before it ends", async (t) => {
  const bench = await startEnrolment(t, server);
  const serial = (): Promise<string | undefined> =>
    new Promise((resolve, reject) => {
      const socket = connect({ ...bench.address, rejectUnauthorized: false }, () => {
        resolve(socket.getPeerX509Certificate()?.serialNumber);
        socket.destroy();
      });
      socket.on("error", reject);
    });
  const first = await serial();
  bench.shift(59 * dayUs);
  await bench.refresh();
  assert.equal(await serial(), first, "not before it is due");
  bench.shift(61 * dayUs);
  await bench.refresh();
  assert.notEqual(await serial(), first);
});
