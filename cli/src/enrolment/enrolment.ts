/**
 * Why it exists: the listener for agents and its desk, put together where the operator has asked for them.
 * Enforces: the listener's own certificate is made in memory at the start, follows the authority, and is renewed long before it ends: its key is never
 * on a disk.
 * Forbids: listening where it is not enabled.
 */
import { registrySpiffeId } from "ransomeye-ingestion/protocol";
import type { Clock, Config, Lifetime, Telemetry } from "ransomeye-kernel";
import { keeperFailed } from "../events.ts";
import { gatewayNames } from "../registry/gateway_names.ts";
import type { InstallationTrust } from "../registry/installation_trust.ts";
import type { Registry } from "../registry/registry.ts";
import { agentDesk } from "./desk.ts";
import { type EnrolmentListener, listenForAgents, type ListenerMaterial } from "./listener.ts";
import { SourceLimits } from "./source_limits.ts";
import { TimeKey } from "./time_key.ts";

const dayUs = 86_400_000_000;
const renewBeforeUs = 30 * dayUs;

export interface Enrolment {
  readonly address: Pick<EnrolmentListener, "host" | "port">;
  /** Takes over another authority, and renews its own certificate where that is due. */
  refresh(): Promise<void>;
}

/** Opens the listener, or nothing where it is not enabled. @throws CliError CLI_PORT_BUSY */
export async function openEnrolment(o: {
  readonly config: Config["enrolment"];
  readonly registry: Registry;
  readonly trust: InstallationTrust;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly lifetime: Lifetime;
}): Promise<Enrolment | undefined> {
  const { config, trust, clock } = o;
  if (!config.enabled) return undefined;
  let made = { roots: "", notAfterUs: 0 };
  const issue = async (): Promise<ListenerMaterial> => {
    const issued = await trust.current.issueServer({ spiffeId: registrySpiffeId(o.trustDomain), names: gatewayNames(config.listen) });
    made = { roots: trust.roots, notAfterUs: issued.notAfterUs };
    return { key: issued.keyPem, cert: `${issued.certPem.trim()}\n${trust.link}`, ca: trust.roots };
  };
  const limits = new SourceLimits(config.sourceRequestsPerMinuteMax);
  const desk = agentDesk({
    registry: o.registry,
    trust,
    timeKey: new TimeKey(clock),
    limits,
    trustDomain: o.trustDomain,
    graceUs: config.renewGraceDays * dayUs,
    keyOverlapUs: config.keyOverlapDays * dayUs,
    clock,
    telemetry: o.telemetry,
  });
  const { listen, connectionsMax } = config;
  const { telemetry, lifetime } = o;
  const listener = await listenForAgents({ listen, connectionsMax, material: await issue(), limits, desk, clock, telemetry, lifetime });
  o.registry.listensAt = `${listener.host.includes(":") ? `[${listener.host}]` : listener.host}:${listener.port}`;
  const refresh = async (): Promise<void> => {
    if (made.roots !== trust.roots || made.notAfterUs - renewBeforeUs <= clock.nowUs()) listener.reload(await issue());
  };
  o.registry.onChange((change) => {
    if (change.kind !== "material") return;
    // Nobody waits for this one: a failure is told, and the next round tries again.
    refresh().catch((error: unknown) => telemetry.emit(keeperFailed, { task: "enrolment", reason: String(error) }));
  });
  return { address: listener, refresh };
}
