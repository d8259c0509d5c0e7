/** Why: bugs of what an operator is shown. Enforces: who is refused for flooding and who may be a clone is named by the commands that are there for it, with an exit code. */
import { type Mutant, named } from "./mutant.ts";

const commands = "cli/dist/src/commands";
const alarms = "core/tests/dist/test/alarm.test.js";
const flooder = named(alarms, "BP-18 ING-8 who floods a gateway is named by status");

export const operatorMutants: readonly Mutant[] = [
  {
    rule: "BP-18",
    bug: "status names the gateway that refuses, and not the producer that is refused",
    patches: [{ file: `${commands}/status.js`, find: "`QUARANTINE ${producer} at", replace: "`QUARANTINE ${gateway} at" }],
    check: flooder,
  },
  {
    rule: "BP-18",
    bug: "a producer in quarantine leaves status content",
    patches: [{ file: `${commands}/status.js`, find: "status.quarantine.length > 0", replace: "false" }],
    check: flooder,
  },
  {
    rule: "TB-8, R-6",
    bug: "suspected clones are listed, and the command says that all is well",
    patches: [{ file: `${commands}/clones.js`, find: `resolution === null) ? "found"`, replace: `resolution === null) ? "ok"` }],
    check: named(alarms, "TB-8 R-6 an identity that seems to be in use twice"),
  },
  {
    rule: "TB-8, R-6",
    bug: "of two machines that renew one certificate one leaves no trace",
    patches: [
      {
        file: "cli/dist/src/registry/changes.js",
        find: "await audit(client, { version, action, producer: id, detail });",
        replace: `if (action !== "renewed" || (await client.query("SELECT FROM registry.audit WHERE action = 'renewed'")).rowCount === 0)
        await audit(client, { version, action, producer: id, detail });`,
      },
    ],
    check: named("cli/dist/test/enrolment.test.js", "TB-8 R-6 one identity renewed from two machines"),
  },
];
