/**
 * Why it exists: what ends without anybody having been told ends the service for a whole fleet.
 * Enforces: TB-4, FM-18 for what an installation holds itself: the gateway's certificate and the authority. Forbids: a database; nothing here asks for one.
 */
import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Clock, recordingTelemetry, type RecordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { AuthorityKeeper } from "../src/registry/authority_keeper.ts";
import { InstallationTrust } from "../src/registry/installation_trust.ts";
import { keyFiles } from "../src/registry/key_files.ts";

const dayUs = 86_400_000_000;

/** An installation's trust on a clock that a test sets. */
async function setUp(): Promise<{ trust: InstallationTrust; secrets: string; telemetry: RecordingTelemetry; set: (us: number) => void }> {
  let nowUs = systemClock.nowUs();
  const clock: Clock = { ...systemClock, nowUs: () => nowUs };
  const secrets = await temporaryDirectory();
  const telemetry = recordingTelemetry();
  const keeper = await AuthorityKeeper.open({ secrets, trustDomain: "test.local", clock, random: systemRandom });
  const trust = new InstallationTrust({ secrets, keeper, trustDomain: "test.local", names: ["127.0.0.1"], clock, telemetry });
  await trust.refresh();
  return { trust, secrets, telemetry, set: (us) => (nowUs = us) };
}

const told = (telemetry: RecordingTelemetry, what: string): unknown[] =>
  telemetry.events
    .filter(({ name, fields }) => name === "certificate_ending" && fields["what"] === what)
    .map(({ fields }) => fields["days"]);

test("FM-18 TB-4 a gateway's certificate that cannot be renewed is told at 30, 14 and 7 days, each once; so is its successor", async () => {
  const { trust, secrets, telemetry, set } = await setUp();
  const inTheWay = join(secrets, keyFiles.gatewayKey.name);
  for (let nth = 1; nth <= 2; nth += 1) {
    const { gatewayUs } = trust.notAfter;
    // As on a disk that is full or broken: nothing can be written where the key belongs.
    await rm(inTheWay);
    await mkdir(inTheWay);
    for (let days = 40; days >= -2; days -= 1) {
      set(gatewayUs - days * dayUs);
      await assert.rejects(trust.refresh());
    }
    assert.deepEqual(told(telemetry, "gateway"), [30, 14, 7, 30, 14, 7].slice(0, 3 * nth));
    await rm(inTheWay, { recursive: true });
    assert.equal(await trust.refresh(), true);
    assert.ok(trust.notAfter.gatewayUs > gatewayUs);
  }
});

test("FM-18 TB-4 a gateway's certificate that is renewed in time is no matter to tell; an authority is told long before, until another one takes over", async () => {
  const { trust, telemetry, set } = await setUp();
  const { rootUs } = trust.notAfter;
  for (let days = 190; days >= 20; days -= 1) {
    set(rootUs - days * dayUs);
    await trust.refresh();
  }
  assert.deepEqual(told(telemetry, "gateway"), []);
  assert.deepEqual(told(telemetry, "root"), [180, 120, 30]);
  await trust.rotate(10 * dayUs);
  const next = trust.notAfter.rootUs;
  assert.ok(next > rootUs);
  set(next - 120 * dayUs);
  await trust.refresh();
  assert.deepEqual(told(telemetry, "root"), [180, 120, 30, 120]);
});
