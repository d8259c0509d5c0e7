/**
 * Why: our event schema claims to be a subset of OCSF; only OCSF's own definitions can say whether it is.
 * Enforces: each of our classes and objects exists there, with each of our fields, in our type, not deprecated, required only where OCSF requires it too, and
 * with its own uid and category; where an object needs one of several fields, any that OCSF counts
 * counts here.
 * Forbids: judging what OCSF recommends: we may require less.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { baseFields, classes, type FieldTable, objects } from "ransomeye-ingestion/protocol";
import { tarFiles } from "./tar.ts";

export interface Definition {
  readonly name?: string;
  readonly caption?: string;
  readonly extends?: string;
  readonly uid?: number;
  readonly category?: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly constraints?: { readonly at_least_one?: readonly string[] };
}

export interface Attribute {
  readonly type?: string;
  readonly is_array?: boolean;
  readonly requirement?: string;
  /** Of an `_id`: the attribute that says the same in words. */
  readonly sibling?: string;
  readonly enum?: Readonly<Record<string, { readonly caption?: string }>>;
  readonly "@deprecated"?: unknown;
}

/** Our short names of objects that OCSF calls otherwise. */
const ocsfNames: Readonly<Record<string, string>> = {
  connection_info: "network_connection_info",
  endpoint: "network_endpoint",
  evidence: "evidences",
  traffic: "network_traffic",
  unmapped: "object",
};

/** The Windows extension adds its uid, times 100,000, to those of its classes. */
const windowsUid = 200_000;

export class Schema {
  readonly #files = new Map<string, Definition>();
  readonly #events = new Map<string, Definition>();
  readonly #objects = new Map<string, Definition>();
  readonly #types: Readonly<Record<string, { type?: string }>>;
  readonly #dictionary: Record<string, Attribute> = {};
  readonly #categories: Readonly<Record<string, { uid: number }>>;

