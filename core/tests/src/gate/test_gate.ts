/**
 * Why: every test of the listener needs the same thing: a gate on a free port, a bus in memory, a CA, a registry in its hand.
 * Enforces: the real `startGateway`, the real listener, certificates made now; everything ends with the test.
 * Forbids: reaching into the gate: tests see what a producer, the bus and an operator see.
 */
import type { TestContext } from "node:test";
import { type Gateway, type GatewayConfig, type HandshakeConfig, startGateway } from "ransomeye-ingestion";
import { type ClientMessage, gatewaySpiffeId, producerSpiffeId, type ServerMessage } from "ransomeye-ingestion/protocol";
import {
  type Clock,
  Lifetime,
  recordingTelemetry,
  type RecordingTelemetry,
  seededRandom,
  systemClock,
  systemRandom,
} from "ransomeye-kernel";
import { type MemoryBus, openMemoryBus } from "ransomeye-pipeline";
import { SyntheticChain, syntheticKey, type SyntheticProducer, syntheticProducer } from "../../synthetic_events.ts";
import { createTestCa, type LeafOptions, type TestCa, type TestCertificate, usages } from "../test_ca.ts";
import { type ClientOptions, plainHello, TestClient } from "./test_client.ts";
import { TestDirectory } from "./test_directory.ts";

/** The trust domain of tests. */
export const testDomain = "test.ransomeye";

const mib = 1024 * 1024;
const anyKind = { weight: 1, rateEventsPerSecondMax: 10_000_000, rateBytesPerSecondMax: 4096 * mib };

/** What a gateway reads of its configuration. */
export type TestGateConfig = GatewayConfig & HandshakeConfig;

/** A configuration for tests: small, so that bounds are near. */
export const testConfig: TestGateConfig = {
  trustDomain: testDomain,
  bufferBytesMax: 8 * mib,
  sessionsMax: 100,
  lingerMs: 20,
  appendConnections: 4,
  registryFreshMsMax: 5000,
  registryStaleMsMax: 60_000,
  rateEventsPerSecondMax: 1_000_000,
  rateBytesPerSecondMax: 1024 * mib,
  totalRateEventsPerSecondMax: 10_000_000,
  totalRateBytesPerSecondMax: 4096 * mib,
  appendMsMax: 5000,
  busBacklogFramesMax: 100_000,
  engineLagMsMax: 30_000,
  quarantineMsMin: 60_000,
  quarantineMsMax: 3_600_000,
  kinds: { dpi: anyKind, linux: anyKind, windows: anyKind, honeypot: anyKind },
  handshakesPerSecondMax: 1000,
  handshakeBurstMax: 1000,
  handshakeOverrides: "",
};

/** A gate under test. */
export interface TestGate {
  readonly gateway: Gateway;
  readonly bus: MemoryBus;
  readonly directory: TestDirectory;
  readonly ca: TestCa;
  readonly telemetry: RecordingTelemetry;
  /** Enrols a producer and makes its certificate. */
  enrol(
    seed: number | string,
    leaf?: Partial<LeafOptions>,
  ): Promise<{ readonly who: SyntheticProducer; readonly certificate: TestCertificate }>;
  /** Connects with a certificate, or without; to the gate, or to the port of somebody between; with other headers than those of the contract. */
  connect(certificate?: TestCertificate, to?: Partial<Pick<ClientOptions, "port" | "headers">>): TestClient;
  /** Connects, says Hello, opens an epoch where there is none. */
  begin(
    who: SyntheticProducer,
    certificate: TestCertificate,
    hello?: Parameters<typeof plainHello>[0],
    port?: number,
  ): Promise<TestConversation>;
  /** Frames in the bus, all partitions. */
  stored(): Promise<number>;
  /** Counted under a code since the start (the gate flushes its counters each second). */
  refused(code: string): number;
  /** The codes that have been counted. */
  refusals(): string[];
}

/** A conversation that can send frames. */
export interface TestConversation {
  readonly client: TestClient;
  readonly chain: SyntheticChain;
  readonly welcome: Extract<ServerMessage, { kind: "welcome" }>;
  /** Asks for credit and waits for it. */
  readonly credit: (bytes: number, events: number) => Promise<void>;
  /** Sends; does not wait. */
  readonly say: (message: ClientMessage) => void;
}

