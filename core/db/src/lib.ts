/**
 * The door of core/db: who may write what. Pool, embedded server, migrations, ownership, partitions, COPY.
 */
export { type Connection, type ConnectionTls, parseConnectionUrl } from "./connection.ts";
export { BinaryCopyDecoder, type BinaryRow, type DecoderOptions, decodeBinaryCopy, readField } from "./copy/decoder.ts";
export { BinaryCopyEncoder, type EncoderMark, type EncoderOptions } from "./copy/encoder.ts";
export { copyIn, copyOut } from "./copy/streams.ts";
export { type EmbeddedOptions, type EmbeddedServer, type ServerExit, type StopMode, startEmbedded } from "./embedded/embedded.ts";
export { makeRuntimeDirectory } from "./embedded/places.ts";
export { serverSettings, type SettingsInput } from "./embedded/settings.ts";
export { type DbCode, DbError, DB_CODES, sqlState } from "./errors.ts";
export { type Client, inTransaction, openClient, openPool, type Pool, type PoolClient, type PoolOptions, type Queryable } from "./pool.ts";
export { type LoginRole, loginRoles, ownerOf, type Schema, schemas } from "./role_names.ts";
export { type DatabaseSecrets, ensureSecrets, readSecrets, roleConnection, superuserName } from "./secrets.ts";
export { assertDurable } from "./durability.ts";
export { type DaySize, daySizes, ensurePartitions, makeMissingDays, type PartitionOptions, utcDay } from "./partitions.ts";
export { type DayExpiry, type Detached, detachDay, expireDay, finishRemoval, type Removal, type RetentionOptions } from "./retention.ts";
export {
  discardRebuild,
  rebuildFindings,
  type RebuildFinding,
  type RebuildRefusal,
  replaceDay,
  type ReplaceOptions,
  undoRebuild,
} from "./rebuild.ts";
export { type LastFold, LedgerFolder, type LedgerFold, rebuildLedger } from "./ledger.ts";
export { instantSql } from "./instant.ts";
export { type PrepareOptions, prepareDatabase } from "./prepare.ts";
export { schemaDump } from "./schema_dump.ts";
export { type Migration, type MigrateOptions, migrate, readMigrations } from "./migrate.ts";
export { auditDatabase, type AuditOptions, type Drift } from "../ownership/audit.ts";
export { openReference, type Reference, type ReferenceOptions } from "./reference.ts";
export { applyOwnership, type MatrixDrift } from "../ownership/apply.ts";
export { referencePages } from "../ownership/ownership_page.ts";
export { type LogPlace, type MatrixRow, ownershipMatrix } from "../ownership/matrix.ts";
export { type BackupBegin, type BackupEnd, type BackupSession, beginBackup } from "./backup/session.ts";
export { type BackupOptions, takeBackup } from "./backup/take_backup.ts";
export { type BackupManifest, type ManifestFile, readManifest } from "./backup/manifest.ts";
export { readVerified, type VerifiedBackup, verifyBackup } from "./backup/verify.ts";
export { type RestoredCluster, restoreCluster, type RestoreOptions } from "./backup/restore_cluster.ts";
export type { RecoveryGoal } from "./backup/recovery.ts";
