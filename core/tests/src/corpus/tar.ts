/**
 * Why: the OCSF schema comes as a tar archive, and a check should not need a tool or a dependency to look into it.
 * Enforces: regular files of a plain (ustar) archive, by path.
 * Forbids: writing to disk, links, and archives that are not whole.
 */
const blockBytes = 512;

function text(block: Buffer, from: number, length: number): string {
  const end = block.indexOf(0, from);
  return block.toString("utf8", from, Math.min(end < 0 ? from + length : end, from + length));
}

/** Contents of the regular files of an unpacked tar archive. */
export function tarFiles(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (let at = 0; at + blockBytes <= archive.length; ) {
    const header = archive.subarray(at, at + blockBytes);
    const name = text(header, 0, 100);
    if (name === "") break;
    const bytes = Number.parseInt(text(header, 124, 12), 8);
    const prefix = text(header, 345, 155);
    const type = text(header, 156, 1);
    const start = at + blockBytes;
    if (type === "" || type === "0") files.set(prefix === "" ? name : `${prefix}/${name}`, archive.subarray(start, start + bytes));
    at = start + Math.ceil(bytes / blockBytes) * blockBytes;
  }
  return files;
}
