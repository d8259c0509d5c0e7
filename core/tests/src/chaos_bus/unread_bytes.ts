/**
 * Why: "between send and answer" is where a publisher shall die, and only the kernel knows what was sent and not yet read.
 * Enforces: bytes are counted that one process has sent to one server and that lie unread there.
 * Forbids: anything but reading; where there is no /proc nothing is known, and nothing is claimed.
 */
import { readdir, readFile, readlink } from "node:fs/promises";

interface TcpLine {
  readonly localPort: number;
  readonly remotePort: number;
  readonly unreadBytes: number;
  readonly inode: string;
}

/** Bytes of the process `sender` that the server on loopback port `port` has not read; undefined where nobody can say. */
export async function unreadBytes(sender: number, port: number): Promise<number | undefined> {
  try {
    const own = await socketsOf(sender);
    const lines = parseTcp(await readFile("/proc/net/tcp", "latin1"));
    const ports = new Set(lines.filter(({ inode, remotePort }) => remotePort === port && own.has(inode)).map(({ localPort }) => localPort));
    return lines
      .filter(({ localPort, remotePort }) => localPort === port && ports.has(remotePort))
      .reduce((sum, line) => sum + line.unreadBytes, 0);
  } catch {
    return undefined;
  }
}

/** Inodes of a process's sockets. */
async function socketsOf(pid: number): Promise<ReadonlySet<string>> {
  const folder = `/proc/${pid}/fd`;
  const links = (await readdir(folder)).map((fd) => readlink(`${folder}/${fd}`).catch(() => ""));
  return new Set((await Promise.all(links)).flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
}

/** `sl local_address rem_address st tx_queue:rx_queue tr:when retrnsmt uid timeout inode …`, numbers in hexadecimal. */
function parseTcp(text: string): TcpLine[] {
  return text
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => {
      const [, local = "", remote = "", , queues = "", , , , , inode = ""] = line.trim().split(/\s+/);
      const hex = (field: string): number => Number.parseInt(field.split(":")[1] ?? "0", 16);
      return { localPort: hex(local), remotePort: hex(remote), unreadBytes: hex(queues), inode };
    });
}
