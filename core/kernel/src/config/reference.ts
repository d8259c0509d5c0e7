/**
 * Why: style rule 8, every field is documented and every documented field is real.
 * Enforces: the page is computed from the table; `npm run docs -- --check` fails where the committed page differs.
 * Forbids: edits by hand.
 */
import { type FieldSpec, fieldTable } from "./fields.ts";
import { environmentName } from "./load.ts";
import { describeBounds } from "./schema.ts";

/** The reference page of all configuration fields, as Markdown. */
export function configReference(): string {
  const lines: string[] = [];
  let section: string | undefined;
  for (const [path, spec] of fieldTable) {
    const own = path.includes(".") ? path.slice(0, path.indexOf(".")) : "";
    if (own !== section) {
      section = own;
      lines.push(`## ${own === "" ? "Top level" : `\`${own}\``}`, "", "| field | default | values | |", "|---|---|---|---|");
    }
    lines.push(row(path, spec));
    if (nextSection(path) !== section) lines.push("");
  }
  return lines.join("\n");
}

function row(path: string, spec: FieldSpec): string {
  const shown = spec.default === "" ? "(empty)" : `\`${spec.default}\``;
  const marks = [spec.reloadable ? "reloadable" : "", "secret" in spec ? "secret, never printed" : ""].filter((mark) => mark !== "");
  const prose = `${spec.prose}${marks.length === 0 ? "" : ` *${marks.join("; ")}*`}`;
  return `| \`${path}\`<br>\`${environmentName(path)}\` | ${shown} | ${describeBounds(spec)} | ${prose} |`;
}

/** The section of the field that follows `path` in the table; undefined after the last one. */
function nextSection(path: string): string | undefined {
  const paths = [...fieldTable.keys()];
  const next = paths[paths.indexOf(path) + 1];
  if (next === undefined) return undefined;
  return next.includes(".") ? next.slice(0, next.indexOf(".")) : "";
}
