/** Why: bugs of what a producer may give up (decision 0011). Enforces: each breaks one sentence of the decision, and a test of the SDK notices. */
import { type Mutant, named } from "./mutant.ts";

const sdk = "agents/sdk/dist/src";
const losses = "agents/sdk/dist/test/losses.test.js";
const accounted = named(losses, "X-2 every event arrives once and in order");

const follow = "agents/shipper/dist/src/follow";
const following = "agents/shipper/dist/test/follow.test.js";
const killed = named(following, "AG-6 X-6 kill -9 at any call");
const positions = named("agents/shipper/dist/test/positions.test.js", "AG-6 what a checkpoint and a cursor tell together");

export const agentMutants: readonly Mutant[] = [
  {
    rule: "R-6, X-2",
    bug: "a batch that had a place is given up",
    patches: [{ file: `${sdk}/frame_chain.js`, find: "while (this.#entries[at]?.placed)", replace: "while (false)" }],
    check: named(losses, "R-6 what was signed"),
  },
  {
    rule: "X-2",
    bug: "a declaration is written before the events in front of it",
    patches: [{ file: `${sdk}/loss_desk.js`, find: "if (this.#waiting === 0 || !eventsDurable)", replace: "if (this.#waiting === 0)" }],
    check: accounted,
  },
  {
    rule: "X-2",
    bug: "a declaration gets its place before it is on disk as it stands",
    patches: [{ file: `${sdk}/outbox.js`, find: " || !this.losses.isDurable(index)", replace: "" }],
    check: accounted,
  },
  {
    rule: "X-2",
    bug: "the state forgets a declaration whose record is not on disk yet",
    patches: [
      {
        file: `${sdk}/frame_chain.js`,
        find: "loss === undefined || batchDurable",
        replace: "loss === undefined || batchDurable || link !== undefined",
      },
      { file: `${sdk}/frame_chain.js`, find: "flatMap(({ loss, batchDurable })", replace: "flatMap(({ loss, batchDurable, link })" },
    ],
    check: accounted,
  },
  {
    rule: "X-2",
    bug: "what was given up comes back after a crash",
    patches: [{ file: `${sdk}/spool_recovery.js`, find: "if (givenUpThrough === 0)", replace: "if (givenUpThrough >= 0)" }],
    check: accounted,
  },
  {
    rule: "X-2",
    bug: "a call hears of its loss before the declaration is on disk",
    patches: [
      {
        file: `${sdk}/loss_desk.js`,
        find: "this.#givenUp.filter((one) => one.version <= version)",
        replace: "this.#givenUp.filter(() => true)",
      },
    ],
    check: accounted,
  },
  {
    rule: "AG-6",
    bug: "follow: a checkpoint is written before what it tells is on disk",
    patches: [
      {
        file: `${follow}/positioned_lane.js`,
        find: "async #checkpoint() {\n        await this.#sink.spooled();",
        replace: "async #checkpoint() {",
      },
    ],
    check: killed,
  },
  {
    rule: "AG-6",
    bug: "follow: a cursor counts beside a later checkpoint",
    patches: [
      { file: `${follow}/positions.js`, find: "told === undefined || told.generation < generation", replace: "told === undefined" },
    ],
    check: positions,
  },
  {
    rule: "AG-6",
    bug: "follow: the cursor names the last file only",
    patches: [{ file: `${follow}/positions.js`, find: "if (this.#moved.has(id))", replace: "if (id === known.id)" }],
    check: killed,
  },
  {
    rule: "AG-2",
    bug: "follow: a renamed file is left without waiting for its writer",
    patches: [{ file: `${follow}/followed_path.js`, find: "< this.#options.rotateWaitMs", replace: "< 0" }],
    check: named(following, "AG-2 a file that is renamed"),
  },
  {
    rule: "AG-4",
    bug: "follow: a file is known by its inode alone",
    patches: [{ file: `${follow}/file_mark.js`, find: "return bytes.length >= head.bytes && headOf", replace: "return true || headOf" }],
    check: named(following, "AG-4 "),
  },
  {
    rule: "AG-3",
    bug: "follow: nobody looks for the copy of a file that was cut",
    patches: [
      { file: `${follow}/followed_path.js`, find: "reading.head.bytes > 0 && (await hasCopy(left, reading.offset))", replace: "false" },
      {
        file: `${follow}/followed_path.js`,
        find: "this.#plan(left, reading.head.bytes === 0 ?",
        replace: "this.#plan(left, true ?",
      },
    ],
    check: named(following, "AG-3 a file that is copied and cut"),
  },
];
