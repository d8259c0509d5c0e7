/**
 * Why it exists: what the database enforces rests on its catalogue, and whoever owns a server can change that in silence. Somebody who trusts none of us must be
 * able to hold it against the matrix and against what this release makes on a new server.
 * Enforces: every difference in rights, owners, roles, tables, days, triggers, views, functions and settings is named with what was found and what should be.
 * Forbids: changing anything; `ransomeye start` puts rights and owners right, the rest is for an operator to understand first.
 */
import { assertDurable } from "../src/durability.ts";
import { DbError } from "../src/errors.ts";
import type { Client, Queryable } from "../src/pool.ts";
import { ownerOf, type Schema } from "../src/role_names.ts";
import { liveObjects, liveRights } from "./catalogue.ts";
import { desiredRights, type Right, rightKey } from "./desired.ts";
import { type DatabaseFacts, databaseFacts, type Lines } from "./facts.ts";
import { type LogPlace, matrixFor } from "./matrix.ts";

/** One difference. `found` is null where something is missing, `wanted` where something is too much. */
export interface Drift {
  readonly object: string;
  readonly found: string | null;
  readonly wanted: string | null;
}

export interface AuditOptions {
  /** The database to look at; as reader, or anybody who may ask views.migrations. One session. */
  readonly live: Queryable;
  /** One that this release has just made, on whatever server. One session, as administrator. */
  readonly reference: Client;
  readonly log: LogPlace;
}

/** Names every difference; an empty list is a database as this release makes it. */
export async function auditDatabase({ live, reference, log }: AuditOptions): Promise<Drift[]> {
  const [found, wanted] = [await databaseFacts(live), await databaseFacts(reference)];
  return [
    ...(await rightsDrift(live, log)),
    ...linesDrift(found.lines, wanted.lines),
    ...(await viewsDrift(found, wanted, reference)),
    ...daysDrift(found, wanted),
    ...(await settingsDrift(live)),
  ];
}

async function rightsDrift(live: Queryable, log: LogPlace): Promise<Drift[]> {
  const existing = new Set((await liveObjects(live)).map(({ name }) => name));
  const missing = new Map(
    desiredRights(matrixFor(log))
      // An object that is not there at all is named once, as such.
      .filter(({ kind, object }) => kind === "database" || kind === "schema" || existing.has(object))
      .map((right) => [rightKey(right), right]),
  );
  const tooMuch = (await liveRights(live)).filter((right) => !missing.delete(rightKey(right)));
  return [
    ...tooMuch.map((right) => ({ object: placeOf(right), found: textOf(right), wanted: null })),
    ...[...missing.values()].map((right) => ({ object: placeOf(right), found: null, wanted: textOf(right) })),
  ];
}

const placeOf = ({ kind, object }: Right): string => (kind === "database" ? kind : `${kind} ${object}`);
const textOf = ({ privilege, column, grantee }: Right): string => `${privilege}${column === "" ? "" : ` (${column})`} to ${grantee}`;

function linesDrift(found: Lines, wanted: Lines): Drift[] {
  return [...new Set([...found.keys(), ...wanted.keys()])].sort().flatMap((object): Drift[] => {
    const [have, want] = [found.get(object), wanted.get(object)];
    // Lines about what nothing is wanted of are too much one by one: they say what it is.
    if (have === undefined) return [{ object, found: null, wanted: want?.[0] ?? "" }];
    return between(object, have, want ?? []);
  });
}

/** Lines that only one of two has, each with the one that it stands for, if that can be told by its first words. */
function between(object: string, have: readonly string[], want: readonly string[]): Drift[] {
  const found = without(have, want);
  const missing = without(want, have);
  const drifts: Drift[] = [];
  for (const line of found) {
    const at = missing.findIndex((other) => subject(other) === subject(line));
    drifts.push({ object, found: line, wanted: at < 0 ? null : (missing.splice(at, 1)[0] ?? null) });
  }
  return [...drifts, ...missing.map((line) => ({ object, found: null, wanted: line }))];
}

