/**
 * Why: what an export calls OCSF's `record_integrity` has to be what OCSF calls so.
 * Enforces: the profile is there, and each object of an attestation that we make has OCSF's attributes and no others, in their types, the required ones among them, with
 * numbers that are listed and the words that belong to them.
 * Forbids: judging the event around it: the producer wrote that.
 */
import type { AttestationRecord } from "ransomeye-evidence";
import { fullWorld, producerIds } from "ransomeye-evidence/testing";
import { type Attribute, readOcsf, type Schema } from "./ocsf_check.ts";

const profile = "record_integrity";
const listed = "attestation_list";
/** Of every enumeration: words that the source chooses. */
const other = 99;
type Fields = Readonly<Record<string, unknown>>;

/** What OCSF's definition of an object does not find in a value. */
export function objectFaults(schema: Schema, name: string, value: unknown, path: string): string[] {
  const definition = schema.object(name);
  if (definition === undefined) return [`${path}: there is no object ${name}`];
  if (!isFields(value)) return [`${path} is no ${name}`];
  const attributes = schema.attributes(definition, "objects");
  const faults = Object.entries(value).flatMap(([field, item]) => {
    const attribute = attributes[field];
    return attribute === undefined
      ? [`${path} has ${field}, which ${name} has not`]
      : fieldFaults(schema, field, attribute, item, `${path}.${field}`);
  });
  for (const [field, { requirement }] of Object.entries(attributes))
    if (requirement === "required" && value[field] === undefined) faults.push(`${path} has no ${field}`);
  const anyOf = schema.anyOf(definition);
  if (anyOf.length > 0 && !anyOf.some((field) => value[field] !== undefined)) faults.push(`${path} has none of ${anyOf.join(", ")}`);
  return [...faults, ...siblingFaults(schema, attributes, value, path)];
}

function fieldFaults(schema: Schema, field: string, attribute: Attribute, value: unknown, path: string): string[] {
  const { type = "", is_array: isList = false, enum: values } = schema.whole(field, attribute);
  if (Array.isArray(value) !== isList) return [`${path} is ${isList ? "no" : "a"} list`];
  const items = (isList ? value : [value]) as readonly unknown[];
  return items.flatMap((item, i) => {
    const at = isList ? `${path}[${i}]` : path;
    if (!type.endsWith("_t")) return objectFaults(schema, type, item, at);
    const wanted = schema.notation(field, { type, is_array: false });
    const fits = wanted === "integer" ? Number.isSafeInteger(item) : typeof item === wanted;
    if (!fits) return [`${at} is no ${wanted}`];
    return values === undefined || Object.hasOwn(values, String(item)) ? [] : [`${at} is ${String(item)}, which is not listed`];
  });
}

/** A number that is listed, and the attribute that says it in words. */
function siblingFaults(schema: Schema, attributes: Readonly<Record<string, Attribute>>, value: Fields, path: string): string[] {
  return Object.entries(value).flatMap(([field, item]) => {
    const { sibling, enum: values } = schema.whole(field, attributes[field] ?? {});
    if (sibling === undefined || value[sibling] === undefined || item === other) return [];
    const caption = values?.[String(item)]?.caption;
    return caption === undefined || caption === value[sibling]
      ? []
      : [`${path}.${sibling} is ${String(value[sibling])}, and ${field} says ${caption}`];
  });
}

/** Holds a signed attestation and one that is not against OCSF's definitions below `corpus`. */
export async function checkAttestations(corpus: string, print: (line: string) => void): Promise<boolean> {
  const { name, schema } = await readOcsf(corpus);
  const [producer = ""] = producerIds;
  const attested = fullWorld().attestedFile({ producer, epoch: 2, seq: 3 });
  const { document } = attested.find((one): one is AttestationRecord => one.type === "attestation") as AttestationRecord;
  const event = JSON.parse(document ?? "") as { readonly metadata: { readonly profiles: unknown }; readonly [listed]: readonly Fields[] };
  const faults = schema.profile(profile)?.attributes?.[listed] === undefined ? [`there is no profile ${profile} with ${listed}`] : [];
  const metadata = schema.attributes(schema.object("metadata"), "objects");
  faults.push(...fieldFaults(schema, "profiles", metadata["profiles"] ?? {}, event.metadata.profiles, "metadata.profiles"));
  const [signed = {}] = event[listed];
  const { signatures: _none, ...unsigned } = signed;
  for (const one of [signed, unsigned]) faults.push(...fieldFaults(schema, listed, {}, [one], listed));
  for (const fault of faults) print(`    FAULT: ${fault}`);
  print(`attestations: signed and not signed, against ${name}: ${faults.length === 0 ? "as defined" : "FAULTS"}`);
  return faults.length === 0;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
