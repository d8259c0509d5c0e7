/** Why: bugs of what skips the linger. Enforces: detections are told from other events, seal at once, and a flood of them does not take the linger from the gateway. */
import { type Mutant, named } from "./mutant.ts";

const seal = "agents/sdk/dist/src/seal_timer.js";
const sealing = "agents/sdk/dist/test/seal_timer.test.js";
const records = named("cli/dist/test/lane.test.js", "R-15 BP-16 what a sensor calls an alert");

export const urgentMutants: readonly Mutant[] = [
  {
    rule: "R-15, BP-16",
    bug: "a detection lingers like any event",
    patches: [{ file: "agents/sdk/dist/src/producer.js", find: "joined(options.urgent === true)", replace: "joined(false)" }],
    check: named("agents/sdk/dist/test/producer.test.js", "BP-16 R-15 a detection skips the gateway's linger"),
  },
  {
    rule: "R-15, BP-16",
    bug: "each detection of a flood makes a frame of its own",
    patches: [{ file: seal, find: "if (freeMs <= nowMs)", replace: "if (freeMs !== nowMs)" }],
    check: named(sealing, "BP-16 R-15 a flood of detections"),
  },
  {
    rule: "R-15, BP-16",
    bug: "a detection behind another one waits as long as what waits already",
    patches: [{ file: seal, find: "|| freeMs < this.#dueMs", replace: "" }],
    check: named(sealing, "BP-16 R-15 whatever comes"),
  },
  {
    rule: "R-15, BP-16",
    bug: "the shipper tells no detection from other events",
    patches: [{ file: "cli/dist/src/ship/lane.js", find: "urgent: holdFinding(lines)", replace: "urgent: false" }],
    check: named("cli/dist/test/lane.test.js", "R-15 BP-16 a detection in a followed file"),
  },
  {
    rule: "R-15, BP-16",
    bug: "an event is a detection by a field's name, whatever its class",
    patches: [
      {
        file: "core/ingestion/dist/protocol/findings.js",
        find: "classOf(line)?.categoryUid === findingsCategory",
        replace: "classOf(line) !== undefined",
      },
    ],
    check: records,
  },
];
