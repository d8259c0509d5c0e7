// Why: of all that hosts write to syslog, who got in through ssh and who did not is what is asked for first.
// Enforces: only sshd's own words for an attempt's end; its user's name is whatever stands before the last address, because whoever knocks chooses it.
// Forbids: counting other lines of the same attempt.

import { toInteger } from "../json.ts";
import type { Json } from "../json.ts";
import { endpoint } from "../ocsf_parts.ts";

/** Names may hold spaces and even ` from 192.0.2.1 port 1`: the first part is as long as it can be. */
const ended = /^(Accepted|Failed) (\S+) for (invalid user )?(.*) from (\S+) port (\d{1,5})(?: ssh2?)?(?:: .*)?$/s;

/** An authentication's fields; undefined where the message is another. */
export function sshLogon(message: string): Json | undefined {
  const match = ended.exec(message);
  if (match === null) return undefined;
  const [, result, , , name, ip, port] = match as unknown as [string, string, string, string | undefined, string, string, string];
  // An attempt without a name names nobody.
  if (name === "") return undefined;
  return {
    user: { name },
    src_endpoint: endpoint({ ip, port: toInteger(port) }),
    is_remote: true,
    service: { name: "sshd" },
    status_id: result === "Accepted" ? 1 : 2,
  };
}
