// Why: whoever touches a honeypot is hostile: each of its events is an attack that somebody may want to hear of at once (BUS-2).
// Enforces: the message's id is made from the event's, so that it is published once however often its frame is read; every text has a bound.
// Forbids: I/O, and attacks from other kinds of producers: those are for detections to find.

import { cutText } from "ransomeye-kernel";
import type { ColumnText, RowColumns } from "ransomeye-ingestion/protocol";
import { type AttackPayload, type BusEntry, type Message, MessagePriority, StreamName, uuidV5 } from "ransomeye-pipeline";

const textCharsMax = 256;
/** OCSF severity ids. */
const [severityHigh, severityCritical] = [4, 5];

/** The attack that a honeypot's event tells of. */
export function attackMessage({ link, receivedUs }: BusEntry, line: number, columns: RowColumns<ColumnText>): Message<AttackPayload> {
  const { producer, epoch, firstSeq } = link;
  const seq = firstSeq + line;
  const host = bounded(columns.host);
  const said = bounded(columns.message);
  const { srcIp, dstIp, classUid, activityId, severityId } = columns;
  return {
    message_id: uuidV5("attack", producer, epoch, seq),
    stream: StreamName.attacks,
    payload: {
      attack_type: `ocsf.${classUid}.${activityId}`,
      source: { kind: "honeypot", name: producer },
      ...(host === undefined ? {} : { host }),
      ...(srcIp === null ? {} : { src_ip: srcIp }),
      ...(dstIp === null ? {} : { dst_ip: dstIp }),
      event_ids: [`${producer}:${epoch}:${seq}`],
      details: { severity_id: severityId, ...(said === undefined ? {} : { message: said }) },
    },
    priority:
      severityId >= severityCritical
        ? MessagePriority.critical
        : severityId === severityHigh
          ? MessagePriority.high
          : MessagePriority.normal,
    timestamp: new Date(receivedUs / 1000).toISOString(),
    producer_id: producer,
    retry_count: 0,
  };
}

function bounded(text: ColumnText): string | undefined {
  if (text === null) return undefined;
  const whole = typeof text === "string" ? text : text.bytes.toString("utf8", text.from, text.to);
  return whole === "" ? undefined : cutText(whole, textCharsMax);
}
