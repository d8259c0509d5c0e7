/** Why: bugs planted where the gate pushes back. Enforces: each row names a claim of the backpressure model and the check that must fail without it. */
import { type Mutant, named } from "./mutant.ts";

const gate = "core/ingestion/dist/src";
const tests = "core/ingestion/dist/test";
const listener = "core/tests/dist";
const migration = "core/db/migrations/0027_server_strain.sql";
const strainTest = "cli/dist/test/server_strain.test.js";

export const pressureMutants: readonly Mutant[] = [
  {
    rule: "BP-3",
    bug: "all kinds weigh the same",
    patches: [{ file: `${gate}/backpressure.js`, find: "a.has / a.claim.weight - b.has / b.claim.weight", replace: "a.has - b.has" }],
    check: named(`${tests}/backpressure.test.js`, "BP-3 R-14 weights"),
  },
  {
    rule: "BP-4",
    bug: "small claims pass a large one that has no room yet",
    patches: [
      {
        file: `${gate}/backpressure.js`,
        find: "if (cost > free)\n            break;",
        replace: "if (cost > free) {\n            waiting.shift();\n            continue;\n        }",
      },
    ],
    check: named(`${tests}/backpressure.test.js`, "BP-4 R-14 a large claim"),
  },
  {
    rule: "BP-5, R-14",
    bug: "a window opens by time and not by credit",
    patches: [{ file: `${gate}/backpressure.js`, find: "if (step <= coveredBytes)", replace: "if (true)" }],
    check: named(`${tests}/backpressure.test.js`, "BP-5 R-14 a window opens"),
  },
  {
    rule: "BP-5, R-14",
    bug: "a window that was once large stays so",
    patches: [{ file: `${gate}/backpressure.js`, find: "idleMs >= windowIdleMs ?", replace: "false ?" }],
    check: named(`${tests}/backpressure.test.js`, "BP-5 R-14 a window opens"),
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
    rule: "BP-8",
    bug: "the last signal decides, not the worst",
    patches: [{ file: `${gate}/pressure.js`, find: "if (worse[next] <= worse[state])", replace: `if (next === "open")` }],
    check: named(`${tests}/pressure.test.js`, "BP-8 every signal throttles"),
  },
  {
    rule: "BP-8",
    bug: "what the buffer holds is not looked at",
    patches: [{ file: `${gate}/pressure.js`, find: "heldBytes / (bufferPauseRatio * bufferBytesMax)", replace: "0" }],
    check: named(`${tests}/pressure.test.js`, "BP-8 every signal throttles"),
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
    rule: "BP-26",
    bug: "the server's own signals do not reach producers",
    patches: [{ file: `${gate}/pressure.js`, find: "this.#bus?.strain?.level ?? 0", replace: "0" }],
    check: named(`${tests}/pressure.test.js`, "BP-26 what the server suffers from"),
  },
  {
    rule: "BP-26",
    bug: "a keeper that stands still throttles for ever",
    patches: [
      {
        file: migration,
        find: "WHEN s.strain_level > 0 AND s.strain_until > clock_timestamp() THEN s.strain END",
        replace: "WHEN s.strain_level > 0 THEN s.strain END",
      },
    ],
    check: named(strainTest, "BP-26 a lock wait and a slot"),
  },
  {
    rule: "BP-26",
    bug: "a wait for a lock is not seen",
    patches: [{ file: "cli/dist/src/roles/strain_watch.js", find: "WHERE NOT l.granted", replace: "WHERE l.granted" }],
    check: named(strainTest, "BP-26 a lock wait and a slot"),
  },
  {
    rule: "BP-26",
    bug: "frequent checkpoints pause everybody",
    patches: [{ file: "cli/dist/src/roles/server_strain.js", find: "Math.min(checkpointLevelMax, ", replace: "Math.max(0, " }],
    check: named(strainTest, "BP-26 each signal of the server"),
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
    rule: "BP-15, R-15",
    bug: "one burst makes a whole fleet sluggish",
    patches: [{ file: `${gate}/backpressure.js`, find: "Math.min(4, Math.max(0.8, ", replace: "Math.min(1e9, Math.max(0.8, " }],
    check: named(`${tests}/backpressure.test.js`, "BP-15 R-15 linger grows"),
  },
  {
    rule: "BP-15, R-15",
    bug: "a gate that has no time to read does not notice that it drowns",
    patches: [{ file: `${gate}/linger.js`, find: "small && many && this.#waits >= this.#ticks * drowningRatio", replace: "false" }],
    check: named(`${tests}/backpressure.test.js`, "BP-15 R-15 where the gate"),
  },
  {
    rule: "BP-16, R-15",
    bug: "every kind gathers for the same time",
    patches: [{ file: `${gate}/linger.js`, find: "Math.round(this.#ms / weight)", replace: "Math.round(this.#ms)" }],
    check: named(`${tests}/gate_pressure.test.js`, "BP-16 R-15 under load"),
  },
  {
    rule: "R-15",
    bug: "what waits at producers is no load",
    patches: [{ file: `${gate}/linger.js`, find: "(waitingEvents * this.#frames)", replace: "(0 * this.#frames)" }],
    check: named(`${tests}/backpressure.test.js`, "R-15 frames that wait at producers"),
  },
  {
    rule: "R-15",
    bug: "a linger that has grown is told with the next grant only",
    patches: [{ file: `${gate}/session.js`, find: `phase !== "streaming" || (lingerMs`, replace: `true || (lingerMs` }],
    check: named(`${tests}/throttle_news.test.js`, "BP-19 R-15 a longer linger"),
  },
  {
    rule: "BP-17",
    bug: "credit that lies idle through a pause is held against its producer",
    patches: [{ file: `${gate}/credit_use.js`, find: "Math.max(due.sinceMs, excusedUntilMs)", replace: "due.sinceMs" }],
    check: named(`${tests}/credit_use.test.js`, "BP-17 credit that lies idle"),
  },
  {
    rule: "BP-18",
    bug: "a quarantined producer is let in again at once",
    patches: [{ file: `${gate}/gate.js`, find: "if (quarantinedMs > 0)", replace: "if (false)" }],
    check: named(`${tests}/gate_pressure.test.js`, "BP-18 ING-8 a producer that keeps"),
  },
  {
    rule: "BP-18",
    bug: "who is quarantined is shown to nobody",
    patches: [{ file: `${gate}/gate.js`, find: "quarantined: this.quarantine.list(this.#at.nowMs)", replace: "quarantined: []" }],
    check: named(`${listener}/overload_tests.test.js`, "BP-17 BP-18 ING-8 a producer that keeps"),
  },
  {
    rule: "R-19",
    bug: "a gateway's last report does not say that it is the last",
    patches: [{ file: `${gate}/main.js`, find: "await this.#report(true);", replace: "await this.#report(false);" }],
    check: named(`${listener}/overload_tests.test.js`, "drain: frames in flight are receipted"),
  },
  {
    rule: "BP-20",
    bug: "a grant on top buys a hoarder time",
    patches: [
      {
        file: `${gate}/credit_use.js`,
        find: "if (spentBytesTotal < due.spentBytesTotal)",
        replace: "if (spentBytesTotal < due.spentBytesTotal && grantedBytesTotal < due.spentBytesTotal + bounds.sessionFloorBytes)",
      },
    ],
    check: named(`${tests}/credit_use.test.js`, "BP-20"),
  },
  {
    rule: "BP-20",
    bug: "a slow line has to carry all of its credit within the bound",
    patches: [
      {
        file: `${gate}/credit_use.js`,
        find: "spentBytesTotal + bounds.frameCostBytesMax * useRatio)",
        replace: "Number.MAX_SAFE_INTEGER)",
      },
    ],
    check: named(`${tests}/credit_use.test.js`, "BP-20 a slow line"),
  },
  {
    rule: "BP-20",
    bug: "whoever waits for events that the gate withholds is taken for a hoarder",
    patches: [{ file: `${gate}/session.js`, find: "lacksEvents: lacksEventsFor(session, settings) > 0", replace: "lacksEvents: false" }],
    check: named(`${tests}/credit_use.test.js`, "BP-20 who waits for events"),
  },
  {
    rule: "BP-23",
    bug: "whoever was left with most of a frame waits behind all others, however long",
    patches: [{ file: `${gate}/backpressure.js`, find: "claim.usedBytes - claim.idleBytes", replace: "claim.usedBytes" }],
    check: named(`${tests}/credit_use.test.js`, "BP-20 BP-23 in an overload"),
  },
  {
    rule: "BP-23",
    bug: "who holds room and lacks the rest of a frame waits until it counts as unused",
    patches: [{ file: `${gate}/credit_desk.js`, find: "if (this.#isUrgent(session, nowMs))", replace: "if (false)" }],
    check: named(`${tests}/credit_turns.test.js`, "BP-23 who holds room"),
  },
  {
    rule: "BP-23",
    bug: "who could send and does not is given more before others",
    patches: [
      {
        file: `${gate}/credit_desk.js`,
        find: "if (outstanding(account).bytes >= frameBytesOf(session, this.#settings))",
        replace: "if (false)",
      },
    ],
    check: named(`${tests}/credit_turns.test.js`, "BP-23 however many hold"),
  },
  {
    rule: "BP-24",
    bug: "what a producer says that its next frame costs is not heeded",
    patches: [
      {
        file: `${gate}/credit_wish.js`,
        find: "nextFrameBytes === 0 ? frameCostBytesMax : Math.min(nextFrameBytes, frameCostBytesMax)",
        replace: "frameCostBytesMax",
      },
    ],
    check: named(`${tests}/credit_turns.test.js`, "BP-24 R-14 who tells"),
  },
  {
    rule: "BP-24",
    bug: "a frame larger than the largest is believed",
    patches: [
      {
        file: `${gate}/credit_wish.js`,
        find: "nextFrameBytes === 0 ? frameCostBytesMax : Math.min(nextFrameBytes, frameCostBytesMax)",
        replace: "nextFrameBytes === 0 ? frameCostBytesMax : nextFrameBytes",
      },
    ],
    check: named(`${tests}/credit_turns.test.js`, "BP-24 whatever a producer says"),
  },
  {
    rule: "BP-25",
    bug: "small appends wait for more though none is in flight",
    patches: [{ file: `${gate}/dispatcher.js`, find: "gathers && this.#batches.size > 0 &&", replace: "gathers &&" }],
    check: named(`${tests}/gate_parts.test.js`, "BP-25 step 7: while"),
  },
  {
    rule: "BP-25",
    bug: "many small appends go side by side while producers wait for room",
    patches: [{ file: `${gate}/dispatcher.js`, find: "gathers && this.#batches.size > 0 &&", replace: "false &&" }],
    check: named(`${tests}/gate_parts.test.js`, "BP-25 step 7: while"),
  },
  {
    rule: "BP-25",
    bug: "room counts as short after the last who waited has left",
    patches: [{ file: `${gate}/credit_desk.js`, find: "this.#isShort && this.#waiting.size > 0", replace: "this.#isShort" }],
    check: named(`${tests}/credit_desk.test.js`, "BP-25 room is short"),
  },
  {
    rule: "BP-25",
    bug: "the gate does not say to its dispatcher that room is short",
    patches: [{ file: `${gate}/gate.js`, find: "this.#desk.isShort", replace: "false" }],
    check: named(`${tests}/credit_use.test.js`, "BP-25 in an overload"),
  },
  {
    rule: "BP-24",
    bug: "a session does not keep what its next frame costs",
    patches: [{ file: `${gate}/session.js`, find: "nextFrameBytes: frameBytes", replace: "nextFrameBytes: 0" }],
    check: named(`${tests}/credit_use.test.js`, "BP-24 whoever tells"),
  },
  {
    rule: "BP-23",
    bug: "the gate does not tell its desk how late it is",
    patches: [
      { file: `${gate}/gate.js`, find: "this.#desk.note(entry.session, this.#at.nowMs)", replace: "this.#desk.note(entry.session, 0)" },
    ],
    check: named(`${tests}/credit_use.test.js`, "BP-23 whoever has held"),
  },
  {
    rule: "BP-17",
    bug: "who holds credit that nobody misses is taken for a hoarder",
    patches: [{ file: `${gate}/gate.js`, find: "this.#desk.enoughUntilMs(this.#at.nowMs)", replace: "Number.NEGATIVE_INFINITY" }],
    check: named(`${tests}/credit_use.test.js`, "BP-17 credit for which nobody waits"),
  },
  {
    rule: "BP-21",
    bug: "who holds room and lacks the events for it waits until there is more room",
    patches: [{ file: `${gate}/credit_desk.js`, find: "this.#unlock(sharing, costs);", replace: "" }],
    check: named(`${tests}/credit_desk.test.js`, "BP-21 R-14 who holds room"),
  },
  {
    rule: "BP-21",
    bug: "room is given though no events are left to use it",
    patches: [{ file: `${gate}/credit_desk.js`, find: "(bytes === 0 || need.usefulEvents > 0)", replace: "bytes === 0" }],
    check: named(`${tests}/credit_desk.test.js`, "BP-21 R-14 nobody is given room"),
  },
  {
    rule: "BP-21",
    bug: "room that no claim fits into is given to nobody, and those who hold the rest wait for it",
    patches: [
      {
        file: `${gate}/credit_desk.js`,
        find: "costs.size === 0 ? this.#holderThatFits(sharing)",
        replace: "false ? this.#holderThatFits(sharing)",
      },
    ],
    check: named(`${tests}/credit_desk.test.js`, "BP-21 R-14 whatever frames wait"),
  },
  {
    rule: "BP-21",
    bug: "several frames at once are given of the last room that one frame needs",
    patches: [{ file: `${gate}/credit_desk.js`, find: "share <= ample ? share :", replace: "true ? share :" }],
    check: named(`${tests}/credit_desk.test.js`, "BP-21 R-14 whatever frames wait"),
  },
  {
    rule: "BP-21",
    bug: "who holds room and could not be helped is forgotten",
    patches: [{ file: `${gate}/credit_desk.js`, find: "this.#holding.add(id);", replace: "" }],
    check: named(`${tests}/credit_desk.test.js`, "BP-21 R-14 room that nobody's claim"),
  },
  {
    rule: "BP-22",
    bug: "one large claim empties a bucket that all share",
    patches: [{ file: `${gate}/rate_limit.js`, find: "claimedEvents > smallClaimEventsMax ?", replace: "false ?" }],
    check: named(`${tests}/credit_desk.test.js`, "BP-22"),
  },
  {
    rule: "BP-15",
    bug: "the linger grows again before anybody could gather that long",
    patches: [{ file: `${gate}/linger.js`, find: "this.#steadyMs >= Math.min(this.#ms, heededMsMax)", replace: "true" }],
    check: named(`${tests}/linger.test.js`, "BP-15 what was asked takes its time"),
  },
  {
    rule: "BP-15",
    bug: "a gate that is slow with large frames asks for larger ones for ever",
    patches: [{ file: `${gate}/linger.js`, find: "small && many &&", replace: "small &&" }],
    check: named(`${tests}/linger.test.js`, "BP-15 a gate that is slow with few frames"),
  },
  {
    rule: "BP-15",
    bug: "a burst that had to wait for its turn counts as a gate without time",
    patches: [{ file: `${gate}/turns.js`, find: "return this.#waiting.length > 0;", replace: "return this.#sinceMs !== undefined;" }],
    check: named(`${tests}/turns.test.js`, "R-15 peers get a bounded time"),
  },
];
