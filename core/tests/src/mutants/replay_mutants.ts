/** Why: bugs planted where replays are told apart. Enforces: each row names the mode and the check that must fail without it. */
import { type Mutant, named, simulation } from "./mutant.ts";

const gate = "core/ingestion/dist/src";
const bus = "core/pipeline/dist/src";
const migration = "core/db/migrations/0025_retention.sql";
const replays = "core/ingestion/dist/test/replay.test.js";
const ordering = "core/tests/dist/ordering_tests.test.js";

export const replayMutants: readonly Mutant[] = [
  {
    rule: "FM-13, R-6",
    bug: "an opening that was signed for the nonce it names opens an epoch",
    patches: [
      {
        file: `${gate}/replay.js`,
        find: `return named && isSignedFor(sessionNonce) ? "INGEST_SESSION_REPLAYED" : "INGEST_EPOCH_SIGNATURE";`,
        replace: `return named && isSignedFor(sessionNonce) ? undefined : "INGEST_EPOCH_SIGNATURE";`,
      },
    ],
    check: named(ordering, "order and epochs"),
  },
  {
    rule: "FM-13",
    bug: "a forged opening is taken for a recorded one",
    patches: [{ file: `${gate}/replay.js`, find: "named && isSignedFor(sessionNonce)", replace: "named" }],
    check: named(replays, "FM-13 an opening that was signed for another session"),
  },
  {
    rule: "FM-13",
    bug: "a gate does not know its own earlier life",
    patches: [{ file: `${gate}/replay.js`, find: "if (acceptedBy.incarnation !== here.incarnation)", replace: "if (false)" }],
    check: named(ordering, "order and epochs"),
  },
  {
    rule: "FM-13",
    bug: "what this gate accepted is this session's, whichever session sent it",
    patches: [
      {
        file: `${gate}/replay.js`,
        find: "acceptedFrom === undefined ? repeated : !isBefore(place, acceptedFrom)",
        replace: "true",
      },
    ],
    check: named(replays, "FM-13 a tail that is sent again"),
  },
  {
    rule: "FM-13, BP-17",
    bug: "a duplicate is an offence",
    patches: [
      {
        file: `${gate}/quarantine.js`,
        find: "INGEST_SESSION_REPLAYED: 10,",
        replace: "INGEST_SESSION_REPLAYED: 10, INGEST_DUPLICATE_SESSION: 10,",
      },
    ],
    check: named("core/ingestion/dist/test/pressure.test.js", "BP-17 ING-8 what an honest producer can come to"),
  },
  {
    rule: "FM-13",
    bug: "bus.append says that whoever asks has accepted the entry",
    patches: [{ file: migration, find: "      a.gateway := v_gateway;", replace: "      a.gateway := p_gateway;" }],
    check: named("core/pipeline/dist/test/history.test.js", "EB-1 R-2 R-6 R-7 R-13"),
  },
  {
    rule: "FM-13",
    bug: "appends of two lives of a gate leave as one",
    patches: [{ file: `${bus}/append_queue.js`, find: "one.options.incarnation === first.options.incarnation", replace: "true" }],
    check: named("core/pipeline/dist/test/append_queue.test.js", "append queue"),
  },
  {
    rule: "FM-13",
    bug: "the log in memory keeps the last one to send a frame instead of the first",
    patches: [
      {
        file: `${bus}/memory/log.js`,
        find: "acceptedBy: known.acceptedBy }",
        replace: "acceptedBy: known.acceptedBy && { gateway, incarnation } }",
      },
    ],
    check: simulation(100),
  },
];
