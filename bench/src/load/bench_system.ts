/**
 * Why: the bench measures a system that runs as a stranger would run it, and needs a few more facts about it than a stranger does.
 * Enforces: the administrator's connection is used for looking only (and for the raw limit's scratch schema); what is measured goes through the gateway.
 * Forbids: a shortcut into the running processes.
 */
import { join } from "node:path";
import { openReader } from "ransomeye";
import { type Client, type Connection, openClient, type Pool, readSecrets, superuserName } from "ransomeye-db";
import type { ProducerIdentity } from "ransomeye-sdk";
import { type Runtime, RunningSystem } from "ransomeye-tests";
import { enrolProducers } from "./enrol.ts";

/** The ledger as `ransomeye audit --json` prints it, as far as the bench judges it. */
interface Ledger {
  readonly balanced: boolean;
  readonly stored: number;
  readonly dead_lettered: number;
  readonly in_flight: number;
}

/** All load comes from this machine: thousands of producers that open their sessions at once share an address, and are no flood of it. */
const manyFromOneAddress = { RANSOMEYE_GATEWAY_HANDSHAKE_OVERRIDES: "127.0.0.0/8=unlimited" };

/** A started system with its facts. */
export class BenchSystem implements AsyncDisposable {
  readonly runtime: Runtime;
  readonly administrator: Connection;
  readonly postgresPid: number;
  readonly #system: RunningSystem;

  private constructor(system: RunningSystem, runtime: Runtime, administrator: Connection, postgresPid: number) {
    this.#system = system;
    this.runtime = runtime;
    this.administrator = administrator;
    this.postgresPid = postgresPid;
  }

  /** @param environment variables for the system's processes, such as a probe to load */
  static async start(environment: Readonly<Record<string, string>> = {}): Promise<BenchSystem> {
    const system = await RunningSystem.start([], { ...manyFromOneAddress, ...environment });
    const runtime = await system.runtime();
    const { postgres } = runtime;
    if (postgres === null) throw new Error("the bench needs the embedded PostgreSQL");
    const { passwords } = await readSecrets(join(system.dataDir, "secrets", "database.json"));
    const { host, port, database, pid } = postgres;
    return new BenchSystem(system, runtime, { host, port, database, user: superuserName, password: passwords[superuserName] ?? "" }, pid);
  }

  enrol(prefix: string, count: number): Promise<ProducerIdentity[]> {
    return enrolProducers(this.runtime.registrySocket, prefix, count);
  }

  /** A pool as ransomeye_reader; the caller ends it. */
  reader(): Promise<Pool> {
    return openReader(this.#system.dataDir);
  }

  client(name: string): Promise<Client> {
    return openClient(this.administrator, name);
  }

  /** One value of a gateway's metrics. @throws where it has none of that name */
  async gatewayMetric(name: string, gateway = "gateway-1"): Promise<number> {
    const value = new RegExp(`^ransomeye_${name}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(await this.#system.metrics(gateway))?.[1];
    if (value === undefined) throw new Error(`${gateway} has no metric ${name}`);
    return Number(value);
  }

  /** The sum of one of a gateway's counters over its labels; 0 for one that has not counted yet. */
  async gatewaySum(name: string, gateway: string): Promise<number> {
    const values = (await this.#system.metrics(gateway)).matchAll(new RegExp(`^ransomeye_${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"));
    return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
  }

  /** Transmissions that all gateways have refused since the start, by code. */
  async refusals(): Promise<Readonly<Record<string, number>>> {
    const { refused_by_code } = await this.#system.json<{ refused_by_code: Record<string, number> }>("audit");
    return refused_by_code;
  }

  /** Of a process by its name, or the first of its role. */
  pidOf(role: string): number {
    const child = this.runtime.children.find((one) => one.role === role || one.name === role);
    if (child === undefined) throw new Error(`no process of role or name ${role}`);
    return child.pid;
  }

  /** Waits until nothing is in flight and recounts. @throws where the ledger does not balance or does not count `stored` rows */
  async assertBalanced(stored: number): Promise<void> {
    const ledger = await this.#system.json<Ledger>("audit", "--wait-idle", "120");
    if (!ledger.balanced || ledger.in_flight !== 0 || ledger.dead_lettered !== 0 || ledger.stored !== stored) {
      throw new Error(`the ledger does not agree: ${stored} events were sent, it says ${JSON.stringify(ledger)}`);
    }
  }

  /** Waits until nothing is in flight and recounts. */
  async isBalanced(): Promise<boolean> {
    const ledger = await this.#system.json<Ledger>("audit", "--wait-idle", "120");
    return ledger.balanced && ledger.in_flight === 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#system[Symbol.asyncDispose]();
  }
}
