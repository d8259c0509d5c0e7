/**
 * Why it exists: the registry as a process of its own: it alone holds the CA's key and the database role that may change who is admitted.
 * Enforces: keys and certificates are there before anybody may ask; the bus knows who is barred before the socket opens.
 * Forbids: network: it speaks on a unix socket to this host only.
 */
import { openPostgresControl } from "ransomeye-pipeline";
import { ensureAuthority, ensureGatewayKeys } from "../registry/authority_files.ts";
import { gatewayNames } from "../registry/gateway_names.ts";
import { Registry } from "../registry/registry.ts";
import { serveRegistry } from "../registry/server.ts";
import { RegistryStore } from "../registry/store.ts";
import { roleConnections } from "../supervisor/connection_budget.ts";
import { openRolePool } from "./pools.ts";
import type { Role } from "./role_process.ts";

/** The registry's process. */
export const registryRole: Role = async (context) => {
  const { begin, dataDir, clock, random, telemetry, lifetime } = context;
  const { trustDomain, listen } = begin.config.gateway;
  const authority = await ensureAuthority(dataDir.secrets, trustDomain, clock, random);
  await ensureGatewayKeys(dataDir.secrets, authority, trustDomain, gatewayNames(listen), clock);
  const pool = openRolePool(context, roleConnections(begin.config).registry);
  const registry = new Registry({
    store: new RegistryStore(pool, random),
    authority,
    bus: openPostgresControl({ pool, telemetry }),
    trustDomain,
    telemetry,
  });
  await registry.open();
  await serveRegistry({ desk: registry, socketPath: begin.registrySocket, clock, telemetry, lifetime });
};
