/** Why: bugs of what a role may do in PostgreSQL. Enforces: whether the matrix, a migration or the hand that applies both gives too much or too little, a test notices. */
import { type Mutant, named } from "./mutant.ts";

const db = "core/db/dist";
const migrations = "core/db/migrations";
const permissions = `${db}/test/permissions.test.js`;

const audit = `${db}/test/audit.test.js`;

/** The audit of the catalogue: what it does not look at is what somebody changes. */
const unseen = (bug: string, file: string, find: string, replace: string, planted: string): Mutant => ({
  rule: "DP-3, DB-2",
  bug,
  patches: [{ file: `${db}/ownership/${file}.js`, find, replace }],
  check: named(audit, `DP-3 the audit names what was changed: ${planted}`),
});

export const databaseMutants: readonly Mutant[] = [
  {
    rule: "DP-2, DB-3",
    bug: "days that are made later are not append-only",
    patches: [{ file: `${migrations}/0021_append_only.sql`, find: "  PERFORM ops.guard_table(p_child);\n", replace: "" }],
    check: named(permissions, "P-6 DP-2 DB-3 what is append-only"),
  },
  {
    rule: "DP-2, DB-3",
    bug: "a session that plays replica changes evidence",
    patches: [{ file: `${migrations}/0021_append_only.sql`, find: "ENABLE ALWAYS TRIGGER", replace: "ENABLE TRIGGER" }],
    check: named(permissions, "P-6 DP-2 DB-3 what is append-only"),
  },
  {
    rule: "DP-1, DB-2",
    bug: "a module reads a table that is another's",
    patches: [
      {
        file: `${db}/ownership/matrix_log.js`,
        find: `"written by bus.append and bus.trim", { `,
        replace: `"written by bus.append and bus.trim", { [keeper]: read, `,
      },
    ],
    check: named(permissions, "DP-1 DB-2 a role reads a table only if it writes it"),
  },
  {
    rule: "DP-3",
    bug: "a throwaway server outlives who started it",
    patches: [{ file: `${db}/src/embedded/throwaway.js`, find: "guard.watch(started.pid);", replace: "" }],
    check: named(`${db}/test/throwaway.test.js`, "a throwaway server and its directory are gone"),
  },
  {
    rule: "DP-3, R-4",
    bug: "the audit asks for no setting",
    patches: [{ file: `${db}/ownership/audit.js`, find: "...(await settingsDrift(live)),", replace: "" }],
    check: named(audit, "DP-3 R-4 the audit names a setting"),
  },
  {
    rule: "DP-3, DB-2",
    bug: "functions that an owner makes are everybody's",
    patches: [{ file: `${db}/ownership/apply.js`, find: "await closeDefaults(client);", replace: "" }],
    check: named(audit, "DP-3 the audit names what was changed: ALTER DEFAULT PRIVILEGES FOR ROLE ransomeye_data_owner"),
  },
  unseen("the audit passes over days", "audit", "...daysDrift(found, wanted),", "", "DROP TRIGGER append_only ON bus.frames_"),
  unseen(
    "the audit does not ask whether a trigger fires",
    "facts",
    "CASE t.tgenabled WHEN 'A' THEN ', always' WHEN 'O' THEN '' ELSE ', disabled' END",
    "''",
    "ALTER TABLE bus.frames_",
  ),
  unseen("the audit compares no view", "audit", "if (read !== want)", "if (false)", "CREATE OR REPLACE VIEW views.log"),
  unseen("the audit does not say what is missing", "audit", "...[...missing.values()].map(", "...[].map(", "REVOKE INSERT ON data.gaps"),
  {
    rule: "R-12",
    bug: "the matrix lets the gate read the log itself",
    patches: [
      {
        file: `${db}/ownership/matrix_log.js`,
        find: `tableByDay("bus.frames", "written by bus.append", { `,
        replace: `tableByDay("bus.frames", "written by bus.append", { [gate]: read, `,
      },
    ],
    check: named(permissions, "R-12 the gate has five functions and no table"),
  },
  {
    rule: "R-12, P-6",
    bug: "the gate logs in as one to whom the matrix does not apply",
    patches: [{ file: `${db}/src/roles.js`, find: "LOGIN NOINHERIT NOCREATEDB", replace: "SUPERUSER LOGIN NOINHERIT NOCREATEDB" }],
    check: named(permissions, "P-6 DP-1 ransomeye_gate can do what the matrix says"),
  },
  {
    rule: "R-12, DB-2",
    bug: "the function that appends takes its names from whatever schema its caller puts first",
    patches: [
      {
        file: `${migrations}/0025_retention.sql`,
        find: "RETURNS SETOF bus.append_answer LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp",
        replace: "RETURNS SETOF bus.append_answer LANGUAGE plpgsql VOLATILE SECURITY DEFINER",
      },
    ],
    check: named(permissions, "DB-2 owners cannot log in, definers have a pinned search_path"),
  },
  {
    rule: "R-12, DB-2",
    bug: "the owners of tables and functions may log in",
    patches: [{ file: `${migrations}/0001_roles.sql`, find: "CREATE ROLE %I NOLOGIN", replace: "CREATE ROLE %I LOGIN" }],
    check: named(permissions, "DB-2 owners cannot log in, definers have a pinned search_path"),
  },
  {
    rule: "R-12, DB-2",
    bug: "what somebody has granted the gate by hand stays",
    patches: [
      {
        file: `${db}/ownership/apply.js`,
        find: "if (wanted.delete(rightKey(right)))",
        replace: "if (wanted.delete(rightKey(right)) || true)",
      },
    ],
    check: named(permissions, "DB-2 a right that somebody granted by hand is gone"),
  },
];
