/** Why: bugs that were found in agents and command line by reading them as an attacker would. Enforces: each of them, planted again, is noticed. */
import { type Mutant, named } from "./mutant.ts";

const sdk = "agents/sdk/dist/src";
const shipper = "agents/shipper/dist/src";
const cli = "cli/dist/src";
const following = "agents/shipper/dist/test/follow.test.js";
const disks = "agents/sdk/dist/test/failing_disk.test.js";
const agent = "cli/dist/test/agent.test.js";
const fleet = named("cli/dist/test/large_fleet.test.js", "R-13 thousands of producers");

export const readingMutants: readonly Mutant[] = [
  {
    rule: "TB-11",
    bug: "a request line that is no URL ends the registry",
    patches: [
      {
        file: `${cli}/enrolment/listener.js`,
        find: 'const { path, query } = targetOf(request.url ?? "");',
        replace: 'const { pathname: path, searchParams: query } = new URL(request.url ?? "/", "https://registry");',
      },
    ],
    check: named("cli/dist/test/enrolment.test.js", "TB-11 older TLS, unknown paths"),
  },
  {
    rule: "R-13",
    bug: "parts of a snapshot are cut by number and not by bytes",
    patches: [{ file: `${cli}/registry/wire.js`, find: "bytes + size > partBytesMax || ", replace: "" }],
    check: fleet,
  },
  {
    rule: "AG-1",
    bug: "a link's own inode is taken for its file's",
    patches: [
      {
        file: `${shipper}/follow/followed_path.js`,
        find: 'import { stat } from "node:fs/promises";',
        replace: 'import { lstat as stat } from "node:fs/promises";',
      },
    ],
    check: named(following, "AG-1 a link is followed to its file"),
  },
  {
    rule: "AG-3",
    bug: "a file is read whose beginning is not known yet",
    patches: [
      {
        file: `${shipper}/follow/followed_path.js`,
        find: "const begun = !this.#live || reading.head.bytes > 0;",
        replace: "const begun = true;",
      },
    ],
    check: named(following, "AG-3 a file that was cut and is written to while"),
  },
  {
    rule: "AG-5",
    bug: "what is gone keeps its place for ever",
    patches: [{ file: `${shipper}/follow/follower.js`, find: "if (found.has(path) || !followed.gone)", replace: "if (true)" }],
    check: named(following, "AG-5 logs that come and go by their names"),
  },
  {
    rule: "P-5",
    bug: "a damaged text is tried anew at each quote in it",
    patches: [{ file: `${shipper}/mapping/json.js`, find: '(?:"|\\\\?$)|', replace: '"|' }],
    check: named("agents/shipper/dist/test/json.test.js", "a text without end is one text"),
  },
  {
    rule: "X-6",
    bug: "calls in the open frame hear nothing of a stop",
    patches: [{ file: `${sdk}/producer.js`, find: "this.#batcher.fail(error);", replace: "" }],
    check: named(disks, "a producer that stops answers every call"),
  },
  {
    rule: "AG-7",
    bug: "whoever stops an agent waits for room",
    patches: [{ file: `${cli}/commands/agent.js`, find: "lanes.close().catch(() => undefined);", replace: "" }],
    check: named(agent, "SIGTERM ends an agent whose spool is full"),
  },
];
