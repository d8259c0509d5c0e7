/** Why: bugs planted between gateways: one port, order with the bus as referee, restarts. Enforces: each row names a rule and the check that must fail without it. */
import { type Mutant, named, simulation } from "./mutant.ts";

const supervisor = "cli/dist/src/supervisor";
const gatesTests = "cli/dist/test/gates.test.js";
const bus = "core/pipeline/dist/src";

export const gatesMutants: readonly Mutant[] = [
  {
    rule: "IF-5, P-3",
    bug: "order is left to the gates: the bus takes what any of them sends",
    patches: [
      { file: `${bus}/append_machine.js`, find: `if (link.firstSeq > head.seq + 1)`, replace: "if (false)" },
      { file: `${bus}/append_machine.js`, find: `if (link.firstSeq <= head.seq)`, replace: "if (false)" },
      { file: `${bus}/append_machine.js`, find: `if (!continues(head, link))`, replace: "if (false)" },
    ],
    check: simulation(100),
  },
  {
    rule: "IF-5, R-6",
    bug: "a frame of an epoch that was sealed at another gate is sent back instead of fenced",
    patches: [
      {
        file: `${bus}/append_machine.js`,
        find: `return isSame(known, link) ? "duplicate" : "fenced";`,
        replace: `return isSame(known, link) ? "duplicate" : "gap";`,
      },
    ],
    check: named("core/tests/dist/test/two_gates.test.js", "one producer at two gates"),
  },
  {
    rule: "R-24",
    bug: "a gateway that has its share goes on listening",
    patches: [
      {
        file: "core/ingestion/dist/src/door.js",
        find: "if (this.#connections < this.#grantedMax || this.#listening === undefined)",
        replace: "if (true)",
      },
    ],
    check: named("core/ingestion/dist/test/door.test.js", "R-24 processes share a port"),
  },
  {
    rule: "R-24",
    bug: "where no gateway is willing, nobody listens",
    patches: [
      {
        file: `${supervisor}/gate_share.js`,
        find: "if (taking.length === 0)",
        replace: "if (false)",
      },
    ],
    check: named(gatesTests, "R-24 however the kernel prefers one gateway"),
  },
  {
    rule: "R-24",
    bug: "a gateway that stands still keeps the others from taking more",
    patches: [{ file: `${supervisor}/gate_desk.js`, find: "nowMs - heardMs <= loadMsMax", replace: "true" }],
    check: named(gatesTests, "R-24 the desk gives the socket"),
  },
  {
    rule: "IF-9, R-24",
    bug: "a rolling restart does not wait until a gateway is ready again",
    patches: [
      {
        file: `${supervisor}/rolling.js`,
        find: "const left = await within(o.clock, o.drainMsMax + readyMsMax, child);",
        replace: "const left = true; void within(o.clock, o.drainMsMax + readyMsMax, child).catch(() => undefined);",
      },
    ],
    check: named(gatesTests, "R-24 a rolling restart"),
  },
  {
    rule: "R-30",
    bug: "more connections are configured than the server allows, and the system starts",
    patches: [{ file: `${supervisor}/connection_budget.js`, find: "if (needed <= serverMax)", replace: "if (true)" }],
    check: named(gatesTests, "R-24 R-30 processes by the machine"),
  },
];