/** Starts a gate that ends with the test. */
export async function startTestGate(
  t: Pick<TestContext, "after">,
  options: {
    readonly config?: Partial<TestGateConfig>;
    readonly bus?: MemoryBus;
    readonly clock?: Clock;
    readonly authorities?: readonly string[];
    readonly gatewayId?: string;
  } = {},
): Promise<TestGate> {
  const ca = await createTestCa("test ca");
  const server = await ca.leaf({
    names: [
      { type: "url", value: gatewaySpiffeId(testDomain, "gate-1") },
      { type: "ip", value: "127.0.0.1" },
    ],
    usages: [usages.server],
  });
  const directory = new TestDirectory();
  const telemetry = recordingTelemetry();
  const bus = options.bus ?? openMemoryBus({ clock: systemClock });
  const lifetime = new Lifetime();
  const gateway = await startGateway({
    listen: "127.0.0.1:0",
    tls: { key: server.key, cert: server.cert, ca: [ca.cert, ...(options.authorities ?? [])].join("\n") },
    receiptKey: syntheticKey(seededRandom("receipt key")),
    gatewayId: options.gatewayId ?? "gate-1",
    frameLog: bus,
    registry: directory,
    config: { ...testConfig, ...options.config },
    clock: options.clock ?? systemClock,
    random: systemRandom,
    telemetry,
    lifetime,
  });
  const clients: TestClient[] = [];
  t.after(async () => {
    for (const client of clients) client.close();
    await lifetime.destroy();
  });
  const connect = (certificate?: TestCertificate, to: Partial<Pick<ClientOptions, "port" | "headers">> = {}): TestClient => {
    const client = new TestClient({ port: gateway.address.port, ca: ca.cert, cert: certificate?.cert, key: certificate?.key, ...to });
    clients.push(client);
    return client;
  };
  return {
    gateway,
    bus,
    directory,
    ca,
    telemetry,
    async enrol(seed, leaf = {}) {
      const who = syntheticProducer(seed);
      directory.put(who);
      const names = [{ type: "url" as const, value: producerSpiffeId(testDomain, who.kind, who.producer) }];
      return { who, certificate: await ca.leaf({ names, ...leaf }) };
    },
    connect,
    async begin(who, certificate, hello = {}, port?: number) {
      const client = connect(certificate, port === undefined ? {} : { port });
      client.say(plainHello(hello));
      const welcome = await client.next("welcome");
      const chain = new SyntheticChain(who);
      chain.resume(welcome.head);
      if (chain.epoch === 0) {
        client.say(chain.openEpoch(welcome.sessionNonce));
        const opened = await client.next("epochOpened");
        chain.opened(opened.epoch, opened);
      }
      return {
        client,
        chain,
        welcome,
        async credit(bytes, events) {
          client.say({ kind: "demand", bytes, events, oldestUs: 0, frameBytes: 0 });
          await client.next("credit");
        },
        say: (message) => client.say(message),
      };
    },
    async stored() {
      let frames = 0;
      for (const { off } of await bus.tails()) frames += off;
      return frames;
    },
    refusals() {
      return telemetry.events.filter(({ name }) => name === "transmissions_refused").map(({ fields }) => String(fields["code"]));
    },
    refused(code) {
      let count = 0;
      for (const event of telemetry.events) {
        if (event.name === "transmissions_refused" && event.fields["code"] === code) count += Number(event.fields["count"]);
      }
      return count;
    },
  };
}

/** Beyond every test's own time-out: that one names the test, this one lets its process end. */
const untilMsMax = 120_000;

/** Waits until something holds; the test's own time-out is the bound. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const givenUp = performance.now() + untilMsMax;
  while (!(await holds())) {
    if (performance.now() > givenUp) throw new Error(`what was waited for has not come: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The published contract, for stock clients. */
export const protoFile: string = new URL("../../../../ingestion/proto/ransomeye/ingest/v1/ingest.proto", import.meta.url).pathname;
