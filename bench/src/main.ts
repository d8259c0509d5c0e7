/**
 * Why: `npm run bench -- NAME` is how a stranger measures this machine; each bench is one folder.
 * Enforces: unknown names and options end with a sentence and exit code 2.
 * Forbids: work before the command line is understood.
 */
import { type CommandSpec, readCommandLine } from "ransomeye-tests";
import { busBench } from "./bus/bus.ts";
import { busCommand } from "./bus/options.ts";
import { connectionsBench } from "./connections/connections.ts";
import { connectionsCommand } from "./connections/options.ts";
import { fairnessBench } from "./fairness/fairness.ts";
import { fairnessCommand } from "./fairness/options.ts";
import { ingestBench } from "./ingest/ingest.ts";
import { ingestCommand } from "./ingest/options.ts";

interface Bench {
  readonly does: string;
  readonly run: (args: readonly string[]) => Promise<number>;
}

const benches: ReadonlyMap<string, Bench> = new Map([
  ["ingest", bench(ingestCommand, ingestBench)],
  ["bus", bench(busCommand, busBench)],
  ["connections", bench(connectionsCommand, connectionsBench)],
  ["fairness", bench(fairnessCommand, fairnessBench)],
]);

function bench<V extends object>(command: CommandSpec<V>, run: (options: V) => Promise<number>): Bench {
  return { does: command.does, run: async (args) => await run(readCommandLine(command, args).values) };
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