  constructor(files: ReadonlyMap<string, Buffer>) {
    for (const [path, bytes] of files) {
      const short = path.slice(path.search(/(?:events|objects|profiles|extensions|dictionary\.json|categories\.json)/));
      if (!short.endsWith(".json")) continue;
      const definition = JSON.parse(bytes.toString()) as Definition;
      this.#files.set(short, definition);
      const table = short.includes("events/") ? this.#events : short.includes("objects/") ? this.#objects : undefined;
      // An extension's object of a known name adds to it; ours use the core's.
      if (definition.name !== undefined && table?.has(definition.name) === false) table.set(definition.name, definition);
      if (short.endsWith("dictionary.json")) Object.assign(this.#dictionary, definition.attributes);
    }
    const core = this.#files.get("dictionary.json") as Definition & { types: { attributes: Record<string, { type?: string }> } };
    this.#types = core.types.attributes;
    this.#categories = (this.#files.get("categories.json")?.attributes ?? {}) as Readonly<Record<string, { uid: number }>>;
  }

  /** All attributes of a class or object: its own, inherited and included ones. */
  attributes(definition: Definition | undefined, table: "events" | "objects"): Record<string, Attribute> {
    if (definition === undefined) return {};
    const all: Record<string, Attribute> = {};
    const parents = table === "events" ? this.#events : this.#objects;
    if (definition.extends !== undefined) Object.assign(all, this.attributes(parents.get(definition.extends), table));
    for (const [name, attribute] of Object.entries(definition.attributes ?? {})) {
      if (name === "$include") {
        for (const path of attribute as string[]) Object.assign(all, this.attributes(this.#files.get(path), table));
      } else all[name] = { ...all[name], ...(attribute as Attribute) };
    }
    return all;
  }

  /** Fields of which an object needs one; inherited where it says nothing itself. */
  anyOf(definition: Definition): readonly string[] {
    const parent = this.#objects.get(definition.extends ?? "");
    return definition.constraints?.at_least_one ?? (definition.constraints === undefined && parent !== undefined ? this.anyOf(parent) : []);
  }

  /** An attribute with what the dictionary says of all of its name. */
  whole(name: string, attribute: Attribute): Attribute {
    return { ...this.#dictionary[name], ...attribute };
  }

  profile(name: string): Definition | undefined {
    return this.#files.get(`profiles/${name}.json`);
  }

  object(name: string): Definition | undefined {
    return this.#objects.get(ocsfNames[name] ?? name);
  }

  event(caption: string): Definition | undefined {
    return [...this.#events.values()].find((definition) => definition.caption === caption);
  }

  categoryUid(definition: Definition): number {
    const parent = definition.category ?? this.#events.get(definition.extends ?? "")?.category;
    return this.#categories[parent ?? ""]?.uid ?? 0;
  }

  /** A field's type in our notation, without the exclamation mark. */
  notation(name: string, attribute: Attribute): string {
    const known = this.whole(name, attribute);
    return `${this.#basic(known.type ?? "")}${known.is_array === true ? "[]" : ""}`;
  }

  #basic(type: string): string {
    if (["integer_t", "long_t", "port_t", "timestamp_t"].includes(type)) return "integer";
    if (type === "boolean_t") return "boolean";
    if (type === "json_t" || type === "object") return "any";
    if (!type.endsWith("_t")) return Object.entries(ocsfNames).find(([, name]) => name === type)?.[0] ?? type;
    const base = this.#types[type]?.type;
    return base === undefined || base === type ? "string" : this.#basic(base);
  }
}

/** The datetime profile gives each timestamp a sibling in text. */
function dateTimeOf(name: string, attributes: Readonly<Record<string, Attribute>>): Attribute | undefined {
  return name.endsWith("_dt") && attributes[name.slice(0, -3)] !== undefined ? { type: "datetime_t" } : undefined;
}

function fieldFaults(schema: Schema, owner: string, fields: FieldTable, attributes: Readonly<Record<string, Attribute>>): string[] {
  return Object.entries(fields).flatMap(([name, notation]) => {
    const attribute = attributes[name] ?? dateTimeOf(name, attributes);
    if (attribute === undefined) return [`${owner} has no ${name}`];
    const ours = notation.endsWith("!") ? notation.slice(0, -1) : notation;
    const theirs = schema.notation(name, attribute);
    if (notation.endsWith("!") && attribute.requirement !== "required") return [`${owner}.${name} is not required`];
    if (attribute["@deprecated"] !== undefined) return [`${owner}.${name} is deprecated`];
    const loose = ours === "any" || ours === "any[]" || ours === "unmapped";
    return ours === theirs || loose ? [] : [`${owner}.${name} is ${theirs}, not ${ours}`];
  });
}

/** OCSF's definitions below `corpus`, and the file that they are from. */
export async function readOcsf(corpus: string): Promise<{ readonly name: string; readonly schema: Schema }> {
  const folder = join(corpus, "7-ocsf");
  const name = (await readdir(folder)).find((file) => file.endsWith(".tar.gz"));
  if (name === undefined) throw new Error(`${folder} holds no .tar.gz`);
  return { name, schema: new Schema(tarFiles(gunzipSync(await readFile(join(folder, name))))) };
}

/** Compares the event schema with OCSF's definitions below `corpus`. True if it is a subset. */
export async function checkOcsf(corpus: string, print: (line: string) => void): Promise<boolean> {
  const { name, schema } = await readOcsf(corpus);
  const faults: string[] = [];
  for (const [object, spec] of Object.entries(objects)) {
    const definition = schema.object(object);
    if (definition === undefined) faults.push(`there is no object ${object}`);
    else {
      faults.push(...fieldFaults(schema, object, spec.fields, schema.attributes(definition, "objects")));
      const lacking = spec.anyOf === undefined ? [] : schema.anyOf(definition).filter((field) => spec.anyOf?.includes(field) === false);
      if (lacking.length > 0) faults.push(`${object} may also be told by ${lacking.join(", ")} alone`);
    }
  }
  for (const [uid, spec] of Object.entries(classes)) {
    const definition = schema.event(spec.name);
    if (definition === undefined) {
      faults.push(`there is no class ${spec.name}`);
      continue;
    }
    const categoryUid = schema.categoryUid(definition);
    const extension = Number(uid) >= windowsUid ? windowsUid : 0;
    if (spec.categoryUid !== categoryUid) faults.push(`${spec.name} is of category ${categoryUid}`);
    const theirs = extension + categoryUid * 1000 + (definition.uid ?? 0);
    if (theirs !== Number(uid)) faults.push(`${spec.name} has class_uid ${theirs}`);
    faults.push(...fieldFaults(schema, spec.name, { ...baseFields, ...spec.fields }, schema.attributes(definition, "events")));
  }
  for (const fault of faults) print(`    FAULT: ${fault}`);
  print(
    `ocsf: ${Object.keys(classes).length} classes, ${Object.keys(objects).length} objects against ${name}: ${faults.length === 0 ? "a subset" : "FAULTS"}`,
  );
  return faults.length === 0;
}
