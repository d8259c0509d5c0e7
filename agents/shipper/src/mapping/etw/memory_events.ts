// Why: code is put into other processes through their memory, and Threat-Intelligence is who hears of it in the kernel.
// Enforces: memory that was allocated, protected, mapped, read or written, by the caller and in the target that the event names.
// Forbids: events of threads and drivers, which have no class here, and Kernel-Memory's, which count pages and tell of no access.

import type { Part } from "../draft.ts";
import type { Fields } from "../json.ts";
import { actorOf, processOf, unknownActor } from "../ocsf_parts.ts";
import { plainInteger } from "./numbers.ts";
import type { EtwPart } from "./providers.ts";

function sizeOf(data: Fields): number | undefined {
  return plainInteger(data, "RegionSize") ?? plainInteger(data, "ViewSize") ?? plainInteger(data, "BytesCopied");
}

function memory(activityId: number): EtwPart {
  return ({ data }, logger): Part | undefined => {
    const target = processOf({ pid: plainInteger(data, "TargetProcessId") });
    if (target === undefined) return undefined;
    const caller = data.attempt(() => {
      const pid = plainInteger(data, "CallingProcessId");
      return pid === undefined ? undefined : { pid, tid: plainInteger(data, "CallingThreadId") };
    });
    return {
      classUid: 1004,
      activityId,
      fields: {
        process: target,
        actor: actorOf({ process: caller ?? logger() }) ?? unknownActor,
        base_address: data.text("BaseAddress"),
        size: sizeOf(data),
        requested_permissions: plainInteger(data, "ProtectionMask"),
      },
    };
  };
}

/** Activities of Memory Activity. */
const allocate = memory(1);
const modify = memory(2);
const read = memory(7);
const write = memory(8);
const map = memory(9);

/** Readers of Microsoft-Windows-Threat-Intelligence: in another process, in one's own, and asked for by the kernel. */
export const memoryParts: ReadonlyMap<number, EtwPart> = new Map([
  ...[1, 6, 21, 26].map((id) => [id, allocate] as const),
  ...[2, 7, 22, 27].map((id) => [id, modify] as const),
  ...[3, 8, 23, 28].map((id) => [id, map] as const),
  ...[11, 13].map((id) => [id, read] as const),
  ...[12, 14].map((id) => [id, write] as const),
]);
