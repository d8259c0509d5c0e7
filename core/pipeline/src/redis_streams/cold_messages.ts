/**
 * Why it exists: a group that is behind is handed out entries that only the archive still holds, and shall not notice.
 * Enforces: an archive that does not answer costs nobody a delivery: what was handed out goes back uncounted; what it does not have is told as missing, and counted.
 * Forbids: deciding who gets what; the script has.
 */
import { BusError } from "../errors.ts";
import { type MessageArchive, placeKey } from "../messages/archive.ts";
import type { StreamName } from "../messages/message.ts";
import type { DeliveryRef, Taken } from "../messages/port.ts";
import { decodeTaken, handedOutOf, isArchivedOnly, logOf } from "./message_replies.ts";
import type { Reply } from "./replies.ts";

/** How deliveries end whose message was not had. */
export type EndAll = (refs: readonly DeliveryRef[], how: "release" | "missing") => Promise<void>;

/**
 * What a take's answer says, with what the archive has of it.
 * @throws BusError BUS_FORBIDDEN without an archive where the group needs it, BUS_UNAVAILABLE where it does not answer
 */
export async function takenOf(
  reply: Reply,
  { stream, group }: { readonly stream: StreamName; readonly group: string },
  archive: MessageArchive | undefined,
  end: EndAll,
): Promise<Taken> {
  const noArchive = "the group is so far behind that it reads on in the archive, to which this process was given no way";
  if (isArchivedOnly(reply)) throw new BusError("BUS_FORBIDDEN", noArchive, { fields: { stream, group } });
  const handed = handedOutOf(reply);
  const cold = handed.filter(({ json }) => json === "");
  if (cold.length === 0 || archive === undefined) return decodeTaken(reply, handed, { stream, group }, new Map());
  const refs = (of: typeof handed): DeliveryRef[] => of.map(({ priority, off, token }) => ({ stream, group, priority, off, token }));
  const found = await archive.find(logOf(reply, stream), cold).catch(async (error: unknown) => {
    // Nobody has begun with any of them. If that does not get through either, their leases end by themselves.
    await end(refs(handed), "release").catch(() => undefined);
    throw error;
  });
  const lost = cold.filter((place) => !found.has(placeKey(place)));
  if (lost.length > 0) await end(refs(lost), "missing");
  const taken = decodeTaken(reply, handed, { stream, group }, found);
  return { ...taken, missing: [...taken.missing, ...lost.map(({ priority, off }) => ({ priority, fromOff: off, toOff: off }))] };
}
