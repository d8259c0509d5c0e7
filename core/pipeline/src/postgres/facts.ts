/**
 * Why it exists: the look at the server before it is trusted with a receipt.
 * Enforces: no bus on fsync, full_page_writes or synchronous_commit off, none without partitions.
 * Forbids: opening anyway.
 */
import type { Pool } from "ransomeye-db";
import type { Telemetry } from "ransomeye-kernel";
import { BusError } from "../errors.ts";
import { busOpened } from "../events.ts";
import { queryOnce } from "./connections.ts";

export interface BusFacts {
  readonly generation: string;
  readonly partitions: number;
}

const settingsSql = "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')";

/** `factsSql` is what the caller's role may ask for (generation, partitions). */
export async function readFacts(pool: Pool, factsSql: string, telemetry: Telemetry): Promise<BusFacts> {
  const settings = await queryOnce<{ name: string; setting: string }>(pool, telemetry, "read", {
    name: "bus_settings",
    text: settingsSql,
    values: [],
  });
  const off = settings.filter(({ setting }) => setting === "off").map(({ name }) => name);
  if (off.length > 0) throw new BusError("BUS_NOT_DURABLE", `${off.join(", ")} is off`, { fields: { settings: off.join(",") } });
  const [facts] = await queryOnce<BusFacts>(pool, telemetry, "read", { name: "bus_facts", text: factsSql, values: [] });
  if (facts === undefined || facts.generation === null || facts.partitions === 0)
    throw new BusError("BUS_NOT_PREPARED", "the database holds no bus, or one without partitions");
  telemetry.emit(busOpened, { adapter: "postgres", generation: facts.generation, partitions: facts.partitions });
  return facts;
}
