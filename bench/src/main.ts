/**
 * Why: `npm run bench -- NAME` is how a stranger measures this machine; each bench is one folder.
 * Enforces: unknown names and options end with a sentence and exit code 2.
 * Forbids: work before the command line is understood.
 */
import { type CommandSpec, readCommandLine } from "ransomeye-tests/command_line";
import { busCommand } from "./bus/options.ts";
import { connectionsCommand } from "./connections/options.ts";
import { dataplaneCommand } from "./dataplane/options.ts";
import { evidenceCommand } from "./evidence/options.ts";
import { fairnessCommand } from "./fairness/options.ts";
import { isolationCommand } from "./isolation/options.ts";
import { ingestCommand } from "./ingest/options.ts";
import { ledgerCommand } from "./ledger/options.ts";
import { observablesCommand } from "./observables/options.ts";
import { storingCommand } from "./storing/options.ts";

interface Bench {
  readonly does: string;
  readonly run: (args: readonly string[]) => Promise<number>;
}

const benches: ReadonlyMap<string, Bench> = new Map([
  ["ingest", bench(ingestCommand, async () => (await import("./ingest/ingest.ts")).ingestBench)],
  ["bus", bench(busCommand, async () => (await import("./bus/bus.ts")).busBench)],
  ["connections", bench(connectionsCommand, async () => (await import("./connections/connections.ts")).connectionsBench)],
  ["dataplane", bench(dataplaneCommand, async () => (await import("./dataplane/dataplane.ts")).dataplaneBench)],
  ["evidence", bench(evidenceCommand, async () => (await import("./evidence/evidence.ts")).evidenceBench)],
  ["ledger", bench(ledgerCommand, async () => (await import("./ledger/ledger.ts")).ledgerBench)],
  ["observables", bench(observablesCommand, async () => (await import("./observables/observables.ts")).observablesBench)],
  ["storing", bench(storingCommand, async () => (await import("./storing/storing.ts")).storingBench)],
  ["fairness", bench(fairnessCommand, async () => (await import("./fairness/fairness.ts")).fairnessBench)],
  ["isolation", bench(isolationCommand, async () => (await import("./isolation/isolation.ts")).isolationBench)],
]);

function bench<V extends object>(command: CommandSpec<V>, load: () => Promise<(options: V) => Promise<number>>): Bench {
  return {
    does: command.does,
    run: async (args) => {
      const { values } = readCommandLine(command, args);
      const run = await load();
      return await run(values);
    },
  };
}

const [name = "--help", ...args] = process.argv.slice(2);
const chosen = benches.get(name);
if (chosen === undefined) {
  const help = name === "--help" || name === "help";
  const list = [...benches].map(([one, { does }]) => `npm run bench -- ${one} [options]`.padEnd(44) + does);
  const overview = [...list, `${"npm run bench -- NAME --help".padEnd(44)}its options`].join("\n");
  process.stdout.write(help ? `${overview}\n` : `there is no bench ${name}\n\n${overview}\n`);
  process.exitCode = help ? 0 : 2;
} else {
  process.exitCode = await chosen.run(args);
}
