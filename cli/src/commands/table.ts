/**
 * Why it exists: every command of `ransomeye`, in the order of help and reference page.
 * Enforces: one list; what is not in it does not exist. A command's code is loaded when it is asked for: a question to a running system is answered in half
 * the time, and a role's process does not carry what others need.
 * Forbids: importing a command for more than its type.
 */
import type { CommandSpec } from "./command.ts";

/** Commands that begin with the same word, and how their code is loaded. */
interface Family {
  readonly words: readonly string[];
  readonly load: () => Promise<readonly CommandSpec[]>;
}

const families: readonly Family[] = [
  { words: ["start"], load: async () => [(await import("./start.ts")).startCommand] },
  { words: ["status"], load: async () => [(await import("./status.ts")).statusCommand] },
  { words: ["ship"], load: async () => [(await import("./ship.ts")).shipCommand] },
  { words: ["agent"], load: async () => [(await import("./agent.ts")).agentCommand] },
  { words: ["events"], load: async () => [(await import("./events.ts")).eventsCommand] },
  { words: ["event"], load: async () => [(await import("./event.ts")).eventCommand] },
  { words: ["index"], load: async () => [(await import("./observable_index.ts")).indexCommand] },
  { words: ["audit", "ledger"], load: async () => [(await import("./audit.ts")).auditCommand] },
  { words: ["db"], load: async () => [(await import("./db_audit.ts")).dbAuditCommand] },
  { words: ["evidence"], load: async () => (await import("./evidence.ts")).evidenceCommands },
  { words: ["hold"], load: async () => (await import("./hold.ts")).holdCommands },
  { words: ["rebuild"], load: async () => [(await import("./rebuild.ts")).rebuildCommand] },
  { words: ["replay"], load: async () => [(await import("./replay.ts")).replayCommand] },
  { words: ["backup"], load: async () => (await import("./backup.ts")).backupCommands },
  { words: ["producer"], load: loadProducer },
  { words: ["enrol"], load: async () => [(await import("./enrol.ts")).enrolCommand] },
  { words: ["ca"], load: async () => (await import("./authority.ts")).authorityCommands },
  { words: ["init"], load: async () => [(await import("./init.ts")).initCommand] },
  { words: ["config"], load: async () => (await import("./config.ts")).configCommands },
  { words: ["doctor"], load: async () => [(await import("./doctor.ts")).doctorCommand] },
  { words: ["host"], load: async () => [(await import("./host_units.ts")).hostUnitsCommand] },
  { words: ["reconcile"], load: async () => [(await import("./reconcile.ts")).reconcileCommand] },
  { words: ["feed"], load: async () => [(await import("./feed.ts")).feedCommand] },
  { words: ["bus"], load: async () => [(await import("./bus_acl.ts")).busAclCommand] },
  { words: ["dlq"], load: async () => (await import("./dlq.ts")).dlqCommands },
  { words: ["restart"], load: async () => [(await import("./restart.ts")).restartCommand] },
  { words: ["role"], load: async () => [(await import("./role.ts")).roleCommand] },
];

async function loadProducer(): Promise<readonly CommandSpec[]> {
  const [producer, clones, token] = await Promise.all([import("./producer.ts"), import("./clones.ts"), import("./token.ts")]);
  return [...producer.producerCommands, ...clones.cloneCommands, ...token.tokenCommands];
}

/** Commands that a command line can mean: those that begin with its first word, or all, which help and complaints then name. */
export async function commandsFor(argv: readonly string[]): Promise<readonly CommandSpec[]> {
  const named = families.find(({ words }) => words.includes(argv[0] ?? ""));
  return named === undefined ? await allCommands() : await named.load();
}

/** The whole table. */
export async function allCommands(): Promise<readonly CommandSpec[]> {
  const loaded = await Promise.all(families.map(({ load }) => load()));
  return loaded.flat();
}
