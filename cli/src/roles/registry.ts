/**
 * Why it exists: the registry as a process of its own: it alone holds the CA's key and the database role that may change who is admitted.
 * Enforces: keys and certificates are there before anybody may ask; the bus knows who is barred before the socket opens; certificates of this
 * installation are renewed and overlaps ended while it runs.
 * Forbids: the network, but for the enrolment listener where the operator has asked for it.
 */
import type { Timer } from "ransomeye-kernel";
import { openEnrolment } from "../enrolment/enrolment.ts";
import { AuthorityKeeper } from "../registry/authority_keeper.ts";
import { gatewayNames } from "../registry/gateway_names.ts";
import { InstallationTrust } from "../registry/installation_trust.ts";
import { Registry } from "../registry/registry.ts";
import { serveRegistry } from "../registry/server.ts";
import { keeperFailed } from "../events.ts";
import { roleConnections } from "../supervisor/connection_budget.ts";
import { openLogControl } from "./log_place.ts";
import { openRolePool } from "./pools.ts";
import type { Role } from "./role_process.ts";

/** How often what is due is looked for: certificates live for months, overlaps for days. */
const roundMs = 60_000;

/** The registry's process. */
export const registryRole: Role = async (context) => {
  const { begin, dataDir, clock, random, telemetry, lifetime } = context;
  const { trustDomain, listen } = begin.config.gateway;
  const { secrets } = dataDir;
  const keeper = await AuthorityKeeper.open({ secrets, trustDomain, clock, random });
  const trust = new InstallationTrust({ secrets, keeper, trustDomain, names: gatewayNames(listen), clock, telemetry });
  await trust.refresh();
  const pool = openRolePool(context, roleConnections(begin.config).registry);
  const bus = await openLogControl(context, pool);
  const registry = new Registry({ pool, trust, bus, trustDomain, clock, random, telemetry });
  await registry.open();
  await serveRegistry({ desk: registry, socketPath: begin.registrySocket, clock, telemetry, lifetime });
  const enrolment = await openEnrolment({ config: begin.config.enrolment, registry, trust, trustDomain, clock, telemetry, lifetime });

  const round = async (): Promise<void> => {
    if (await trust.refresh()) registry.materialChanged();
    if (trust.retiring !== undefined && trust.retiring.retiresUs <= clock.nowUs()) await registry.retireAuthority();
    await enrolment?.refresh();
  };
  let timer: Timer;
  const again = (): void => {
    timer = clock.setTimer(roundMs, () => {
      registry
        .serially(round)
        .catch((error: unknown) => telemetry.emit(keeperFailed, { task: "trust", reason: String(error) }))
        .finally(again);
    });
  };
  again();
  lifetime.defer("trust rounds", () => timer.cancel());
};
