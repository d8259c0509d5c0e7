// Why: a provider is named by its name, by its GUID or by both, and its events by number, by name or by opcode.
// Enforces: one table of the providers that are known, and of the words by which writers without event ids call their events.
// Forbids: what single events hold.

import type { Part } from "../draft.ts";
import type { Json } from "../json.ts";
import { dnsParts, fileParts, processParts } from "./endpoint_events.ts";
import { memoryParts } from "./memory_events.ts";
import { networkParts, tcpipParts } from "./network_events.ts";
import type { EtwRecord } from "./record.ts";

/** Reads one kind of event; undefined leaves it a base event. `logger` takes the process that logged it, for whoever has a place for it. */
export type EtwPart = (view: EtwRecord, logger: () => Json | undefined) => Part | undefined;

interface Provider {
  readonly name: string;
  readonly guid: string;
  readonly parts: ReadonlyMap<number, EtwPart>;
  /** Ids by the first part of an event's name, lower case. */
  readonly names?: Readonly<Record<string, number>>;
  /** The opcode is the event id of the same event over IPv4. */
  readonly opcodeIsId?: boolean;
}

const providers: readonly Provider[] = [
  {
    name: "microsoft-windows-kernel-process",
    guid: "22fb2cd6-0e7b-422b-a0c7-2fad1fd0e716",
    parts: processParts,
    names: { processstart: 1, processstop: 2, imageload: 5, imageunload: 6 },
  },
  {
    name: "microsoft-windows-kernel-file",
    guid: "edd08927-9cc4-4e65-b970-c2560fb5c289",
    parts: fileParts,
    names: { create: 12, read: 15, write: 16, rename: 19, deletepath: 26, renamepath: 27, setlinkpath: 28, createnewfile: 30 },
  },
  { name: "microsoft-windows-kernel-network", guid: "7dd42a49-5329-4832-8dfd-43d979153a88", parts: networkParts, opcodeIsId: true },
  {
    name: "microsoft-windows-tcpip",
    guid: "2f07e2ee-15db-40f1-90ef-9d7ba282188a",
    parts: tcpipParts,
    names: {
      tcprequestconnect: 1002,
      tcpacceptlistenercomplete: 1017,
      tcpconnecttcbcomplete: 1033,
      tcpclosetcbrequest: 1038,
      tcpaborttcbrequest: 1039,
    },
  },
  { name: "microsoft-windows-dns-client", guid: "1c95126e-7eea-49a9-a3fe-a378b03ddb4d", parts: dnsParts },
  { name: "microsoft-windows-threat-intelligence", guid: "f4e1897c-bb5d-5668-f1d8-040f4d8dd344", parts: memoryParts },
];

/** The reader of an event; undefined where its provider or the event is not known. */
export function providerOf(view: EtwRecord): EtwPart | undefined {
  const provider = providers.find(({ name, guid }) => view.guid === guid || view.provider === name);
  if (provider === undefined) return undefined;
  const named = provider.names?.[view.eventName?.split("/")[0]?.toLowerCase() ?? ""];
  const id = view.eventId ?? named ?? (provider.opcodeIsId === true ? view.opcode : undefined);
  return id === undefined ? undefined : provider.parts.get(id);
}
