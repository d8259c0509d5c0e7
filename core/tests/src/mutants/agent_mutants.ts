/** Why: bugs of what a producer may give up (decision 0011). Enforces: each breaks one sentence of the decision, and a test of the SDK notices. */
import { type Mutant, named } from "./mutant.ts";

const sdk = "agents/sdk/dist/src";
const losses = "agents/sdk/dist/test/losses.test.js";
const accounted = named(losses, "X-2 every event arrives once and in order");

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
];
