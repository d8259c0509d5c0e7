/** Why: bugs of backups, restores, archives and of what a failing disk does. Enforces: whatever would make half a backup look whole, or a damaged page a sound one, a test notices. */
import { type Mutant, named } from "./mutant.ts";

const db = "core/db/dist/src";
const backups = "core/db/dist/test/backup.test.js";
const archive = "core/db/dist/test/wal_archive.test.js";

const bug = (rule: string, what: string, file: string, find: string, replace: string, check: Mutant["check"]): Mutant => ({
  rule,
  bug: what,
  patches: [{ file, find, replace }],
  check,
});

const underLoad = named(backups, "DP-60 DP-61 a backup made under load");
const changed = named(backups, "DP-62 whatever is changed in a backup");
const anyStep = named(backups, "DP-64 X-6 a backup that ends at any step");
const checksum = named(backups, "DP-63 PostgreSQL's checksum is understood");
const moment = named(archive, "DP-67 R-5 a backup and the archive lead");

export const backupMutants: readonly Mutant[] = [
  bug(
    "DP-60",
    "nothing keeps the log that a backup needs",
    `${db}/backup/session.js`,
    `SELECT pg_create_physical_replication_slot('ransomeye_backup_' || pg_backend_pid(), true, true)`,
    "SELECT 1",
    underLoad,
  ),
  bug("DP-60", "unlogged tables are copied", `${db}/backup/cluster_files.js`, "&& !isUnlogged(entry.name, unlogged)", "", underLoad),
  bug(
    "DP-60",
    "a backup has no label",
    `${db}/backup/copy_cluster.js`,
    "copied.push(await writeNew(target, labelName",
    "void (await writeNew(target, labelName",
    underLoad,
  ),
  bug(
    "DP-61",
    "a restored server goes on with the history of the one before",
    `${db}/backup/restore_cluster.js`,
    `await writeFileAtomic(join(directory, recoverySignal), "", 0o600);`,
    "",
    underLoad,
  ),
  bug(
    "DP-61",
    "a restore needs a host as large as the one before",
    `${db}/backup/recovery.js`,
    `hot_standby: "off"`,
    `hot_standby: "on"`,
    underLoad,
  ),
  bug("DP-62", "hashes are not compared", `${db}/backup/verify.js`, "if (facts.sha256 !== file.sha256)", "if (false)", changed),
  bug("DP-62", "files that nobody has listed are not noticed", `${db}/backup/verify.js`, "if (known.has(path) ||", "if (true ||", changed),
  bug(
    "DP-62",
    "a manifest is believed as it stands",
    `${db}/backup/manifest.js`,
    "if (whole.sha256 !== hashOf(whole.manifest))",
    "if (false)",
    changed,
  ),
  bug(
    "DP-62",
    "a manifest leads anywhere",
    `${db}/backup/manifest.js`,
    "if (!staysInside(path))",
    "if (false)",
    named(backups, "DP-62 a manifest that leads outside"),
  ),
  bug(
    "DP-63",
    "a page in another's place is sound",
    `${db}/backup/page_checksum.js`,
    "=== pageChecksum(page, block))",
    "=== pageChecksum(page, 3))",
    checksum,
  ),
  bug(
    "DP-63",
    "every page that does not fit is the log's",
    `${db}/backup/page_checksum.js`,
    `>= sinceLsn ? "newer"`,
    `>= 0 ? "newer"`,
    checksum,
  ),
  bug(
    "DP-63",
    "a damaged page is copied",
    `${db}/backup/copy_cluster.js`,
    "if (damagedBlock !== null)",
    "if (false)",
    named(backups, "DP-63 a page that the disk has changed"),
  ),
  bug(
    "DP-64",
    "half a backup stays where it is",
    `${db}/backup/take_backup.js`,
    "await rm(join(directory, name)",
    "await void (join(directory, name)",
    anyStep,
  ),
  bug(
    "DP-64",
    "keys that changed meanwhile are taken",
    `${db}/backup/take_backup.js`,
    "if (!(await beside.stillHolds()))",
    "if (false)",
    anyStep,
  ),
  bug("DP-64", "a session outlives its backup", `${db}/backup/take_backup.js`, "await session.close();", "", anyStep),
  bug(
    "DP-64",
    "who hangs up leaves the session behind",
    "cli/dist/src/backup/backup_desk.js",
    "await session?.close();",
    "",
    named("cli/dist/test/backup_desk.test.js", "DP-64 one backup at a time"),
  ),
  bug(
    "DP-64",
    "two backups at a time",
    "cli/dist/src/backup/backup_desk.js",
    "if (taken)",
    "if (false)",
    named("cli/dist/test/backup_desk.test.js", "DP-64 one backup at a time"),
  ),
  bug(
    "DP-65",
    "an interrupted restore looks finished",
    `${db}/backup/restore_cluster.js`,
    "path !== `${prefix}${completeName}`",
    "true",
    changed,
  ),
  bug("DP-67", "PostgreSQL reads a path's per cent signs", `${db}/backup/recovery.js`, `.replaceAll("%", "%%")`, "", moment),
  bug(
    "DP-67",
    "a recovery does not end at its moment",
    `${db}/backup/recovery.js`,
    "{ recovery_target_time: ",
    "{ recovery_min_apply_delay: 0, _: ",
    moment,
  ),
  bug(
    "DP-67",
    "what an archive has is taken for the same",
    `${db}/backup/wal_archive.js`,
    `cmp -s "%p" "$f" && sync`,
    `sync`,
    named(archive, "DP-67 a file of the log is archived whole and once"),
  ),
  bug(
    "DP-67, BP-26",
    "nobody feels an archive that fails",
    "cli/dist/src/roles/strain_watch.js",
    "last_failed_time > coalesce(last_archived_time, '-infinity')",
    "false",
    named("cli/dist/test/doctor.test.js", "DP-67 BP-26 an archive that takes nothing"),
  ),
  bug(
    "DP-68, DP-50",
    "a damaged page passes by itself",
    "core/engine/dist/src/sqlstate.js",
    "XX001: damaged",
    "XX001: busy",
    named("core/engine/dist/test/policies.test.js", "DP-50 R-11 every kind of SQLSTATE"),
  ),
  bug(
    "DP-69, R-4",
    "a server may forget a flush that failed",
    `${db}/durability.js`,
    `data_sync_retry: ["off"]`,
    `data_sync_retry: ["off", "on"]`,
    named("core/db/dist/test/pool.test.js", "DP-69 R-4 a server, role or database without fsync"),
  ),
  bug(
    "DP-60",
    "a spool comes along",
    "cli/dist/src/backup/installation_files.js",
    "[dir.identities, dir.gatewayPortFile]",
    "[dir.identities, dir.gatewayPortFile, dir.spool]",
    named("cli/dist/test/installation_files.test.js", "DP-60 DP-64 keys, identities"),
  ),
];
