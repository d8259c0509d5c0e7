/**
 * Why it exists: a database without its keys is of no use: an installation is both.
 * Enforces: keys, certificates, passwords, identities, the configuration and the gateways' port, each with size and hash, closed to others; keys that change while a
 * backup is made make it none.
 * Forbids: spools and runs: they are producers', who go on with them; a spool from a backup would sign numbers again that are used up.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { type BackupManifest, type ManifestFile, readVerified } from "ransomeye-db";
import { syncDirectory } from "ransomeye-kernel";
import type { DataDir } from "../supervisor/data_dir.ts";

/** Below a backup's directory. */
const installationFolder = "installation";
/** What the sealer signed last. It is newer than the keys, and older than the database, which is copied afterwards. */
const latestSigned = "secrets/sealer.latest";

/** Files by their path in the data directory. */
type Contents = ReadonlyMap<string, Buffer>;

/**
 * Copies what belongs to the installation beside its database.
 * @param configText the configuration file that is in force, wherever it lies; undefined where there is none
 */
export async function copyInstallation(
  dir: DataDir,
  configText: string | undefined,
  backup: string,
): Promise<{ readonly files: readonly ManifestFile[]; readonly stillHolds: () => Promise<boolean> }> {
  const secrets = await contentsOf(dir, [dir.secrets]);
  const others = await contentsOf(dir, [dir.identities, dir.gatewayPortFile]);
  const config = configText === undefined ? [] : ([[relative(dir.root, dir.configFile), Buffer.from(configText)]] as const);
  const files: ManifestFile[] = [];
  for (const [path, bytes] of [...secrets, ...others, ...config]) {
    const target = join(installationFolder, path);
    await mkdir(join(backup, dirname(target)), { recursive: true, mode: 0o700 });
    await writeFile(join(backup, target), bytes, { mode: 0o600, flag: "wx" });
    files.push({ path: target, size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") });
  }
  return { files, stillHolds: async () => sameKeys(secrets, await contentsOf(dir, [dir.secrets])) };
}

function sameKeys(before: Contents, after: Contents): boolean {
  const keys = (contents: Contents): string =>
    [...contents]
      .filter(([path]) => path !== latestSigned)
      .map(([path, bytes]) => `${path} ${bytes.toString("hex")}`)
      .toSorted()
      .join("\n");
  return keys(before) === keys(after);
}

/** Lays them out in a data directory. @throws DbError DB_BACKUP_DAMAGED */
export async function restoreInstallation(backup: string, manifest: BackupManifest, dir: DataDir): Promise<void> {
  const prefix = `${installationFolder}/`;
  const folders = new Set<string>([dir.root]);
  for (const file of manifest.files.filter(({ path }) => path.startsWith(prefix))) {
    const target = join(dir.root, file.path.slice(prefix.length));
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await readVerified(backup, file, manifest, { target });
    folders.add(dirname(target));
  }
  for (const folder of folders) await syncDirectory(folder);
}

/** Regular files at and below these paths; whoever writes one renames it into its place. */
async function contentsOf(dir: DataDir, paths: readonly string[]): Promise<Contents> {
  const contents = new Map<string, Buffer>();
  const take = async (path: string): Promise<void> => {
    const bytes = path.endsWith(".tmp") ? undefined : await readFile(path).catch(unlessGone);
    if (bytes !== undefined) contents.set(relative(dir.root, path), bytes);
  };
  for (const path of paths) {
    const facts = await stat(path).catch(unlessGone);
    if (facts?.isFile() === true) await take(path);
    if (facts?.isDirectory() !== true) continue;
    for (const entry of await readdir(path, { recursive: true })) {
      const at = join(path, entry);
      if ((await stat(at).catch(unlessGone))?.isFile() === true) await take(at);
    }
  }
  return contents;
}

function unlessGone(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
  throw error;
}
