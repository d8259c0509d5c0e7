// Why: rules and columns read some sixty places of an event; an event comes as a scanned line or as a parsed value, and they must not care which.
// Enforces: the places are named once, each has a slot, and a slot holds what the current event has there.
// Forbids: reading a field of an event for a row by any other way, and keeping values from one event to the next.

let slotCount = 0;
const next = (): number => slotCount++;

/** Slots of an object: `self` for the object as a whole, the others for what it has by that name. */
export class UserSlots {
  readonly self: number = next();
  readonly name: number = next();
  readonly uid: number = next();
}

export class FileSlots {
  readonly self: number = next();
  readonly path: number = next();
  readonly name: number = next();
  readonly hashes: number = next();
}

export class ProcessSlots {
  readonly self: number = next();
  readonly name: number = next();
  readonly path: number = next();
  readonly pid: number = next();
  readonly cmd_line: number = next();
  readonly file: FileSlots = new FileSlots();
  readonly user: UserSlots = new UserSlots();
}

class EndpointSlots {
  readonly self: number = next();
  readonly hostname: number = next();
  readonly domain: number = next();
  readonly ip: number = next();
  readonly port: number = next();
}

class UrlSlots {
  readonly self: number = next();
  readonly hostname: number = next();
  readonly url_string: number = next();
}

/** An object of which only some names matter. */
function some<N extends string>(...names: N[]): Readonly<Record<N | "self", number>> {
  return Object.fromEntries(["self", ...names].map((name) => [name, next()])) as Record<N | "self", number>;
}

class EventSlots {
  readonly self: number = next();
  readonly class_uid: number = next();
  readonly category_uid: number = next();
  readonly type_uid: number = next();
  readonly activity_id: number = next();
  readonly severity_id: number = next();
  readonly time: number = next();
  readonly time_dt: number = next();
  readonly message: number = next();
  readonly evidences: number = next();
  readonly metadata: Readonly<Record<"self" | "version", number>> = some("version");
  readonly finding_info: Readonly<Record<"self" | "title", number>> = some("title");
  readonly device: Readonly<Record<"self" | "hostname" | "name", number>> = some("hostname", "name");
  readonly actor: { readonly self: number; readonly user: UserSlots; readonly process: ProcessSlots } = {
    self: next(),
    user: new UserSlots(),
    process: new ProcessSlots(),
  };
  readonly process: ProcessSlots = new ProcessSlots();
  readonly user: UserSlots = new UserSlots();
  readonly file: FileSlots = new FileSlots();
  readonly module: { readonly self: number; readonly file: FileSlots } = { self: next(), file: new FileSlots() };
  readonly src_endpoint: EndpointSlots = new EndpointSlots();
  readonly dst_endpoint: EndpointSlots = new EndpointSlots();
  readonly query: Readonly<Record<"self" | "hostname", number>> = some("hostname");
  readonly http_request: { readonly self: number; readonly url: UrlSlots } = { self: next(), url: new UrlSlots() };
  readonly tls: Readonly<Record<"self" | "sni", number>> = some("sni");
  readonly url: UrlSlots = new UrlSlots();
  readonly reg_value: Readonly<Record<"self" | "path" | "name", number>> = some("path", "name");
  readonly reg_key: Readonly<Record<"self" | "path", number>> = some("path");
  readonly job: Readonly<Record<"self" | "name", number>> = some("name");
}

/** Where everything lies: `slot.actor.process.name` is a number, `slot.device.self` the device as a whole. */
export const slot: EventSlots = new EventSlots();

/** What only the event itself says. All else a finding says in its first evidence, and every other event in itself. */
const ofTheEvent: ReadonlySet<string> = new Set(
  Object.keys(slot)
    .filter((name) => typeof slot[name as keyof EventSlots] === "number")
    .concat("metadata", "finding_info"),
);

/** The slots by name, to be walked. A leaf has nothing below. */
export interface SlotNode {
  readonly slot: number;
  readonly below: ReadonlyMap<string, SlotNode>;
}

