// Why: an event in XML says the same as one in JSON, and there should be one mapping for both.
// Enforces: the shape that evtx_dump gives events in JSON, so that the view on Windows events takes it as another coat.
// Forbids: leaving out an element, an attribute, or the part that was cut off.

import { addValue, type Json } from "../json.ts";
import { type Element, readXml } from "./xml.ts";

/** What says nothing is left out. */
function add(owner: Json, name: string, value: unknown): void {
  if (value !== undefined) addValue(owner, name, value);
}

/** An element's text, or an object of its attributes and children; undefined where it says nothing. */
function valueOf(element: Element): unknown {
  const attributes = Object.keys(element.attributes).length === 0 ? undefined : { ...element.attributes };
  if (attributes === undefined && element.children.length === 0) return element.text === "" ? undefined : element.text;
  const value: Json = {};
  add(value, "#attributes", attributes);
  for (const child of element.children) add(value, child.name, valueOf(child));
  if (element.text.trim() !== "") add(value, "#text", element.text);
  return value;
}

/** `<Data Name="x">value</Data>` as `x: value`. */
function dataOf(element: Element): Json {
  const data: Json = {};
  for (const child of element.children) {
    const { Name: name, ...more } = child.attributes;
    if (child.name === "Data" && name !== undefined && Object.keys(more).length === 0 && child.children.length === 0)
      add(data, name, child.text);
    else add(data, child.name, valueOf(child));
  }
  return data;
}

/** An event's XML as `{ Event: { System, EventData } }`; undefined where it is none. What was cut off stands in `cut`. */
export function readEventXml(text: string): Json | undefined {
  const document = readXml(text);
  if (document === undefined || document.root.name !== "Event") return undefined;
  const event: Json = {};
  for (const child of document.root.children) add(event, child.name, child.name === "EventData" ? dataOf(child) : valueOf(child));
  const system = event["System"];
  if (typeof system !== "object" || system === null || Array.isArray(system)) return undefined;
  if (Object.keys(document.root.attributes).length > 0) add(event, "#attributes", { ...document.root.attributes });
  return document.cut === undefined ? { Event: event } : { Event: event, cut: document.cut };
}
