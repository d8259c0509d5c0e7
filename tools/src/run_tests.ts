/**
 * Why: `npm test` is one command over every room, and says what it did not run.
 * Enforces: all compiled tests whose source still exists, two files at a time (the machine's other half serves the databases that tests start);
 * the exit code of node's own runner, whose summary is the last thing printed.
 * Forbids: leaving a suite out in silence.
 *
 * Suites whose files are named redis… start servers of their own and need redis-server (or valkey-server) on PATH. With BUS_URL=redis://… contracts are
 * played on the servers that it names instead, and systems under test have their log there (CONTRIBUTING.md).
 * Suites in a folder `long/` run when a word names it (`npm run test:long`).
 * Usage: npm test [-- WORDS… --node-test-options…]. Only files whose path holds one of the words run.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { filesBelow, findRoot, roomsOf } from "./workspace.ts";

/** Files at a time. */
const concurrency = 2;

/** Why a file is left out that the caller's words do not name. */
const unasked = "not asked for";

/** A test file that waits this long for itself is stuck. */
const fileMsMax = 300_000;

/** `….test.ts` anywhere, and the suites that keep the names their specification gave them (ING-2): `core/tests/overload_tests.ts`. */
const isSuite = /\.test\.js$|^core\/tests\/dist\/[a-z_]+_tests\.js$/;

/** What a contract is played on: servers of the caller's, or else one of its own. */
const contractServers = /\bcontractServers\(/;

/** Where suites that need Redis or Valkey servers find some. */
export interface RedisPlaces {
  readonly isInstalled: boolean;
  /** BUS_URL names some. */
  readonly areGiven: boolean;
}

/** A compiled test file, and why it is left out if it is. */
export interface Suite {
  readonly path: string;
  readonly leftOut?: string;
}

/** Finds the compiled tests of one checkout. */
export function findSuites(root: string, words: readonly string[], redis: RedisPlaces): Suite[] {
  const suites: Suite[] = [];
  for (const room of roomsOf(root)) {
    for (const path of filesBelow(root, `${room}/dist`)) {
      if (isSuite.test(path)) suites.push(judge(root, path, words, redis));
    }
  }
  return suites;
}

function judge(root: string, path: string, words: readonly string[], redis: RedisPlaces): Suite {
  const source = path.replace("/dist/", "/").replace(/\.js$/, ".ts");
  if (!existsSync(`${root}/${source}`)) return { path, leftOut: "its source is gone; the compiled file is stale" };
  if (/\/long\//.test(path) && !words.some((word) => word.includes("long/"))) return { path, leftOut: "long: npm run test:long" };
  if (words.length > 0 && !words.some((word) => path.includes(word))) return { path, leftOut: unasked };
  if (!/\/redis[a-z_]*\.test\.js$/.test(path) || redis.isInstalled) return { path };
  const none = "there is no redis-server (Debian: apt-get install redis-server)";
  if (!redis.areGiven) return { path, leftOut: none };
  // Who kills or configures servers has none to lend.
  if (contractServers.test(readFileSync(`${root}/${source}`, "utf8"))) return { path };
  return { path, leftOut: `it needs servers of its own beside those of BUS_URL, and ${none}` };
}

function redisIsInstalled(): boolean {
  return ["redis-server", "valkey-server"].some((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);
}

function main(): void {
  const root = findRoot();
  const given = process.argv.slice(2);
  const options = given.filter((argument) => argument.startsWith("-"));
  const words = given.filter((argument) => !argument.startsWith("-"));
  const areGiven = (process.env["BUS_URL"] ?? "") !== "";
  const suites = findSuites(root, words, { isInstalled: redisIsInstalled(), areGiven });
  const chosen = suites.filter(({ leftOut }) => leftOut === undefined).map(({ path }) => path);
  const others = suites.filter(({ leftOut }) => leftOut !== undefined);
  console.log(`${chosen.length} test files on Node ${process.versions.node}, ${concurrency} at a time; left out: ${others.length}`);
  for (const { path, leftOut } of others) if (leftOut !== unasked) console.log(`  left out ${path}: ${leftOut}`);
  if (areGiven) console.log("  BUS_URL: contracts are played on its servers, and systems under test have their log there");
  if (words.length > 0) console.log(`  only files whose path holds one of: ${words.join(" ")}`);
  if (chosen.length === 0) {
    console.error("no test file to run");
    process.exitCode = 1;
    return;
  }
  const settings = [`--test-concurrency=${concurrency}`, `--test-timeout=${fileMsMax}`, "--test-reporter=spec"];
  const child = spawn(process.execPath, ["--enable-source-maps", "--test", ...settings, ...options, ...chosen], {
    cwd: root,
    stdio: "inherit",
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void child.kill(signal));
  child.on("error", (error) => {
    console.error(String(error));
    process.exitCode = 1;
  });
  child.on("exit", (code) => (process.exitCode = code ?? 1));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
