/**
 * Why: whether a hostile frame was accepted is judged where acceptance happens: on a real bus, by its heads, its entries and the rows behind them.
 * Enforces: two real gateways on one PostgreSQL, the first of which was restarted since the attackers' honest past; an engine that stores at the
 *   end whatever reached the bus; every refusal counted by its code.
 * Forbids: asking the gates what they have accepted.
 */
import { engineGroup, startEngine } from "ransomeye-engine";
import { type GatewayConfig, type HandshakeConfig, startGateway } from "ransomeye-ingestion";
import { gatewaySpiffeId, producerSpiffeId } from "ransomeye-ingestion/protocol";
import { Lifetime, recordingTelemetry, seededRandom, systemClock, systemRandom, type Telemetry } from "ransomeye-kernel";
import { type Bus, openPostgresBus } from "ransomeye-pipeline";
import { openTestServer, type TestDatabase, type TestServer } from "ransomeye-db/testing";
import { syntheticKey, type SyntheticProducer, syntheticProducer } from "../../synthetic_events.ts";
import { TestClient } from "../gate/test_client.ts";
import { TestDirectory } from "../gate/test_directory.ts";
import { testConfig, testDomain, until } from "../gate/test_gate.ts";
import { createTestCa, type TestCa, type TestCertificate, usages } from "../test_ca.ts";

/** A producer with its certificate. */
export interface Enrolled {
  readonly who: SyntheticProducer;
  readonly certificate: TestCertificate;
}

/** What the bus and the tables say. */
export interface Stored {
  readonly frames: number;
  readonly rows: number;
  readonly imbalance: number;
}

/** No quarantine to speak of: every attack is to be judged by itself. Quarantine has its own tests. */
const config: GatewayConfig & HandshakeConfig = {
  ...testConfig,
  quarantineMsMin: 1,
  quarantineMsMax: 1,
  handshakeOverrides: "127.0.0.0/8=unlimited",
};

export class HostileSystem {
  readonly directory: TestDirectory = new TestDirectory();
  /** Refusals of all gates by code. */
  readonly refused: Map<string, number> = new Map();
  readonly bus: Bus;
  readonly #ca: TestCa;
  readonly #server: TestServer;
  readonly #database: TestDatabase;
  readonly #telemetry: Telemetry;
  readonly #gates: { port: number; lifetime: Lifetime }[] = [];

  private constructor(ca: TestCa, server: TestServer, database: TestDatabase, bus: Bus) {
    this.#ca = ca;
    this.#server = server;
    this.#database = database;
    this.bus = bus;
    const quiet = recordingTelemetry();
    this.#telemetry = Object.assign(Object.create(quiet) as Telemetry, {
      emit: (event: { readonly name: string }, fields: Readonly<Record<string, unknown>>): void => {
        if (event.name !== "transmissions_refused") return;
        const code = String(fields["code"]);
        this.refused.set(code, (this.refused.get(code) ?? 0) + Number(fields["count"]));
      },
    });
  }

  static async start(): Promise<HostileSystem> {
    const server = await openTestServer();
    const database = await server.database();
    const telemetry = recordingTelemetry();
    const bus = await openPostgresBus({
      gatePool: database.rolePool("ransomeye_gate", 10),
      enginePool: database.rolePool("ransomeye_engine", 4),
      clock: systemClock,
      telemetry,
    });
    const system = new HostileSystem(await createTestCa("hostile ca"), server, database, bus);
    for (const gate of [0, 1]) await system.startGate(gate);
    return system;
  }

  /** Starts a gate, or starts it again after ending it at once. */
  async startGate(gate: number): Promise<void> {
    await this.#gates[gate]?.lifetime.destroy();
    const id = `gate-${gate + 1}`;
    const names = [
      { type: "url" as const, value: gatewaySpiffeId(testDomain, id) },
      { type: "ip" as const, value: "127.0.0.1" },
    ];
    const { key, cert } = await this.#ca.leaf({ names, usages: [usages.server] });
    const lifetime = new Lifetime();
    const gateway = await startGateway({
      listen: "127.0.0.1:0",
      tls: { key, cert, ca: this.#ca.cert },
      receiptKey: syntheticKey(seededRandom(id)),
      gatewayId: id,
      frameLog: this.bus,
      registry: this.directory,
      config,
      clock: systemClock,
      random: systemRandom,
      telemetry: this.#telemetry,
      lifetime,
    });
    this.#gates[gate] = { port: gateway.address.port, lifetime };
  }

  async enrol(seed: string): Promise<Enrolled> {
    const who = syntheticProducer(seed);
    this.directory.put(who);
    const names = [{ type: "url" as const, value: producerSpiffeId(testDomain, who.kind, who.producer) }];
    return { who, certificate: await this.#ca.leaf({ names }) };
  }

  connect(gate: number, { key, cert }: TestCertificate): TestClient {
    return new TestClient({ port: this.#gates[gate]?.port ?? 0, ca: this.#ca.cert, cert, key });
  }

  /** Lets an engine store whatever has reached the bus, and counts it. */
  async stored(): Promise<Stored> {
    let frames = 0;
    for (const { off } of await this.bus.tails()) frames += off;
    await using lifetime = new Lifetime();
    startEngine({
      bus: this.bus,
      groups: this.bus,
      pool: this.#database.rolePool("ransomeye_engine", 6),
      member: "judge",
      config: { engine: { commitRowsMax: 20_000, commitMsMax: 25, writers: 2, leaseMs: 2000 } },
      clock: systemClock,
      random: systemRandom,
      telemetry: this.#telemetry,
      lifetime,
    });
    await until(async () => (await this.bus.lag(engineGroup)).every(({ entries }) => entries === 0));
    const { rows } = await this.#database.pool.query<{ rows: number; imbalance: number }>(
      `SELECT (SELECT count(*)::int FROM data.events_dpi) + (SELECT count(*)::int FROM data.events_agent)
            + (SELECT count(*)::int FROM data.events_honeypot) AS rows, (SELECT imbalance::int FROM views.ledger) AS imbalance`,
    );
    return { frames, rows: rows[0]?.rows ?? -1, imbalance: rows[0]?.imbalance ?? -1 };
  }

  async close(): Promise<void> {
    for (const { lifetime } of this.#gates) await lifetime.destroy();
    await this.bus.close();
    await this.#database.close();
    await this.#server.close();
  }
}
