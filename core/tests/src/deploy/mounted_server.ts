/**
 * Why: a server's configuration is only known to be one when a server has started with it.
 * Enforces: the files as the compose files mount them, byte for byte, with the arguments that they give; beside them only where to listen and log, and one
 * more user, with every right, for the test itself.
 * Forbids: anything that a container would not see.
 */
import { copyFile, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Mounted, startRedis, type TestRedis } from "ransomeye-pipeline/testing";
import { argumentsHere, type ComposeFile, type Service } from "./compose_file.ts";

/** For what no other user may. It has no password: loopback, and for as long as the test runs. */
const tester = { username: "tester", password: "any" };
const testerLine = `user ${tester.username} on nopass ~* &* +@all\n`;

/** Lays secrets out under the names that services know them by; the test's user joins the others. */
export async function laySecrets({ secrets = {} }: ComposeFile, from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const [name, { file = "" }] of Object.entries(secrets)) {
    const path = join(to, name);
    await copyFile(join(from, file.replace("./secrets/", "")), `${path}.new`);
    if (file.endsWith(".acl")) await writeFile(`${path}.new`, testerLine, { flag: "a" });
    await rename(`${path}.new`, path);
  }
}

/** Starts what the service would start. */
export function startMounted(service: Service, composePath: string, secrets: string, clustered: boolean): Promise<TestRedis> {
  const mounted: Mounted = {
    arguments: (directory) => argumentsHere(service, composePath, secrets, directory),
    clustered,
    login: tester,
  };
  return startRedis({ mounted });
}

/** What the server says it runs with. */
export async function settingsOf(server: TestRedis, names: readonly string[]): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of names) found[name] = (await server.client().config("GET", name))[1] ?? "";
  return found;
}

/** Passwords that `ransomeye bus acl` has made. */
export async function passwordsIn(usersFile: string): Promise<Record<string, string>> {
  return (JSON.parse(await readFile(usersFile, "utf8")) as { passwords: Record<string, string> }).passwords;
}
