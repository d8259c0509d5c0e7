/**
 * Why: `npm run bench -- NAME` is how a stranger measures this machine; each bench is one folder.
 * Enforces: unknown names and options end with a sentence and exit code 2.
 * Forbids: work before the command line is understood.
 */
import { connectionsBench } from "./connections/connections.ts";
import { connectionsUsage, parseConnectionsOptions } from "./connections/options.ts";
import { fairnessBench } from "./fairness/fairness.ts";
import { fairnessUsage, parseFairnessOptions } from "./fairness/options.ts";
import { ingestBench } from "./ingest/ingest.ts";
import { ingestUsage, parseIngestOptions } from "./ingest/options.ts";
import { UsageError } from "./usage.ts";

interface Bench {
  readonly summary: string;
  readonly usage: string;
  readonly run: (args: readonly string[]) => Promise<number>;
}

const benches: Readonly<Record<string, Bench>> = {
  ingest: {
    summary: "the road from a producer's send to a visible row",
    usage: ingestUsage,
    run: (args) => ingestBench(parseIngestOptions(args), `npm run bench -- ${["ingest", ...args].join(" ")}`),
  },
  connections: {
    summary: "fifty thousand producers connected at once",
    usage: connectionsUsage,
    run: (args) => connectionsBench(parseConnectionsOptions(args)),
  },
  fairness: {
    summary: "what honest producers notice of others that flood the gateway",
    usage: fairnessUsage,
    run: (args) => fairnessBench(parseFairnessOptions(args)),
  },
};

const [name = "--help", ...args] = process.argv.slice(2);
const bench = benches[name];
const list = Object.entries(benches).map(([one, { summary }]) => `npm run bench -- ${one} [options]`.padEnd(44) + summary);
const overview = [...list, `${"npm run bench -- NAME --help".padEnd(44)}its options`].join("\n");

if (bench === undefined) {
  const help = name === "--help" || name === "help";
  process.stdout.write(help ? `${overview}\n` : `there is no bench ${name}\n\n${overview}\n`);
  process.exitCode = help ? 0 : 2;
} else if (args.includes("--help")) {
  process.stdout.write(`${bench.usage}\n`);
} else {
  try {
    process.exitCode = await bench.run(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n\n${bench.usage}\n`);
    process.exitCode = 2;
  }
}
