/**
 * Why: `npm run proof:dashboard -- [--messages 1000000] [--rate N] [--adapter NAME] [--result]` shows that a consumer that is away stalls no publisher and misses
 * nothing (R-26; checks.md, bus).
 * Enforces: exit code 1 where a message was lost, doubled or out of order, or publishing at p99 took more than twice as long as while the dashboard ran; the figures last.
 * Forbids: leaving a server or system behind.
 */
import { fileURLToPath } from "node:url";
import { count, countIfGiven, flag, oneOrAll, readCommandLine } from "../command_line.ts";
import { openResult } from "../results/result_file.ts";
import { besides, dashboardPage, hasPassed, ratioMax } from "./dashboard_page.ts";
import { type Adapter, adapters, type DashboardRecord, dashboardRun } from "./dashboard_run.ts";

const resultPath = fileURLToPath(new URL("../../../results/stopped_dashboard.md", import.meta.url));

const { messages, rate, adapter, result } = readCommandLine({
  typed: "npm run proof:dashboard --",
  does: "publishes attacks while a dashboard's group is stopped, starts it again, and counts what it was given",
  options: {
    messages: count("--messages <n>", "published while it is stopped; a tenth of them before, while it runs", 1_000_000),
    rate: countIfGiven("--rate <n>", "messages a second; without it as fast as 64 at a time go"),
    adapter: oneOrAll<Adapter>("--adapter <name>", "where the streams lie", adapters),
    result: flag("--result", "write core/tests/results/stopped_dashboard.md, and the figures (JSON) beside it"),
  },
  exits: [`nothing lost, doubled or out of order, and publishing at p99 took at most ${ratioMax} times as long`, "it was not so"],
}).values;
const keep = result
  ? await openResult<readonly DashboardRecord[]>({ path: resultPath, script: "proof:dashboard", append: besides, pageOf: dashboardPage })
  : undefined;

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => interrupted.abort(new Error(`interrupted by ${signal}`)));

const records: DashboardRecord[] = [];
for (const one of adapter) {
  const onStep = (said: string): void => void process.stdout.write(`${one}: ${said}\n`);
  const record = await dashboardRun({ adapter: one, messages, rate, onStep, signal: interrupted.signal }).catch((error: unknown) => {
    process.stdout.write(`${one}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
  records.push(record);
  const { lost, doubled, outOfOrder, archivedOnly, readPerSecond, ratio } = record;
  const away = archivedOnly === null ? "" : `${archivedOnly} of them in the archive alone, `;
  process.stdout.write(
    `${one}: ${messages} waited, ${away}then read ${readPerSecond.toFixed(0)}/s: lost ${lost} doubled ${doubled} out of order ${outOfOrder}, ` +
      `publish p99 ${ratio.toFixed(2)} times ${hasPassed(record) ? "ok" : "FAILED"}\n`,
  );
  await keep?.(records);
}
process.exitCode = records.every(hasPassed) ? 0 : 1;
