/**
 * Why it exists: the contracts are to hold on servers that cannot be had here: Valkey, Redis of another version, a cluster on hosts of its own. Whoever has
 * some names them in BUS_URL.
 * Enforces: keys under a prefix that nobody else has, removed at the end; the durability that the servers have; without BUS_URL a server of our own.
 * Forbids: killing, stopping or configuring what somebody else has given.
 */
import { recordingTelemetry, systemClock, systemEnvironment, systemRandom } from "ransomeye-kernel";
import { busConfirmation } from "../events.ts";
import { type Durability, readFacts, type ServerFacts } from "../redis_streams/server_facts.ts";
import { Servers } from "../redis_streams/servers.ts";
import { infoOf, mastersOf, removeKeys } from "./own_keys.ts";
import type { Settings } from "./settings.ts";
import { startRedis } from "./start.ts";

/** Where a contract is played. */
export interface ContractServers {
  readonly url: string;
  readonly durability: Durability;
  /** Ends our own server, or removes our keys from those that were given. */
  close(): Promise<void>;
}

const waitMs = 5000;

/** Of all keys that the tests of this process write, whichever server they are on. */
export const ownPrefix: string = `test-${systemRandom.bytes(8).toString("hex")}`;

/** The servers that the caller has given; undefined where tests start their own. */
export function givenBusUrl(): string | undefined {
  const url = systemEnvironment()["BUS_URL"];
  return url === undefined || url === "" ? undefined : url;
}

/** For a suite's title. */
export function contractServersName(): string {
  return givenBusUrl() === undefined ? "one server" : "the servers of BUS_URL";
}

/** The given servers, or one of our own with these settings. */
export async function contractServers(settings: Settings = {}): Promise<ContractServers> {
  const url = givenBusUrl();
  if (url === undefined) {
    const server = await startRedis({ settings });
    return { url: server.url, durability: { level: "local" }, close: () => server.close() };
  }
  const facts = (await Promise.all((await mastersOf(url)).map(infoOf))).map((info) => readFacts(info, []));
  const durability = durabilityOf(facts);
  const versions = [...new Set(facts.map(({ version }) => version))].join(", ");
  const confirms = await confirmedBy(url, durability);
  console.log(`BUS_URL: masters: ${facts.length}, version ${versions}, durability ${durability.level}${confirms}, keys {${ownPrefix}.…`);
  return {
    url,
    durability,
    close: async () => {
      console.log(`BUS_URL: removed ${await removeKeys(url, ownPrefix)} keys`);
    },
  };
}

/** Whether these servers have WAITAOF, as the bus finds it. @throws BusError BUS_NOT_DURABLE where they are not fit for a contract */
async function confirmedBy(url: string, durability: Durability): Promise<string> {
  const telemetry = recordingTelemetry();
  const servers = new Servers({ url, durability, clock: systemClock, telemetry });
  try {
    await servers.open();
  } finally {
    servers.close();
  }
  const said = telemetry.events.filter(({ name }) => name === busConfirmation.name).map(({ fields }) => String(fields["confirms"]));
  return said.length === 0 ? "" : ` (${[...new Set(said)].join(", ")})`;
}

/** What a system on these servers would be told to wait for. */
function durabilityOf(masters: readonly ServerFacts[]): Durability {
  const replicas = Math.min(...masters.map(({ replicasOnline }) => replicasOnline));
  return replicas >= 1 && Number.isFinite(replicas) ? { level: "replicated", replicas: 1, waitMs } : { level: "local" };
}
