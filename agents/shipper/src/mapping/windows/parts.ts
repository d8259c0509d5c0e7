// Why: Sysmon and Security name processes, files, users and hashes alike, each in its own words.
// Enforces: one way from those words to OCSF's objects.
// Forbids: taking a field that the object has no place for.

import type { Fields, Json } from "../json.ts";
import { toInteger } from "../json.ts";
import { actorOf, endpoint, fileAt, fingerprint, fingerprints, processOf, userOf } from "../ocsf_parts.ts";

/** Class, activity and fields of an event. */
export interface Part {
  readonly classUid: number;
  readonly activityId: number;
  readonly activityName?: string | undefined;
  readonly fields: Json;
}

/** Reads one kind of event from its data; undefined leaves it a base event. */
export type WindowsPart = (data: Fields) => Part | undefined;

/** A table of readers by event id. */
export function table(
  entries: readonly (readonly [ids: number | readonly number[], part: WindowsPart])[],
): ReadonlyMap<number, WindowsPart> {
  return new Map(
    entries.flatMap(([ids, part]) => (typeof ids === "number" ? [[ids, part] as const] : ids.map((id) => [id, part] as const))),
  );
}

/** `SHA1=…,MD5=…,SHA256=…,IMPHASH=…` as fingerprints; left alone if any part of it is something else. */
export function hashesOf(data: Fields, name: string): Json[] | undefined {
  const text = data.peek(name);
  if (typeof text !== "string") return undefined;
  const all: (Json | undefined)[] = [];
  for (const part of text.split(",")) {
    const match = /^\s*([A-Za-z0-9]+)=([0-9A-Fa-f]+)\s*$/.exec(part);
    if (match === null) return undefined;
    all.push(fingerprint(match[1] as string, match[2]));
  }
  data.take(name);
  return fingerprints(...all);
}

/** A process by the names of its fields; `more` takes what belongs to it, and gives it back if there is no process. */
export function processBy(data: Fields, pid: string, guid: string, image: string, more: () => Json = () => ({})): Json | undefined {
  return data.attempt(() => processOf({ pid: data.integer(pid), uid: data.text(guid), path: data.text(image) }, more()));
}

/** A file by the name of its path's field. */
export function fileBy(data: Fields, path: string, more: () => Json = () => ({}), typeId?: number): Json | undefined {
  return data.attempt(() => fileAt(data.text(path), more(), typeId));
}

/** An endpoint by the names of its fields; an address without a dot or a colon (`LOCAL`) is none. */
export function endpointBy(data: Fields, o: { ip: string; port: string; hostname?: string }): Json | undefined {
  return data.attempt(() => {
    const ip = /[.:]/.test(data.word(o.ip) ?? "") ? data.text(o.ip) : undefined;
    return endpoint({ ip, port: data.integer(o.port), hostname: o.hostname === undefined ? undefined : data.text(o.hostname) });
  });
}

/** A user by the prefix of its fields (`Subject`, `Target`); `-` and empty say nothing. */
export function userBy(data: Fields, prefix: string): Json | undefined {
  const name = data.text(`${prefix}UserName`);
  const uid = data.text(`${prefix}UserSid`) ?? data.text(`${prefix}Sid`);
  return userOf({ name, domain: name === undefined && uid === undefined ? undefined : data.text(`${prefix}DomainName`), uid });
}

/** A logon session by the prefix of its fields. */
export function sessionBy(data: Fields, prefix: string): Json | undefined {
  const uid = data.text(`${prefix}LogonId`);
  return uid === undefined ? undefined : { uid };
}

/** Who asked for what the event tells of, with the process that did where it is known. */
export function subjectOf(data: Fields, process?: Json): Json | undefined {
  return actorOf({ user: userBy(data, "Subject"), session: sessionBy(data, "Subject"), process });
}

/** A mask in decimal or hexadecimal text; it stays where it is, because its text form is what people search for. */
export function maskOf(data: Fields, name: string): number | undefined {
  return toInteger(data.peek(name));
}
