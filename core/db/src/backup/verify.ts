/**
 * Why it exists: a backup that nobody has looked at is a hope.
 * Enforces: each file is there, with its size and SHA-256; nothing lies beside them; each page of the database has the checksum that PostgreSQL gave it, where
 * the log of the backup does not write it again. The first file and block that are not so are named.
 * Forbids: changing anything; believing a manifest that is not as it was written.
 */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { DbError } from "../errors.ts";
import { clusterFolder } from "./copy_cluster.ts";
import { firstBlockOf } from "./cluster_files.ts";
import { type FileFacts, readWhole } from "./copy_file.ts";
import { parseLsn } from "./lsn.ts";
import { type BackupManifest, type ManifestFile, manifestName, readManifest } from "./manifest.ts";

/** What a whole backup holds. */
export interface VerifiedBackup {
  readonly manifest: BackupManifest;
  readonly files: number;
  readonly bytes: number;
}

/** @throws DbError DB_BACKUP_INCOMPLETE, DB_BACKUP_DAMAGED with the first file, in the manifest's order, that is not what it was */
export async function verifyBackup(directory: string, signal?: AbortSignal): Promise<VerifiedBackup> {
  const manifest = await readManifest(directory);
  let bytes = 0;
  for (const file of manifest.files) {
    await readVerified(directory, file, manifest, { ...(signal === undefined ? {} : { signal }) });
    bytes += file.size;
  }
  const known = new Set([manifestName, ...manifest.files.map(({ path }) => path)]);
  for (const path of await readdir(directory, { recursive: true })) {
    if (known.has(path) || (await lstat(join(directory, path))).isDirectory()) continue;
    throw damaged(`${join(directory, path)} does not belong to the backup`, { path });
  }
  return { manifest, files: manifest.files.length, bytes };
}

/** Reads one file, to `target` if that is given, and holds it against the manifest. @throws DbError DB_BACKUP_DAMAGED */
export async function readVerified(
  directory: string,
  file: ManifestFile,
  manifest: BackupManifest,
  options: { readonly target?: string; readonly signal?: AbortSignal },
): Promise<void> {
  const path = join(directory, file.path);
  const firstBlock = manifest.server.dataChecksums ? firstBlockOf(file.path.slice(clusterFolder.length + 1)) : undefined;
  const pages = firstBlock === undefined ? {} : { pages: { firstBlock, sinceLsn: parseLsn(manifest.startLsn) } };
  const facts = await readWhole(path, { ...options, ...pages }).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw damaged(`${path} is missing`, { path: file.path });
    // A link: what it names is not what was written.
    if (code === "ELOOP") throw damaged(`${path} is a link`, { path: file.path });
    throw error;
  });
  const why = difference(file, facts);
  if (why !== undefined)
    throw damaged(`${path} ${why}`, { path: file.path, ...(facts.damagedBlock === null ? {} : { block: facts.damagedBlock }) });
}

function difference(file: ManifestFile, facts: FileFacts): string | undefined {
  const block = facts.damagedBlock === null ? "" : `; block ${facts.damagedBlock} does not have the checksum that PostgreSQL gave it`;
  if (facts.size !== file.size) return `has ${facts.size} bytes instead of ${file.size}${block}`;
  if (facts.sha256 !== file.sha256) return `is not what was written (SHA-256 ${facts.sha256} instead of ${file.sha256})${block}`;
  return block === "" ? undefined : `was damaged before it was copied${block}`;
}

function damaged(what: string, fields: Readonly<Record<string, string | number>>): DbError {
  return new DbError("DB_BACKUP_DAMAGED", `${what}.`, { fields });
}