/** Lines that say one of several things, by their first words. */
const eitherOr: readonly RegExp[] = [/^can(not)? log in/, /^(un)?logged/i, /^(attached|stands aside)/];
/** Of these an object has many, and the second word says which. */
const named = /^(?:column|constraint|index|member|rule|policy|setting) [^ =]+/;

/** What a line is about: `column host`, `trigger`, `owner`. */
function subject(line: string): string {
  const either = eitherOr.find((words) => words.test(line));
  return either?.source ?? named.exec(line)?.[0] ?? line.split(" ")[0] ?? "";
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return lines.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

async function viewsDrift(found: DatabaseFacts, wanted: DatabaseFacts, reference: Client): Promise<Drift[]> {
  const sameWords = Math.floor(found.version / 10_000) === Math.floor(wanted.version / 10_000);
  const drifts: Drift[] = [];
  for (const [name, want] of wanted.views) {
    const have = found.views.get(name);
    // A view that is missing is named by its lines.
    if (have === undefined || have === want) continue;
    const read = sameWords ? have : await readAgain(reference, name, have);
    if (read !== want) drifts.push({ object: `view ${name}`, found: `asks ${squeezed(have)}`, wanted: `asks ${squeezed(want)}` });
  }
  return drifts;
}

/**
 * A view's question in the words of the reference's server. The text is another server's and may be anything: it is one statement, which makes a view and asks
 * nothing, by the view's owner, on a server that is gone afterwards.
 */
async function readAgain(reference: Client, name: string, question: string): Promise<string | undefined> {
  await reference.query("BEGIN");
  try {
    const owner = ownerOf(name.slice(0, name.indexOf(".")) as Schema);
    await reference.query(`SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL ROLE ${owner}`);
    await reference.query({ name: `read ${name}`, text: `CREATE OR REPLACE VIEW ${name} AS ${question}` });
    const { rows } = await reference.query<{ text: string }>("SELECT pg_get_viewdef($1::regclass) AS text", [name]);
    return rows[0]?.text;
  } catch {
    return undefined;
  } finally {
    await reference.query("ROLLBACK");
  }
}

const squeezed = (text: string): string => text.replaceAll(/\s+/g, " ").trim();

const dayChars = "2026_01_31".length;

const daysText = (days: readonly string[]): string => (days.length <= 2 ? days.join(", ") : `${days[0]} to ${days.at(-1)}`);

/** All days of a table are alike. What a table has no days of, the release makes none of. */
function daysDrift(found: DatabaseFacts, wanted: DatabaseFacts): Drift[] {
  const drifts: Drift[] = [];
  for (const [parent, days] of found.days) {
    const [want] = wanted.days.get(parent)?.values() ?? [];
    const alike = new Map<string, { readonly drift: Drift; readonly of: string[] }>();
    for (const [name, lines] of [...days].sort(([a], [b]) => a.localeCompare(b)))
      for (const drift of between(parent, lines, want ?? [])) {
        const key = JSON.stringify(drift);
        const known = alike.get(key) ?? { drift, of: [] };
        alike.set(key, known);
        known.of.push(name.slice(-dayChars).replaceAll("_", "-"));
      }
    for (const { drift, of } of alike.values())
      drifts.push({ ...drift, object: `${of.length === 1 ? "day" : `${of.length} days`} of ${parent}: ${daysText(of)}` });
  }
  for (const parent of wanted.days.keys())
    if (!found.days.has(parent)) drifts.push({ object: `table ${parent}`, found: null, wanted: "days" });
  return drifts;
}

async function settingsDrift(live: Queryable): Promise<Drift[]> {
  const drifts: Drift[] = [];
  const { rows } = await live.query<{ checksums: string }>("SELECT current_setting('data_checksums') AS checksums");
  if (rows[0]?.checksums !== "on")
    drifts.push({ object: "server", found: `data_checksums ${rows[0]?.checksums}`, wanted: "data_checksums on" });
  await assertDurable(live).catch((error: unknown) => {
    if (!(error instanceof DbError)) throw error;
    drifts.push({
      object: "server",
      found: error.message,
      wanted: "fsync, full_page_writes and synchronous_commit on, data_sync_retry off",
    });
  });
  return drifts;
}
