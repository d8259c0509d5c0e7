/**
 * Why: the bus stamps when events were received; a gateway whose own clock says something else tells its producers the wrong time.
 * Enforces: more than two seconds between the two are an alarm (a line and a metric) in whichever direction, said once a minute; less is none.
 * Forbids: production data, and timed assertions.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { systemClock } from "ransomeye-kernel";
import { openMemoryBus } from "ransomeye-pipeline";
import { JumpingClock } from "./src/gate/jumping_clock.ts";
import { startTestGate } from "./src/gate/test_gate.ts";

suite("a gateway's clock and the bus's", { concurrency: 4 }, () => {
  const timeout = 30_000;
  // Far enough that no slow machine brings it below the bound: the time of an append counts in the gate's favour.
  const cases = [
    { what: "an hour behind", offsetMs: 3_600_000, alarms: [1, 1, 2] },
    { what: "an hour ahead of", offsetMs: -3_600_000, alarms: [1, 1, 2] },
    { what: "a second behind", offsetMs: 1000, alarms: [0, 0, 0] },
  ] as const;

  for (const { what, offsetMs, alarms } of cases) {
    const verdict = alarms[0] === 0 ? "no alarm" : "an alarm, once a minute, with its metric";
    test(`R-16 R-27 FM-17 a gateway's clock ${what} the bus's is ${verdict}`, { timeout }, async (t) => {
      const clock = new JumpingClock();
      const bus = openMemoryBus({ clock: { ...systemClock, nowUs: () => systemClock.nowUs() + offsetMs * 1000 } });
      const gate = await startTestGate(t, { bus, clock });
      const { who, certificate } = await gate.enrol(1);
      const { client, chain, say } = await gate.begin(who, certificate);
      const drifts = () => gate.telemetry.events.filter(({ name }) => name === "clock_drifted");
      for (const [nth, expected] of alarms.entries()) {
        if (nth === 2) clock.jump(61_000);
        say(chain.next(1).message);
        assert.equal((await client.next("receipt")).durableSeq, nth + 1, "an alarm, and nothing refused");
        assert.equal(drifts().length, expected);
      }
      const count = alarms.at(-1) ?? 0;
      const metric = `ransomeye_gateway_clock_drifts_total ${count}`;
      assert.equal((await gate.telemetry.metricsText()).split("\n").includes(metric), count > 0);
      for (const { level, fields } of drifts()) {
        assert.equal(level, "error");
        assert.ok(Math.abs(Number(fields["drift_ms"]) - 3_600_000) < 60_000, "and says by how much");
      }
    });
  }
});
