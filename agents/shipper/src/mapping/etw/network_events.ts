// Why: Kernel-Network and TCPIP tell which process talks to whom.
// Enforces: each event id goes to the activity that it means, over IPv4 and IPv6 alike; whoever began the connection is its source.
// Forbids: inventing a direction where the event does not show who began.

import type { Fields, Json } from "../json.ts";
import { actorOf, connection, direction, endpoint, processOf } from "../ocsf_parts.ts";
import { plainInteger } from "./numbers.ts";
import type { EtwPart } from "./providers.ts";

/** An IPv4 address; some writers give the integer that holds its bytes in the order in which they were sent. */
function addressOf(data: Fields, name: string): string | undefined {
  const value = String(data.peek(name));
  if (!/^\d{1,10}$/.test(value) || Number(value) > 0xffff_ffff) return /[.:]/.test(value) ? data.text(name) : undefined;
  const number = Number(value);
  // The integer itself stays in unmapped.
  return [number & 0xff, (number >>> 8) & 0xff, (number >>> 16) & 0xff, number >>> 24].join(".");
}

type Way = 0 | 1 | 2;

function kernelNetwork(protocol: "tcp" | "udp", activityId: number, way: Way = direction.unknown, activityName?: string): EtwPart {
  return ({ data }, logger) => {
    const local = data.attempt(() => endpoint({ ip: addressOf(data, "saddr"), port: plainInteger(data, "sport") }));
    const remote = data.attempt(() => endpoint({ ip: addressOf(data, "daddr"), port: plainInteger(data, "dport") }));
    if (local === undefined && remote === undefined) return undefined;
    const accepted = way === direction.inbound;
    const owner = processOf({ pid: plainInteger(data, "PID") });
    return {
      classUid: 4001,
      activityId,
      activityName,
      fields: {
        // The header's process is whoever was running when the packet came.
        actor: actorOf({ process: owner ?? logger() }),
        src_endpoint: accepted ? remote : local,
        dst_endpoint: accepted ? local : remote,
        connection_info: connection(protocol, {}, way),
      },
    };
  };
}

const traffic = 6;
const other = 99;

/** What each event means, by its id over IPv4. */
const tcpEvents: readonly (readonly [id: number, part: EtwPart])[] = [
  [10, kernelNetwork("tcp", traffic)],
  [11, kernelNetwork("tcp", traffic)],
  [12, kernelNetwork("tcp", 1, direction.outbound)],
  [13, kernelNetwork("tcp", 2)],
  [14, kernelNetwork("tcp", traffic)],
  [15, kernelNetwork("tcp", 1, direction.inbound)],
  [16, kernelNetwork("tcp", other, direction.outbound, "reconnect")],
  [18, kernelNetwork("tcp", traffic)],
];
/** IPv6 events follow those of IPv4 by this much. */
const ipv6Offset = 16;

/** Readers of Microsoft-Windows-Kernel-Network. */
export const networkParts: ReadonlyMap<number, EtwPart> = new Map([
  ...tcpEvents.flatMap(([id, part]) => [[id, part] as const, [id + ipv6Offset, part] as const]),
  [42, kernelNetwork("udp", traffic)],
  [43, kernelNetwork("udp", traffic)],
  [58, kernelNetwork("udp", traffic)],
  [59, kernelNetwork("udp", traffic)],
]);

/** `192.0.2.1:443` or `[2001:db8::1]:443` as an endpoint; addresses that were left binary stay where they are. */
function socketAddress(data: Fields, name: string): Json | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)(?:%\d+)?\]|(\d{1,3}(?:\.\d{1,3}){3})):(\d{1,5})$/.exec(data.word(name) ?? "");
  if (match === null) return undefined;
  data.take(name);
  return endpoint({ ip: match[1] ?? match[2], port: Number(match[3]) });
}

function tcpip(activityId: number, way: Way = direction.unknown): EtwPart {
  return ({ data }, logger) => {
    const [local, remote] = [socketAddress(data, "LocalAddress"), socketAddress(data, "RemoteAddress")];
    if (local === undefined && remote === undefined) return undefined;
    const accepted = way === direction.inbound;
    const owner = processOf({ pid: plainInteger(data, "ProcessId") ?? plainInteger(data, "Pid") });
    return {
      classUid: 4001,
      activityId,
      fields: {
        actor: actorOf({ process: owner ?? logger() }),
        src_endpoint: accepted ? remote : local,
        dst_endpoint: accepted ? local : remote,
        connection_info: connection("tcp", {}, way),
      },
    };
  };
}

/** Readers of Microsoft-Windows-TCPIP. */
export const tcpipParts: ReadonlyMap<number, EtwPart> = new Map([
  [1002, tcpip(1, direction.outbound)],
  [1017, tcpip(1, direction.inbound)],
  [1033, tcpip(1, direction.outbound)],
  [1038, tcpip(2)],
  [1039, tcpip(3)],
]);
