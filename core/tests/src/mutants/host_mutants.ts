/** Why: bugs of how a host is divided (DB-5). Enforces: a plan that does not add up, or that nobody follows, and a watchdog that is told too much are noticed. */
import { type Mutant, named } from "./mutant.ts";

const host = "cli/dist/src/host";
const planTest = "cli/dist/test/host_plan.test.js";
const watchTest = "cli/dist/test/host_watch.test.js";
const systemTest = "core/tests/dist/test/host_plan.test.js";
const adds = named(planTest, "DP-20 DB-5 what all services may have and the reserve");
const runs = named(systemTest, "DP-21 DB-5 R-30 what runs is what");
const hears = named(systemTest, "DP-23 R-22 systemd hears");

const bug = (rule: string, what: string, file: string, find: string, replace: string, check: Mutant["check"]): Mutant => ({
  rule,
  bug: what,
  patches: [{ file, find, replace }],
  check,
});

export const hostMutants: readonly Mutant[] = [
  bug(
    "DP-20, DB-5",
    "one gateway is counted where several run",
    `${host}/plan.js`,
    `total + count(name) * bytesOf(name)`,
    `total + bytesOf(name)`,
    adds,
  ),
  bug("DP-20, DB-5", "a machine that is too small fits", `${host}/plan.js`, `fits: totalBytes <= memoryBytes`, `fits: true`, adds),
  bug(
    "DP-20, DB-5",
    "a gateway's sessions take no memory",
    `${host}/plan.js`,
    `gateway.sessionsMax * connectionBytes : 0`,
    `0 : 0`,
    named(planTest, "DP-20 a gateway may have its heap, its buffer and its sessions"),
  ),
  bug(
    "DP-20, R-30",
    "PostgreSQL believes to have half of a machine that others share",
    `${host}/plan.js`,
    `Math.min(memoryBytes / 2, postgresBytes)`,
    `memoryBytes`,
    named(planTest, "DP-20 R-30 connections of all processes"),
  ),
  bug(
    "DP-21, R-34",
    "a role's heap is not the plan's",
    "cli/dist/src/supervisor/child.js",
    "--max-old-space-size=${this.#o.heapMibMax}",
    "--max-old-space-size=999",
    runs,
  ),
  bug(
    "DP-21, DB-5",
    "PostgreSQL is not told what the plan says",
    "cli/dist/src/supervisor/database.js",
    `settings: o.settings,`,
    `settings: {},`,
    runs,
  ),
  bug(
    "DP-21, DB-5",
    "processes keep the supervisor's priority",
    `${host}/host.js`,
    `        prioritise(pid, services[service]);\n`,
    ``,
    runs,
  ),
  bug(
    "DP-22, DB-5",
    "a service that listens everywhere is in nobody's way",
    `${host}/endpoints.js`,
    ` || isWildcard(a.host) || isWildcard(b.host)`,
    ``,
    named(planTest, "DP-22 a port that two services want"),
  ),
  bug(
    "DP-22, R-23",
    "a socket's path may be of any length",
    `${host}/endpoints.js`,
    `Buffer.byteLength(one.address) > limits.socketPathBytesMax`,
    `false`,
    named(planTest, "DP-22 a port that two services want"),
  ),
  bug(
    "DP-23, DB-5",
    "a slice for several gateways has room for one",
    `${host}/units.js`,
    `total + one.processes * of(one)`,
    `total + of(one)`,
    named(planTest, "DP-23 slices hold the plan's memory and weights"),
  ),
  bug(
    "DP-23, R-22",
    "signs of life go on while a role is missing",
    `${host}/watch.js`,
    `if (complaint === undefined) {`,
    `if (complaint !== "") {`,
    named(watchTest, "DP-23 a sign of life is sent three times"),
  ),
  bug(
    "DP-23, R-22",
    "a part that is away for a moment is missed for ever",
    `${host}/watch.js`,
    `if (isWell || !this.#wellMs.has(name))`,
    `if (!this.#wellMs.has(name))`,
    named(watchTest, "DP-23 a part may be away as long as a recovery takes"),
  ),
  bug(
    "DP-23",
    "words overtake each other on their way to systemd",
    `${host}/notify.js`,
    `this.#sending = this.#sending.then(() => this.#send(words));`,
    `this.#sending = this.#send(words);`,
    named(watchTest, "DP-23 words reach systemd in their order"),
  ),
  bug("DP-23", "nobody says that rows can flow", "cli/dist/src/commands/start.js", `void hostWatch?.ready(`, `void (`, hears),
  bug("DP-23, R-12", "roles are given systemd's socket", "cli/dist/src/supervisor/child.js", ` && !serviceVariables.has(name)`, ``, hears),
  bug(
    "DP-23",
    "a role does not answer",
    "cli/dist/src/roles/role_process.js",
    `say({ type: "pong" });`,
    ``,
    named(systemTest, "DP-23 a role answers when it is asked"),
  ),
  bug(
    "DP-23, R-22",
    "a role that hangs is well",
    "cli/dist/src/supervisor/child.js",
    `this.#readyUs !== null && answers;`,
    `this.#readyUs !== null;`,
    named("cli/dist/test/supervisor.test.js", "DP-23 R-22 a role that is ready and says nothing more"),
  ),
  bug(
    "DP-24, DB-5",
    "a process has a group without bounds",
    `${host}/control_groups.js`,
    `            this.#limit(name, limits);\n            writeFileSync`,
    `            writeFileSync`,
    named(watchTest, "DP-24 DB-5 the supervisor's group is divided"),
  ),
  bug(
    "DP-24, DB-5",
    "a group that nobody handed over is divided",
    `${host}/control_groups.js`,
    `if (name === undefined || name === "/")`,
    `if (name === undefined)`,
    named(watchTest, "DP-24 a group that nobody handed over"),
  ),
  bug(
    "DP-24, DB-5",
    "the session of a process has everybody's priority",
    `${host}/priorities.js`,
    `"autogroup"), String(nice)`,
    `"autogroup"), "0"`,
    named(watchTest, "DP-24 a process waits and is ended"),
  ),
];
