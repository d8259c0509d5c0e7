/**
 * Why: identity comes from the certificate (promise 4), so a wrong one must fail at the door, whatever is wrong with it.
 * Enforces: every row of the table through the real listener: refused, counted and logged under its code, nothing opened; every rotation
 *   accepted. The table is printed.
 * Forbids: a check that only looks at a function.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { badCertificates, goodCertificates, type Mint } from "./src/gate/bad_certificates.ts";
import { plainHello } from "./src/gate/test_client.ts";
import { startTestGate, testDomain, until } from "./src/gate/test_gate.ts";
import { createTestCa } from "./src/test_ca.ts";
import { syntheticProducer } from "./synthetic_events.ts";

suite("certificates at the listener", { concurrency: 8 }, () => {
  const timeout = 60_000;

  for (const { what, at, code, make, entry } of badCertificates) {
    test(`TL-13 refused: ${what}: ${code}`, { timeout }, async (t) => {
      const gate = await startTestGate(t);
      const who = syntheticProducer(what);
      const certificate = await make({ ca: gate.ca, domain: testDomain, who });
      gate.directory.put(who, entry?.(certificate) ?? {});
      const client = gate.connect(certificate);
      client.say(plainHello());
      const ended = await client.ended;
      if (at === "stream") assert.equal(ended.code, code);
      else assert.equal(ended.grpcStatus, undefined, "no stream came to be");
      await until(() => gate.telemetry.events.some(({ name }) => name === "transmissions_refused"));
      const named = gate.telemetry.events.filter(({ name }) => name === "transmissions_refused").map(({ fields }) => fields["code"]);
      assert.deepEqual(named, [code], "the log names this reason and no other");
      assert.ok(!gate.telemetry.events.some(({ name }) => name === "session_opened"));
      t.diagnostic(`${at} | ${code} | ${what}`);
    });
  }

  test("TL-14 every rotation is accepted: renewed, of the next authority, of any strong key", { timeout }, async (t) => {
    const second = await createTestCa("next ca");
    const gate = await startTestGate(t, { authorities: [second.cert] });
    const mint: Mint = { ca: gate.ca, domain: testDomain, who: syntheticProducer("rotating") };
    gate.directory.put(mint.who);
    for (const { what, make } of goodCertificates(second)) {
      const client = gate.connect(await make(mint));
      client.say(plainHello());
      assert.equal((await client.next("welcome")).gateway, "gate-1", what);
      t.diagnostic(`accepted: ${what}`);
    }
  });
});
