/** Why: certificates are renewed in time, and a wrong clock locks nobody out. Enforces: the schedule, the journal, chains judged by signed time. */
import assert from "node:assert/strict";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import {
  ed25519Sign,
  endorseTimeKey,
  enrolmentPaths,
  enrolmentWire,
  gatewaySpiffeId,
  rawPublicKey,
  timeBytes,
} from "ransomeye-ingestion/protocol";
import { seededRandom, sleep, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { loadIdentity, openProducer, type ProducerIdentity, saveIdentity } from "../src/lib.ts";
import { chainFault } from "../src/chain_check.ts";
import { renewAtUs, renewRetryMs, warningDue } from "../src/renewal_schedule.ts";
import { issue, type Issued } from "./certificates.ts";
import { authority, type DoubleOptions, GatewayDouble, settings, testIdentity, trustDomain } from "./gateway_double.ts";

const yearUs = 365 * 86_400_000_000;
const over: readonly [string, string] = ["20200101000000Z", "20210101000000Z"];
/** Within `over`. */
const thenUs = Date.parse("2020-06-01T00:00:00Z") * 1000;

test("TB-7 renewal is spread over a twelfth of the lifetime, and a third of it is left for failures", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4e15 }),
      fc.integer({ min: 1_000_000, max: yearUs }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (from, life, unit) => {
        const at = renewAtUs({ notBeforeUs: from, notAfterUs: from + life }, unit);
        assert.ok(at >= from + Math.floor((life * 7) / 12) && at <= from + Math.floor((life * 8) / 12));
      },
    ),
  );
  const random = seededRandom("retries");
  for (let failures = 1; failures < 40; failures += 1) {
    const ms = renewRetryMs(random, failures);
    assert.ok(ms >= 60_000 && ms <= 60_000 + 6 * 3_600_000);
  }
});

test("TB-7 days left are told at 30, 14 and 7, each once", () => {
  let told = Number.POSITIVE_INFINITY;
  const said: number[] = [];
  for (let days = 40; days > -3; days -= 1) {
    const due = warningDue(days, told);
    if (due === undefined) continue;
    told = due;
    said.push(days);
  }
  assert.deepEqual(said, [30, 14, 7]);
});

test("TB-7 a crash while a renewal is written leaves one whole identity: the old one before the journal, the new one after it", async () => {
  const directory = await temporaryDirectory();
  const before = testIdentity();
  await saveIdentity(directory, before);
  const { tlsKeyPem, tlsCertPem, caPem } = testIdentity();
  await writeFile(join(directory, "renewal.json"), JSON.stringify({ tlsKeyPem, tlsCertPem, caPem }), { mode: 0o600 });
  await rm(join(directory, "tls.key"));
  const after = await loadIdentity(directory);
  assert.deepEqual([after.tlsKeyPem, after.tlsCertPem], [tlsKeyPem, tlsCertPem]);
  assert.ok(rawPublicKey(after.batchKey).equals(rawPublicKey(before.batchKey)));
});

test("TB-10 a chain is judged whole: who signed it, what it is for, and every date on the way", () => {
  const gateway = [gatewaySpiffeId(trustDomain, "g")];
  const by = (issuer: Issued, common = "test authority"): { common: string; key: Issued["key"] } => ({ common, key: issuer.key });
  const x509 = (issued: Issued): X509Certificate => new X509Certificate(issued.certPem);
  const root = x509(authority);
  const good = x509(issue("gateway", gateway, by(authority), over));
  assert.equal(chainFault([good], [root], thenUs), undefined);
  assert.equal(chainFault([good], [root], thenUs + yearUs), "dates");
  assert.equal(chainFault([good], [root], thenUs - yearUs), "dates");
  assert.equal(chainFault([], [root], thenUs), "untrusted");
  const alien = issue("test authority", []);
  assert.equal(chainFault([x509(issue("gateway", gateway, by(alien), over))], [root], thenUs), "untrusted");
  assert.equal(
    chainFault([x509(issue("gateway", gateway, by(alien), over)), x509(alien)], [root], thenUs),
    "untrusted",
    "its own root along",
  );
  assert.equal(chainFault([root], [root], thenUs), "purpose", "an authority is no gateway");
});

/** A registry that tells the time, as somebody. */
async function timeServer(t: TestContext, timeUs: number, signer: Issued): Promise<{ host: string; port: number }> {
  const tls = issue("registry", [`spiffe://${trustDomain}/registry`], { common: "test authority", key: signer.key });
  const timeKey = generateKeyPairSync("ed25519").privateKey;
  const raw = rawPublicKey(timeKey);
  const server = createServer({ key: tls.keyPem, cert: tls.certPem }, (request, response) => {
    const url = new URL(request.url ?? "", "https://x");
    const nonce = Buffer.from(url.searchParams.get("nonce") ?? "", "hex");
    const json =
      url.pathname === enrolmentPaths.roots
        ? enrolmentWire.roots.write({ roots: signer.certPem, link: "" })
        : enrolmentWire.time.write({
            timeUs,
            nonce,
            timeKey: raw,
            endorsement: endorseTimeKey(raw, signer.key),
            signature: ed25519Sign(timeBytes(nonce, timeUs), timeKey),
          });
    response.end(JSON.stringify(json));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

async function connected(t: TestContext, enrolment: ProducerIdentity["enrolment"], double: DoubleOptions): Promise<string[]> {
  const identity: ProducerIdentity = { ...testIdentity(), ...(enrolment === undefined ? {} : { enrolment }) };
  const gateway = new GatewayDouble(identity, double);
  const all = settings(identity, await gateway.listen(), await temporaryDirectory());
  const producer = await openProducer(all);
  t.after(async () => {
    await producer.close();
    gateway.close();
  });
  const seen = (): string[] =>
    all.telemetry.events.map(({ name, fields }) =>
      name === "sdk_session_ended" || name === "sdk_producer_alarmed" ? String(fields["code"]) : name,
    );
  const settled = (): boolean => seen().includes("sdk_session_opened") || seen().filter((name) => name.startsWith("SDK_")).length >= 4;
  while (!settled()) await sleep(systemClock, 5);
  return seen();
}

test("TB-10 a host whose clock is wrong connects by the registry's signed time, and says so", async (t) => {
  const seen = await connected(t, await timeServer(t, thenUs, authority), { dates: over });
  assert.ok(seen.includes("SDK_SERVER_DATES"), "OpenSSL refused first");
  assert.ok(seen.includes("sdk_clock_wrong") && seen.includes("sdk_session_opened"));
});

test("TB-10 no registry, a stranger's time and a certificate that has really ended open nothing", async (t) => {
  const stranger = issue("test authority", []);
  for (const enrolment of [undefined, await timeServer(t, thenUs, stranger), await timeServer(t, systemClock.nowUs(), authority)]) {
    const seen = await connected(t, enrolment, { dates: over });
    assert.ok(!seen.includes("sdk_session_opened"), seen.join(" "));
  }
});

test("TB-10 an alien certificate whose dates are wrong too is refused as alien, at any time", async (t) => {
  const seen = await connected(t, await timeServer(t, thenUs, authority), { dates: over, issuer: issue("test authority", []) });
  assert.ok(!seen.includes("sdk_session_opened"));
});
