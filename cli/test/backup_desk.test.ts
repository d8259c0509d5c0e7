/** The supervisor's desk for backups: who asks, who hangs up, and what becomes of the session. */
import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { BackupSession } from "ransomeye-db";
import { hasCode } from "ransomeye-kernel";
import { beginAtDesk } from "../src/backup/backup_client.ts";
import { serveBackups } from "../src/backup/backup_desk.ts";

const begin: BackupSession["begin"] = {
  ...{ clusterDirectory: "/c", version: "18", systemIdentifier: "7", timeline: 1, dataChecksums: true, startLsn: "0/28" },
};
const end = { stopLsn: "0/100", madeUs: 5, label: "START", walFiles: ["000000010000000000000001"] };

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test("DP-64 one backup at a time, and its session ends with whoever asked, also in the middle, and with the desk", async () => {
  const directory = await mkdtemp(join(tmpdir(), "re-desk-"));
  const path = join(directory, "backup.sock");
  const seen = { opened: 0, closed: 0 };
  let waiting: (() => void) | undefined;
  let hold = false;
  const closedAgain = (count: number): Promise<void> => until(() => seen.closed === count);
  const stop = await serveBackups(path, async () => {
    seen.opened += 1;
    if (hold) await new Promise<void>((resolve) => (waiting = resolve));
    return {
      begin,
      finish: () => (seen.opened === 2 ? Promise.reject(new Error("the server went away")) : Promise.resolve(end)),
      close: async () => void (seen.closed += 1),
    };
  });
  try {
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const first = await beginAtDesk(path);
    assert.deepEqual(first.begin, begin);
    await assert.rejects(beginAtDesk(path), (error) => hasCode(error, "CLI_REFUSED") && /another backup/.test(String(error)));
    assert.deepEqual(await first.finish(), end);
    assert.equal(seen.closed, 0, "the log is kept until it is copied");
    await first.close();
    await closedAgain(1);

    const second = await beginAtDesk(path);
    await assert.rejects(second.finish(), (error) => hasCode(error, "CLI_REFUSED") && /went away/.test(String(error)));
    await second.close();
    await closedAgain(2);

    // Killed before the session was there.
    hold = true;
    const socket = connect(path);
    socket.on("error", () => undefined);
    socket.write("begin\n");
    await until(() => seen.opened === 3);
    socket.destroy();
    await until(() => socket.destroyed);
    waiting?.();
    await closedAgain(3);

    hold = false;
    const stranger = connect(path);
    const said = new Promise<string>((resolve) => stranger.once("data", (data: Buffer) => resolve(data.toString())));
    stranger.write("finish\n");
    assert.match(await said, /"failed".*no backup's next step/);
    stranger.destroy();

    const last = await beginAtDesk(path);
    await stop();
    assert.equal(seen.closed, 4);
    await assert.rejects(last.finish(), (error) => hasCode(error, "CLI_UNREACHABLE"));
    await assert.rejects(beginAtDesk(path), (error) => hasCode(error, "CLI_UNREACHABLE"));
  } finally {
    await stop().catch(() => undefined);
    await rm(directory, { recursive: true, force: true });
  }
});
