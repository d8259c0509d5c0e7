/**
 * Why it exists: tests of enrolment need a registry with its listener, an agent beside it, and clocks that may differ.
 * Enforces: the real registry, store, listener and client, on a database of their own; everything ends with the test.
 * Forbids: reaching past the doors: agents use the SDK, operators the registry's requests.
 */
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { TestServer } from "ransomeye-db/testing";
import { type Clock, Lifetime, loadConfig, recordingTelemetry, type RecordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { openPostgresControl } from "ransomeye-pipeline";
import type { Pool } from "ransomeye-db";
import type { RegistryContext } from "ransomeye-sdk";
import { openEnrolment } from "../src/enrolment/enrolment.ts";
import { AuthorityKeeper } from "../src/registry/authority_keeper.ts";
import { InstallationTrust } from "../src/registry/installation_trust.ts";
import { Registry } from "../src/registry/registry.ts";
import type { Question } from "../src/registry/requests.ts";

export const domain = "ransomeye.test";

/** A registry that answers agents. */
export interface EnrolmentBench {
  readonly registry: Registry;
  readonly trust: InstallationTrust;
  readonly secrets: string;
  readonly telemetry: RecordingTelemetry;
  /** The administrator's view of the tables. */
  readonly tables: Pool;
  readonly address: { readonly host: string; readonly port: number };
  /** How an agent reaches it. */
  readonly agent: RegistryContext;
  /** Moves the registry's clock, in microseconds. */
  shift(us: number): void;
  ask<T>(question: Question): Promise<T>;
  token(more?: Partial<Extract<Question, { op: "token_create" }>>): Promise<string>;
  /** A fresh folder for an agent. */
  folder(name: string): string;
  /** What the audit trail says, oldest first. */
  audit(): Promise<readonly string[]>;
  /** What the listener does now and then: looks whether its certificate is due. */
  refresh(): Promise<void>;
}

/** Starts one; it ends with the test. */
export async function startEnrolment(
  t: Pick<TestContext, "after">,
  server: TestServer,
  aheadUs = 0,
  flags: Readonly<Record<string, string>> = {},
): Promise<EnrolmentBench> {
  let shiftUs = aheadUs;
  const clock: Clock = { ...systemClock, nowUs: () => systemClock.nowUs() + shiftUs };
  const database = await server.database();
  const lifetime = new Lifetime();
  t.after(async () => {
    await lifetime.destroy();
    await database[Symbol.asyncDispose]();
  });
  const secrets = await temporaryDirectory();
  const agents = await temporaryDirectory();
  const telemetry = recordingTelemetry();
  const keeper = await AuthorityKeeper.open({ secrets, trustDomain: domain, clock, random: systemRandom });
  const trust = new InstallationTrust({ secrets, keeper, trustDomain: domain, names: ["127.0.0.1"], clock, telemetry });
  await trust.refresh();
  const pool = database.rolePool("ransomeye_registry");
  const registry = new Registry({
    pool,
    trust,
    bus: openPostgresControl({ pool, telemetry }),
    trustDomain: domain,
    clock,
    random: systemRandom,
    telemetry,
  });
  await registry.open();
  const { enrolment: config } = loadConfig({
    env: {},
    flags: {
      "enrolment.enabled": "true",
      "enrolment.listen": "127.0.0.1:0",
      "enrolment.source_requests_per_minute_max": "10000",
      ...flags,
    },
  });
  const enrolment = await openEnrolment({ config, registry, trust, trustDomain: domain, clock, telemetry, lifetime });
  if (enrolment === undefined) throw new Error("enrolment is enabled");
  const { address } = enrolment;
  const ask = <T>(question: Question): Promise<T> => registry.handle(question) as Promise<T>;
  return {
    registry,
    trust,
    secrets,
    telemetry,
    tables: database.pool,
    address,
    agent: { address, clock: systemClock, random: systemRandom, timeoutMs: 20_000 },
    shift(us) {
      shiftUs = us;
    },
    ask,
    async token(more = {}) {
      const made = await ask<{ token: string }>({ op: "token_create", name: "probe", kind: "linux", uses: 1, seconds: 3600, ...more });
      return made.token;
    },
    folder: (name) => join(agents, name),
    refresh: () => enrolment.refresh(),
    async audit() {
      const { rows } = await database.pool.query<{ action: string }>("SELECT action FROM registry.audit ORDER BY id");
      return rows.map(({ action }) => action);
    },
  };
}
