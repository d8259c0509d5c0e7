// Why: the registry is where ransomware stays, and Sysmon and Security tell of it in different words.
// Enforces: keys and values are told apart by what was done to them.
// Forbids: guessing a value's type, which Sysmon does not say.

import type { Fields, Json } from "../json.ts";
import { userNamed } from "../ocsf_parts.ts";
import { type Part, processBy, sessionBy, table, userBy } from "./parts.ts";

const keyActivity = 201_001;
const valueActivity = 201_002;

function actor(data: Fields): Json {
  return { process: processBy(data, "ProcessId", "ProcessGuid", "Image", () => ({ user: userNamed(data.text("User")) })) };
}

/** `key\value` apart; without a backslash the whole is the key and the value has no name. */
function valueOf(path: string | undefined, more: Json = {}): Json | undefined {
  if (path === undefined) return undefined;
  const cut = path.lastIndexOf("\\");
  return cut < 0 ? { path, name: "", ...more } : { path: path.slice(0, cut), name: path.slice(cut + 1), ...more };
}

/** What Sysmon did: its own field, which some forwarders overwrite with a severity; then the rendered message still says it. */
function sysmonAction(data: Fields): string | undefined {
  const type = data.word("EventType");
  if (type !== undefined && /(?:Key|Value)$/.test(type)) return type;
  const message = data.peek("Message");
  return typeof message === "string" ? /^EventType: (\w+)/m.exec(message)?.[1] : undefined;
}

function keyEvent(data: Fields): Part {
  const action = sysmonAction(data);
  const path = data.text("TargetObject");
  if (action === "DeleteValue") return { classUid: valueActivity, activityId: 4, fields: { actor: actor(data), reg_value: valueOf(path) } };
  const activityId = action === "CreateKey" ? 1 : action === "DeleteKey" ? 4 : 0;
  return { classUid: keyActivity, activityId, fields: { actor: actor(data), reg_key: path === undefined ? undefined : { path } } };
}

function valueSet(data: Fields): Part {
  const value = data.attempt(() => valueOf(data.text("TargetObject"), { data: data.text("Details") }));
  return { classUid: valueActivity, activityId: 2, fields: { actor: actor(data), reg_value: value } };
}

function rename(data: Fields): Part {
  const before = data.text("TargetObject");
  const after = data.text("NewName");
  return {
    classUid: keyActivity,
    activityId: 5,
    fields: {
      actor: actor(data),
      reg_key: after === undefined ? undefined : { path: after },
      prev_reg_key: before === undefined ? undefined : { path: before },
    },
  };
}

/** Sysmon's registry events. */
export const registryParts: ReadonlyMap<number, (data: Fields) => Part | undefined> = table([
  [12, keyEvent],
  [13, valueSet],
  [14, rename],
]);

/** Windows' own words for what was done to a value. */
const operations: Readonly<Record<string, number>> = { "%%1904": 2, "%%1905": 3, "%%1906": 4 };

/** Security 4657: a value was changed, with its data before and after. */
export function securityValueChange(data: Fields): Part {
  const path = data.text("ObjectName");
  const name = path === undefined ? undefined : data.text("ObjectValueName");
  const before = path === undefined ? undefined : data.text("OldValue");
  const key = path === undefined ? undefined : { path, name: name ?? "" };
  return {
    classUid: valueActivity,
    activityId: operations[String(data.peek("OperationType"))] ?? 3,
    fields: {
      actor: {
        process: processBy(data, "ProcessId", "ProcessGuid", "ProcessName"),
        user: userBy(data, "Subject"),
        session: sessionBy(data, "Subject"),
      },
      reg_value: key === undefined ? undefined : { ...key, data: data.text("NewValue") },
      prev_reg_value: key === undefined || before === undefined ? undefined : { ...key, data: before },
    },
  };
}
