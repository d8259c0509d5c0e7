/**
 * Why: reference pages come from what the rooms declare, so the rooms' doors are asked.
 * Enforces: every `*_CODES` table and every page that a door exports, and every event and gauge of a module named `events`.
 * Forbids: importing modules that are no doors; they may start something.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { CodeSpec, EventDefinition, Fields, GaugeDefinition } from "ransomeye-kernel";
import { filesBelow, readManifest, roomsOf } from "../workspace.ts";

/** What one room declares. */
export interface Declared {
  readonly room: string;
  /** Code tables by exported name. */
  readonly codes: ReadonlyMap<string, Readonly<Record<string, CodeSpec>>>;
  readonly events: readonly EventDefinition<Fields>[];
  readonly gauges: readonly GaugeDefinition[];
  /** Pages that the room writes itself, by path: its door's `referencePages`. */
  readonly pages: ReadonlyMap<string, () => string>;
}

/** Rooms without declarations of their own to document. */
const withoutPages: ReadonlySet<string> = new Set(["core/tests", "examples/ai_consumer", "bench", "tools"]);

/** Asks every built room. `problems` names rooms that are not built or do not load. */
export async function discover(root: string): Promise<{ declared: Declared[]; problems: string[] }> {
  const declared: Declared[] = [];
  const problems: string[] = [];
  for (const room of roomsOf(root)) {
    if (withoutPages.has(room)) continue;
    const codes = new Map<string, Readonly<Record<string, CodeSpec>>>();
    const events = new Map<string, EventDefinition<Fields>>();
    const gauges = new Map<string, GaugeDefinition>();
    const pages = new Map<string, () => string>();
    for (const path of modulesOf(root, room)) {
      try {
        const module = (await import(pathToFileURL(join(root, path)).href)) as Record<string, unknown>;
        for (const [name, value] of Object.entries(module)) {
          if (/^[A-Z]+_CODES$/.test(name)) codes.set(name, value as Readonly<Record<string, CodeSpec>>);
          else if (name === "referencePages")
            for (const [page, write] of Object.entries(value as Record<string, () => string>)) pages.set(page, write);
          else if (isEvent(value)) events.set(value.name, value);
          else if (isGauge(value)) gauges.set(value.name, value);
        }
      } catch (error) {
        problems.push(`${path} does not load: ${String(error)}`);
      }
    }
    declared.push({ room, codes, events: [...events.values()], gauges: [...gauges.values()], pages });
  }
  return { declared, problems };
}

function modulesOf(root: string, room: string): string[] {
  const doors = Object.values(readManifest(join(root, room, "package.json")).exports ?? {}).flatMap(({ default: door }) => {
    const path = door === undefined ? undefined : join(room, door);
    return path === undefined || path.endsWith("/testing.js") || !existsSync(join(root, path)) ? [] : [path];
  });
  const events = filesBelow(root, `${room}/dist`).filter((path) => path.endsWith("/events.js"));
  return [...doors, ...events.filter((path) => existsSync(join(root, path.replace("/dist/", "/").replace(/\.js$/, ".ts"))))];
}

function isEvent(value: unknown): value is EventDefinition<Fields> {
  return typeof value === "object" && value !== null && "level" in value && "help" in value && "name" in value;
}

function isGauge(value: unknown): value is GaugeDefinition {
  return typeof value === "object" && value !== null && "unit" in value && "help" in value && "labels" in value && !("level" in value);
}