function node(of: object): SlotNode {
  const { self, ...rest } = of as { readonly self: number } & Record<string, number | object>;
  const below = Object.entries(rest).map(
    ([name, inner]) => [name, typeof inner === "number" ? { slot: inner, below: noNodes } : node(inner)] as const,
  );
  return { slot: self, below: new Map(below) };
}

const noNodes: ReadonlyMap<string, SlotNode> = new Map();
/** The same as a tree; its root is the event. */
export const slotTree: SlotNode = node(slot);

/** What a slot holds. */
export const held = { nothing: 0, ascii: 1, utf8: 2, escaped: 3, integer: 4, object: 5, list: 6, parsed: 7 } as const;

const noBytes = Buffer.alloc(0);

/** The slots of one event at a time: bytes of its line where it was scanned, values where it was parsed. */
export class EventValues {
  readonly kinds: Uint8Array = new Uint8Array(slotCount);
  /** Where the text between its quotes, or the list with its brackets, lies in `bytes`. */
  readonly starts: Int32Array = new Int32Array(slotCount);
  readonly ends: Int32Array = new Int32Array(slotCount);
  readonly integers: Float64Array = new Float64Array(slotCount);
  readonly #parsed: unknown[] = new Array<unknown>(slotCount).fill(undefined);
  bytes: Buffer = noBytes;

  /** Begins an event whose texts lie in `bytes`. */
  clear(bytes: Buffer): void {
    this.kinds.fill(held.nothing);
    this.bytes = bytes;
  }

  /** Whether a slot holds an object. */
  isObject(at: number): boolean {
    return this.kinds[at] === held.object;
  }

  /** Whether a slot holds anything. */
  holds(at: number): boolean {
    return this.kinds[at] !== held.nothing;
  }

  /** Whether a slot holds a text of a scanned line. */
  isText(at: number): boolean {
    const kind = this.kinds[at];
    return kind === held.ascii || kind === held.escaped || kind === held.utf8;
  }

  /** Length of such a text in its line, in bytes. */
  textBytes(at: number): number {
    return (this.ends[at] as number) - (this.starts[at] as number);
  }

  /** The slot's value as JSON.parse gives it; `undefined` where there is none, and for objects whose fields have slots of their own. */
  get(at: number): unknown {
    const { bytes } = this;
    const from = this.starts[at] as number;
    const to = this.ends[at] as number;
    switch (this.kinds[at]) {
      case held.ascii:
        return bytes.toString("latin1", from, to);
      case held.utf8:
        return bytes.toString("utf8", from, to);
      case held.escaped:
        return JSON.parse(bytes.toString("utf8", from - 1, to + 1)) as unknown;
      case held.integer:
        return this.integers[at];
      case held.list:
        return JSON.parse(bytes.toString("utf8", from, to)) as unknown;
      case held.parsed:
        return this.#parsed[at];
      default:
        return undefined;
    }
  }

  /** Takes a parsed event instead of a line. Whatever it is, nothing is thrown. */
  take(event: unknown): void {
    this.clear(noBytes);
    const top = objectOf(event);
    if (top === null) return;
    const { evidences } = top;
    const subject = (Array.isArray(evidences) ? objectOf(evidences[0]) : null) ?? top;
    for (const [name, node] of slotTree.below) {
      const owner = ofTheEvent.has(name) || (name === "device" && objectOf(top["device"]) !== null) ? top : subject;
      this.#take(node, owner[name]);
    }
  }

  #take({ slot: at, below }: SlotNode, value: unknown): void {
    if (value === undefined) return;
    const object = below.size === 0 ? null : objectOf(value);
    if (below.size === 0) {
      this.kinds[at] = held.parsed;
      this.#parsed[at] = value;
    } else if (object !== null) {
      this.kinds[at] = held.object;
      for (const [name, node] of below) this.#take(node, object[name]);
    }
  }
}

function objectOf(value: unknown): Record<string, unknown> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
}
