// Why: Sysmon for Linux writes XML, of one small shape, and a parser for all of XML would bring all of its dangers.
// Enforces: elements, attributes, text, the five entities and numeric ones; bounded depth; a text that ends too early gives what was whole.
// Forbids: declarations, DTDs, comments, CDATA and entities of one's own: a text that has them is not read at all.

/** An element with what stands in it. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[];
  text: string;
}

/** What was read. `cut` is the text of the element that the text's end has cut off, where it was; then the elements around it are closed. */
export interface Document {
  readonly root: Element;
  readonly cut: string | undefined;
}

const depthMax = 8;

const openTag = /<([A-Za-z_][\w.-]*)((?:\s+[A-Za-z_][\w.:-]*\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y;
const closeTag = /<\/([A-Za-z_][\w.-]*)\s*>/y;
const attribute = /([A-Za-z_][\w.:-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const reference = /&(?:(\w{1,32})|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));/g;

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

/**
 * Text without references; undefined where one is unknown or stands for no character. What is no reference stays as it is written: Sysmon for Linux
 * has been seen to write `&lt unknown process&gt `.
 */
function resolved(text: string): string | undefined {
  let whole = true;
  const plain = withoutReferences(text, () => {
    whole = false;
    return "";
  });
  return whole ? plain : undefined;
}

/** Text with the characters that its references stand for; `otherwise` says what becomes of one that stands for none. */
export function withoutReferences(text: string, otherwise: (reference: string) => string): string {
  return text.replace(reference, (written, name?: string, decimal?: string, hex?: string) => {
    const code = decimal === undefined ? Number.parseInt(hex ?? "", 16) : Number(decimal);
    if (name !== undefined && Object.hasOwn(entities, name)) return entities[name] as string;
    if (code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)) return String.fromCodePoint(code);
    return otherwise(written);
  });
}

function attributesOf(text: string): Record<string, string> | undefined {
  const attributes: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [, name, double, single] of text.matchAll(attribute)) {
    const value = resolved(double ?? single ?? "");
    if (value === undefined || attributes[name as string] !== undefined) return undefined;
    attributes[name as string] = value;
  }
  return attributes;
}

/** Reads one element; undefined where the text is not of this kind. */
export function readXml(text: string): Document | undefined {
  const stack: Element[] = [];
  let root: Element | undefined;
  let at = 0;
  /** Where the innermost open element began. */
  let began = 0;
  while (at < text.length) {
    const top = stack.at(-1);
    if (text[at] !== "<") {
      const end = text.indexOf("<", at);
      const plain = text.slice(at, end < 0 ? text.length : end);
      if (top === undefined && plain.trim() !== "") return undefined;
      if (end < 0 && top !== undefined) break;
      if (top !== undefined) {
        const value = resolved(plain);
        if (value === undefined) return undefined;
        top.text += value;
      }
      at += plain.length;
      continue;
    }
    closeTag.lastIndex = at;
    const closed = closeTag.exec(text);
    if (closed !== null) {
      if (top === undefined || closed[1] !== top.name) return undefined;
      stack.pop();
      at = closeTag.lastIndex;
      began = at;
      continue;
    }
    openTag.lastIndex = at;
    const opened = openTag.exec(text);
    if (opened === null) {
      // Nothing but the end of the text may leave a tag open.
      if (text.indexOf(">", at) >= 0 || /^<[!?]/.test(text.slice(at, at + 2))) return undefined;
      break;
    }
    const attributes = attributesOf(opened[2] as string);
    if (attributes === undefined || stack.length >= depthMax || (top === undefined && root !== undefined)) return undefined;
    const element: Element = { name: opened[1] as string, attributes, children: [], text: "" };
    top?.children.push(element);
    root ??= element;
    began = at;
    at = openTag.lastIndex;
    if (opened[3] === "") stack.push(element);
    else began = at;
  }
  if (root === undefined) return undefined;
  if (stack.length === 0) return { root, cut: undefined };
  return { root: withoutOpen(root, stack), cut: text.slice(began) };
}

/** The innermost open element is what was cut, unless others already stand in it. */
function withoutOpen(root: Element, stack: readonly Element[]): Element {
  const last = stack.at(-1) as Element;
  const parent = stack.at(-2);
  if (parent !== undefined && last.children.length === 0) parent.children.pop();
  return root;
}
