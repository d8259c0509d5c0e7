/**
 * Why it exists: `npm start`: the whole data plane with one command.
 * Enforces: the first signal drains and prints the final ledger, a later one destroys, an echo within a second is neither.
 * Forbids: leaving processes behind.
 */
import { machineFacts, SignalWatch, sleep, systemEnvironment } from "ransomeye-kernel";
import type { ExitName } from "../errors.ts";
import { CliError } from "../errors.ts";
import { Notifier, notifyPlace } from "../host/notify.ts";
import { HostWatch } from "../host/watch.ts";
import { LiveView } from "../supervisor/live_view.ts";
import { openConsole, openJsonConsole } from "../supervisor/console.ts";
import { dataDirAt } from "../supervisor/data_dir.ts";
import { Supervisor } from "../supervisor/supervisor.ts";
import { type CommandContext, type CommandSpec, type OptionValues, textOption } from "./command.ts";

export const startCommand: CommandSpec = {
  path: "start",
  summary: "run the data plane: PostgreSQL, registry, gateway, engine, keeper, sealer, indexer, forensics trigger, and a small demo fleet",
  prose:
    "Everything lies in the data directory. A second start finds the data again; a start after a crash or kill -9 recovers by itself. The first Ctrl-C (or SIGTERM) stops the fleet, the gateway, the engine when it is idle and PostgreSQL, and prints the final ledger; a second one, more than a second later, ends everything at once. Other commands find the running system by the data directory.",
  options: [
    { flags: "--no-demo", help: "do not start the demo fleet" },
    { flags: "--demo-rate <n>", help: "events per second of the whole demo fleet" },
    { flags: "--listen <address>", help: "where producers connect, host:port; port 0 takes any free one" },
    { flags: "--bus <url>", help: "where the frame log lies: redis://host:port of Redis or Valkey servers; default: in the database" },
    { flags: "--after-loss", help: "the log's servers have lost it for good: go on from what has become rows" },
    { flags: "--log-level <level>", help: "level of the log files", choices: ["debug", "info", "warn", "error", "silent"] },
  ],
  examples: [
    { line: "npm start", says: "Start here: everything, with the demo fleet, data in ./.ransomeye." },
    { line: "ransomeye start --no-demo --listen 0.0.0.0:7443 --data-dir /srv/ransomeye", says: "Without the demo, reachable for a fleet." },
  ],
  json: `one object a line: {"time_us": number, "type": "message" | "role" | "status" | "ledger", …}
  message: {"message": string}
  role:    {"role": string, "message": string}
  status:  {"rate": number, "accepted": number, "stored": number, "dead_lettered": number, "gaps": number, "in_flight": number, "balanced": boolean | null}
  ledger:  {"ledger": …as audit --json…}, once, at a clean stop`,
  exits: ["ok", "found", "usage", "config", "unreachable", "interrupted", "busy"],
  run: runStart,
};

async function runStart(context: CommandContext, _args: readonly string[], options: OptionValues): Promise<ExitName> {
  const flags = {
    "gateway.listen": textOption(options, "listen"),
    "demo.events_per_second": textOption(options, "demoRate"),
    "demo.enabled": options["demo"] === false ? "false" : undefined,
    "bus.url": textOption(options, "bus"),
    "log.level": textOption(options, "logLevel"),
  };
  const config = await context.config(flags);
  requireNode();
  const { clock, random } = context;
  const dataDir = dataDirAt(config.dataDir);
  const json = context.json || config.log.format === "json";
  const console = json ? openJsonConsole(context.stdout) : openConsole(context.stdout, clock);
  const environment = systemEnvironment();
  // systemd's; of several folders the first.
  const runtimeParent = environment["RUNTIME_DIRECTORY"]?.split(":")[0];
  const supervisor = new Supervisor({
    config,
    dataDir,
    clock,
    random,
    console,
    afterLoss: options["afterLoss"] === true,
    ...(runtimeParent === undefined || runtimeParent === "" ? {} : { runtimeParent }),
  });
  const place = notifyPlace(environment, process.pid);
  const hostWatch =
    place === undefined
      ? undefined
      : new HostWatch({
          clock,
          notifier: new Notifier(place.socket, console.say),
          watchdogMs: place.watchdogMs,
          parts: () => supervisor.parts(),
          say: console.say,
        });
  const view = new LiveView({
    clock,
    connection: () => supervisor.readerConnection(),
    registrySocket: () => supervisor.registrySocket,
    console,
    json,
    stdout: context.stdout,
    onCounted: (balanced) => supervisor.noteLedger(balanced),
    onSumsDiffer: (epochs) => supervisor.noteSumsDiffer(epochs),
  });

  let finish: (exit: ExitName) => void = () => undefined;
  const finished = new Promise<ExitName>((resolve) => {
    finish = (exit) => {
      hostWatch?.close();
      resolve(exit);
    };
  });
  const stop = async (wish: "drain" | "destroy"): Promise<void> => {
    console.stopLive();
    void hostWatch?.stopping();
    if (wish === "destroy") {
      console.say("second signal: ending everything now; the next start recovers");
      await supervisor.destroy();
      await view.close();
      return finish("interrupted");
    }
    console.say("stopping: the fleet, then the gateway, then the engine when it is idle, then PostgreSQL (Ctrl-C again ends at once)");
    if (!(await supervisor.drain(view, () => view.finalLedger()))) return;
    await view.close();
    console.say("stopped");
    // The echo of the signal may still come; in a process that is just leaving it would count as a death by signal.
    await sleep(clock, watch.echoMs);
    finish(view.balanced === false ? "found" : "ok");
  };
  const watch = new SignalWatch({
    signals: ["SIGINT", "SIGTERM", "SIGHUP"],
    clock,
    onWish: (wish) => {
      stop(wish).catch((error: unknown) => {
        console.say(`stopping failed: ${error instanceof Error ? error.message : String(error)}`);
        finish("defect");
      });
    },
  });

  console.say(`RansomEye data plane · data in ${dataDir.root}`);
  const started = supervisor.start().then(() => {
    if (watch.stopping) return;
    const at = supervisor.gateway;
    console.say(`ready: rows can flow; producers connect to ${at?.host}:${at?.port}; Ctrl-C drains and stops`);
    view.start();
    void hostWatch?.ready(`ready: producers connect to ${at?.host}:${at?.port}`);
  });
  // A signal during the start makes it fail or hang; what counts then is how the stop ends.
  return Promise.race([
    finished,
    started.then(
      () => finished,
      (error: unknown) => (watch.stopping ? finished : Promise.reject(error as Error)),
    ),
  ]);
}

function requireNode(): void {
  const { nodeVersion } = machineFacts();
  if (Number(nodeVersion.split(".")[0]) < 20)
    throw new CliError("CLI_START_FAILED", `Node.js ${nodeVersion} is too old; 20 or newer is needed`);
}
