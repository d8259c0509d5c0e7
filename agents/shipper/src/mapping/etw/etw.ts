// Why: ETW is where Windows agents hear of processes, files, connections and names first (ING-1).
// Enforces: the kernel's providers, TCPIP, DNS-Client and Threat-Intelligence go to the classes that suit them, all others become base events with provider, event
//   and properties; keywords are told in one notation beside their own.
// Forbids: knowledge of single events, which stands in the tables beside this file.

import { basePart, type Draft } from "../draft.ts";
import type { Json } from "../json.ts";
import type { MapOptions } from "../map_record.ts";
import { actorOf, deviceNamed, processOf } from "../ocsf_parts.ts";
import { levelSeverity } from "../windows/levels.ts";
import { keywordsMask } from "./keywords.ts";
import { providerOf } from "./providers.ts";
import { type EtwRecord, etwRecord, nameIn } from "./record.ts";

const noActivity = "00000000-0000-0000-0000-000000000000";

/** A record's draft, or undefined where it has no time. */
export function mapEtw(record: Json, { host }: MapOptions): Draft | undefined {
  const view = etwRecord(record);
  if (view === undefined) return undefined;
  const { header, data } = view;
  const take = (field: Parameters<typeof nameIn>[1]): string | undefined => header.text(nameIn(header, field));
  const mask = keywordsMask(header.peek(nameIn(header, "keywords")));
  const logger = (): Json | undefined => header.attempt(() => loggedBy(view));
  const part = providerOf(view)?.(view, logger) ?? basePart(undefined, { actor: actorOf({ process: logger() }) });
  const level = take("level");
  const activity = String(header.peek(nameIn(header, "activity")));
  return {
    ...part,
    activityName: part.activityName ?? view.eventName ?? `event ${view.eventId ?? "without id"}`,
    severityId: levelSeverity(level),
    timeUs: view.timeUs,
    product: { name: "Windows", vendor_name: "Microsoft", feature: { name: "ETW" } },
    metadata: {
      event_code: view.eventId === undefined ? view.eventName : String(view.eventId),
      log_level: level,
      log_name: "etw",
      log_provider: take("provider") ?? take("guid"),
      log_version: take("version"),
      correlation_uid: activity.includes(noActivity) ? undefined : take("activity"),
      original_time: take("time"),
    },
    fields: { device: deviceNamed(take("computer") ?? host), message: data.text("FormattedMessage"), ...part.fields },
    unmapped: mask === undefined ? view.rest() : { ...view.rest(), keywords_mask: mask },
  };
}

/** The process that logged the event, by the header. */
function loggedBy({ header }: EtwRecord): Json | undefined {
  const pid = header.integer(nameIn(header, "pid"));
  return processOf({ pid }, { name: header.text("ProcessName"), tid: header.integer(nameIn(header, "tid")) });
}
