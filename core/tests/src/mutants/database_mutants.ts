/** Why: bugs of what a role may do in PostgreSQL. Enforces: whether the matrix, a migration or the hand that applies both gives too much or too little, a test notices. */
import { type Mutant, named } from "./mutant.ts";

const db = "core/db/dist";
const migrations = "core/db/migrations";
const permissions = `${db}/test/permissions.test.js`;

export const databaseMutants: readonly Mutant[] = [
  {
    rule: "R-12",
    bug: "the matrix lets the gate read the log itself",
    patches: [
      {
        file: `${db}/ownership/matrix.js`,
        find: `read by COPY of the log's readers and by views", { `,
        replace: `read by COPY of the log's readers and by views", { [gate]: read, `,
      },
    ],
    check: named(permissions, "R-12 the gate has five functions and no table"),
  },
  {
    rule: "R-12, P-6",
    bug: "the gate logs in as one to whom the matrix does not apply",
    patches: [{ file: `${db}/src/roles.js`, find: "LOGIN NOINHERIT NOCREATEDB", replace: "SUPERUSER LOGIN NOINHERIT NOCREATEDB" }],
    check: named(permissions, "P-6 ransomeye_gate can do what the matrix says"),
  },
  {
    rule: "R-12, DB-2",
    bug: "the function that appends takes its names from whatever schema its caller puts first",
    patches: [
      {
        file: `${migrations}/0009_replay.sql`,
        find: "SECURITY DEFINER SET search_path = pg_catalog, pg_temp",
        replace: "SECURITY DEFINER",
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
