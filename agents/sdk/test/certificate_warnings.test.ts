/**
 * Why: an agent whose certificate nobody renews goes silent months later; who runs it must hear of that before. Enforces: TB-7, FM-18.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { producerSpiffeId } from "ransomeye-ingestion/protocol";
import { type Clock, recordingTelemetry, seededRandom, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { type ProducerIdentity, saveIdentity } from "../src/lib.ts";
import { IdentityKeeper } from "../src/identity_keeper.ts";
import { issue } from "./certificates.ts";
import { authority, producer, testIdentity, trustDomain } from "./gateway_double.ts";

const dayUs = 86_400_000_000;
const lookMs = 1000;

/** The same producer with a certificate that ends then. */
function until(identity: ProducerIdentity, end: string): ProducerIdentity {
  const issuer = { common: "test authority", key: authority.key };
  const spiffeId = producerSpiffeId(trustDomain, "linux", producer);
  const { keyPem, certPem } = issue("producer", [spiffeId], issuer, ["20200101000000Z", `${end}000000Z`]);
  return { ...identity, tlsKeyPem: keyPem, tlsCertPem: certPem };
}

/** A port where nobody answers. */
async function closedPort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}

test("FM-18 TB-7 a certificate that is not renewed is told at 30, 14 and 7 days, each once; the next one has warnings of its own", async (t) => {
  const enrolment = { host: "127.0.0.1", port: await closedPort() };
  const first = { ...until(testIdentity(), "20300101"), enrolment };
  const directory = await temporaryDirectory();
  await saveIdentity(directory, first);
  const telemetry = recordingTelemetry();
  let nowUs = 0;
  let passedMs = 0;
  const rest: { looked: () => void; again: () => void } = { looked: () => undefined, again: () => undefined };
  const clock: Clock = {
    nowUs: () => nowUs,
    monotonicMs: () => passedMs,
    setTimer: (ms, fire) => {
      if (ms !== lookMs) return systemClock.setTimer(ms, fire);
      rest.again = fire;
      rest.looked();
      return { cancel: () => undefined };
    },
  };
  const keeper = new IdentityKeeper(
    { directory, identity: first, timeoutMs: 5000, lookMs, clock, random: seededRandom(1), telemetry },
    () => undefined,
  );
  t.after(() => keeper.stop());
  /** One look at a time; a day between two of them. */
  const looked = (begin: () => void): Promise<void> =>
    new Promise((resolve) => {
      rest.looked = resolve;
      passedMs += 86_400_000;
      begin();
    });
  const daysOf = async (identity: ProducerIdentity): Promise<void> => {
    const endUs = Date.parse(new X509Certificate(identity.tlsCertPem).validTo) * 1000;
    for (let days = 40; days >= -2; days -= 1) {
      nowUs = endUs - days * dayUs;
      await looked(() => rest.again());
      assert.equal(telemetry.gauges.get("sdk_certificate_days"), days);
    }
  };
  const told = (): unknown[] =>
    telemetry.events.filter(({ name }) => name === "sdk_certificate_ending").map(({ fields }) => fields["days"]);
  nowUs = Date.parse("2029-01-01") * 1000;
  await looked(() => keeper.start());
  assert.deepEqual(told(), []);
  await daysOf(first);
  assert.deepEqual(told(), [30, 14, 7]);
  assert.ok(telemetry.events.some(({ name }) => name === "sdk_renewal_failed"));
  const next = { ...until(first, "20310101"), enrolment };
  await saveIdentity(directory, next);
  await daysOf(next);
  assert.deepEqual(told(), [30, 14, 7, 30, 14, 7]);
});
