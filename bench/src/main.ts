/**
 * Why: `npm run bench -- NAME` is how a stranger measures this machine; each bench is one folder.
 * Enforces: unknown names and options end with a sentence and exit code 2.
 * Forbids: work before the command line is understood.
 */
import { ingestBench } from "./ingest/ingest.ts";
import { ingestUsage, parseIngestOptions, UsageError } from "./ingest/options.ts";

const usage = `npm run bench -- ingest [options]    the road from a producer's send to a visible row
npm run bench -- --help              this

${ingestUsage}`;

const [name, ...args] = process.argv.slice(2);

if (name === undefined || name === "--help" || name === "help" || args.includes("--help")) {
  process.stdout.write(`${usage}\n`);
} else if (name === "ingest") {
  try {
    process.exitCode = await ingestBench(parseIngestOptions(args), `npm run bench -- ${["ingest", ...args].join(" ")}`);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n\n${ingestUsage}\n`);
    process.exitCode = 2;
  }
} else {
  process.stderr.write(`there is no bench ${name}\n\n${usage}\n`);
  process.exitCode = 2;
}
