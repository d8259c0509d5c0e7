/**
 * Why it exists: what a backup holds, so that it can be told from half a backup, from another one, and from one that a disk has changed.
 * Enforces: written last and under another name first; each file with size and SHA-256, and a SHA-256 over all of that; paths that stay inside.
 * Forbids: secrets in it.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "ransomeye-kernel";
import { DbError } from "../errors.ts";

/** Its name in a backup's directory. */
export const manifestName = "manifest.json";
const formatName = "ransomeye-backup-1";

export interface ManifestFile {
  /** Relative to the backup's directory. */
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

export interface BackupManifest {
  /** Of RansomEye. */
  readonly release: string;
  /** When the server said that the backup is whole: what was committed before is in it. */
  readonly madeUs: number;
  readonly server: {
    readonly version: string;
    readonly systemIdentifier: string;
    readonly timeline: number;
    /** Whether its pages carry checksums. */
    readonly dataChecksums: boolean;
  };
  /** The log of changes is replayed from here … */
  readonly startLsn: string;
  /** … and at least up to here. */
  readonly stopLsn: string;
  /** Directories of the cluster, which may be empty, relative to the cluster. */
  readonly directories: readonly string[];
  readonly files: readonly ManifestFile[];
}

const hashOf = (manifest: BackupManifest): string => createHash("sha256").update(JSON.stringify(manifest)).digest("hex");

/** Makes a directory of files a backup. */
export async function writeManifest(directory: string, manifest: BackupManifest): Promise<void> {
  const text = JSON.stringify({ format: formatName, sha256: hashOf(manifest), manifest }, null, 1);
  await writeFileAtomic(join(directory, manifestName), `${text}\n`, 0o600);
}

/** @throws DbError DB_BACKUP_INCOMPLETE */
export async function readManifest(directory: string): Promise<BackupManifest> {
  const path = join(directory, manifestName);
  const refuse = (why: string, cause?: unknown): DbError =>
    new DbError("DB_BACKUP_INCOMPLETE", `${path} ${why}.`, cause === undefined ? {} : { cause });
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw refuse("cannot be read", error);
  }
  let whole: { readonly format?: unknown; readonly sha256?: unknown; readonly manifest?: BackupManifest };
  try {
    whole = JSON.parse(text) as typeof whole;
  } catch (error) {
    throw refuse("is not whole", error);
  }
  if (whole.format !== formatName || whole.manifest === undefined) throw refuse("is not the manifest of a backup that this release knows");
  if (whole.sha256 !== hashOf(whole.manifest)) throw refuse("is not as it was written");
  for (const path of [...whole.manifest.files.map((file) => file.path), ...whole.manifest.directories])
    if (!staysInside(path)) throw refuse("names a path outside of the backup");
  return whole.manifest;
}

function staysInside(path: string): boolean {
  return path !== "" && path.split("/").every((part) => part !== "" && part !== "." && part !== "..") && !path.includes("\0");
}
