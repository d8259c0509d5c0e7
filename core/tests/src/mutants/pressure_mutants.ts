/** Why: bugs planted where the gate pushes back. Enforces: each row names a claim of the backpressure model and the check that must fail without it. */
import { type Mutant, named } from "./mutant.ts";

const gate = "core/ingestion/dist/src";
const tests = "core/ingestion/dist/test";
const migration = "core/db/migrations/0007_pressure.sql";

export const pressureMutants: readonly Mutant[] = [
  {
    rule: "BP-3",
    bug: "all kinds weigh the same",
    patches: [{ file: `${gate}/backpressure.js`, find: "a.has / a.claim.weight - b.has / b.claim.weight", replace: "a.has - b.has" }],
    check: named(`${tests}/backpressure.test.js`, "BP-3 R-14 weights"),
  },
  {
    rule: "BP-6",
    bug: "a kind's rate is not looked at when credit is shared",
    patches: [{ file: `${gate}/backpressure.js`, find: "if (cost > left) {", replace: "if (false) {" }],
    check: named(`${tests}/backpressure.test.js`, "R-14 a group without room"),
  },
  {
    rule: "BP-6",
    bug: "credit that sessions hold does not count against the shared rates",
    patches: [{ file: `${gate}/rate_limit.js`, find: "share.unusedBytes += is.unused.bytes - was.unused.bytes;", replace: "" }],
    check: named(`${tests}/pressure.test.js`, "BP-6 step 4: whatever sessions do"),
  },
  {
    rule: "BP-9",
    bug: "a state is left at the level at which it is entered",
    patches: [
      { file: `${gate}/backpressure.js`, find: `middle: "throttled", high: "throttled"`, replace: `middle: "open", high: "throttled"` },
    ],
    check: named(`${tests}/backpressure.test.js`, "BP-9 states have hysteresis"),
  },
  {
    rule: "BP-10",
    bug: "a bus that says nothing counts as well",
    patches: [
      {
        file: `${gate}/pressure.js`,
        find: `return nowMs < this.#lease.untilMs ? undefined : "bus_unavailable";`,
        replace: "return undefined;",
      },
    ],
    check: named(`${tests}/pressure.test.js`, "BP-10 a bus that is not heard of"),
  },
  {
    rule: "BP-11",
    bug: "the engine's lag is not looked at",
    patches: [{ file: `${gate}/pressure.js`, find: "(this.#bus?.backlogMs ?? 0) / engineLagMsMax", replace: "0" }],
    check: named(`${tests}/gate_pressure.test.js`, "BP-11 BP-13 an engine that has stopped"),
  },
  {
    rule: "BP-12, R-14",
    bug: "the gate appends beyond its lease",
    patches: [{ file: `${gate}/dispatcher.js`, find: "inFlightBytesMax - this.#inFlightBytes", replace: "Number.MAX_SAFE_INTEGER" }],
    check: named(`${tests}/gate_pressure.test.js`, "BP-12 R-14 no more is in flight"),
  },
  {
    rule: "BP-12, R-14",
    bug: "the bus leases what another gate still holds",
    patches: [
      { file: migration, find: "in_flight_bytes := least(p_want_bytes, v_left - v_taken);", replace: "in_flight_bytes := p_want_bytes;" },
    ],
    check: named("core/pipeline/dist/test/postgres.test.js", "BP-12 R-14 leases of all gates"),
  },
  {
    rule: "BP-13",
    bug: "after a pause all of the buffer is handed out at once",
    patches: [{ file: `${gate}/pressure.js`, find: `state === "paused" ? this.#bytesMin`, replace: `state === "paused" ? this.#bytesMax` }],
    check: named(`${tests}/gate_pressure.test.js`, "BP-11 BP-13 an engine that has stopped"),
  },
  {
    rule: "BP-14",
    bug: "everybody is told to come back at the same moment",
    patches: [{ file: `${gate}/gate.js`, find: "this.#ports.random.float() * Math.max(", replace: "Math.max(" }],
    check: named(`${tests}/gate_pressure.test.js`, "BP-14 a fleet that is sent away"),
  },
  {
    rule: "BP-17",
    bug: "credit that lies idle through a pause is held against its producer",
    patches: [
      { file: `${gate}/session.js`, find: "Math.max(session.creditMovedMs, context.pausedUntilMs)", replace: "session.creditMovedMs" },
    ],
    check: named(`${tests}/gate_pressure.test.js`, "BP-17 credit that lies idle"),
  },
  {
    rule: "BP-18",
    bug: "a quarantined producer is let in again at once",
    patches: [{ file: `${gate}/gate.js`, find: "if (quarantinedMs > 0)", replace: "if (false)" }],
    check: named(`${tests}/gate_pressure.test.js`, "BP-18 ING-8 a producer that keeps"),
  },
];
