/**
 * Why it exists: an operator who wants to look before starting gets a commented configuration and the keys, and nothing else.
 * Enforces: nothing that exists is overwritten; every field stands in the file with its default, bounds and meaning.
 * Forbids: starting anything.
 */
import { writeFile } from "node:fs/promises";
import { type FieldSpec, fieldTable } from "ransomeye-kernel";
import { createDataDir } from "../supervisor/data_dir.ts";
import type { CommandSpec } from "./command.ts";

export const initCommand: CommandSpec = {
  path: "init",
  summary: "make the data directory with a commented configuration and the keys, without starting anything",
  prose:
    "`start` does by itself what is missing; `init` is for whoever wants to see and change the configuration first. What exists already is left as it is.",
  options: [],
  examples: [
    { line: "ransomeye init", says: "Makes ./.ransomeye with config.yaml and secrets/." },
    { line: "ransomeye init --data-dir /srv/ransomeye", says: "The same elsewhere." },
  ],
  json: `{"data_dir": string, "config_file": string, "config_written": boolean}`,
  exits: ["ok", "usage", "config", "found"],
  async run(context) {
    const config = await context.config();
    const dir = await context.dataDir();
    await createDataDir(dir);
    const written = await writeFile(dir.configFile, commentedConfig(), { flag: "wx", mode: 0o600 }).then(
      () => true,
      (error: unknown) => {
        if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
        throw error;
      },
    );
    const { AuthorityKeeper } = await import("../registry/authority_keeper.ts");
    const { ensureGatewayKeys } = await import("../registry/gateway_keys.ts");
    const { gatewayNames } = await import("../registry/gateway_names.ts");
    const { trustDomain, listen } = config.gateway;
    const keeper = await AuthorityKeeper.open({ secrets: dir.secrets, trustDomain, clock: context.clock, random: context.random });
    await ensureGatewayKeys(dir.secrets, keeper, trustDomain, gatewayNames(listen), context.clock);
    context.result(
      { data_dir: dir.root, config_file: dir.configFile, config_written: written },
      [
        `data directory  ${dir.root}`,
        `configuration   ${dir.configFile}${written ? "" : " (was there already)"}`,
        `secrets         ${dir.secrets} (keep ca.key safe: whoever has it can be any producer)`,
        "next            ransomeye start",
      ].join("\n"),
    );
    return "ok";
  },
};

/** The configuration file with every field commented out at its default. */
export function commentedConfig(): string {
  const lines = [
    "# RansomEye configuration. Every field is shown with its default. To change one, take away the # in front of it and of its section.",
    "# `ransomeye config validate` checks this file, `ransomeye config show` shows what is in force.",
    "",
  ];
  let section = "";
  for (const [path, spec] of fieldTable) {
    const [head = "", name] = path.split(".");
    if (name !== undefined && head !== section) {
      lines.push(`#${head}:`);
      section = head;
    }
    const indent = name === undefined ? "" : "  ";
    // Where this file lies decides the data directory; a second word about it here would only confuse.
    if (path === "data_dir") continue;
    for (const line of wrap(`${spec.prose}${boundsOf(spec)}`, 110)) lines.push(`${indent}# ${line}`);
    lines.push(`${indent}#${name ?? head}: ${JSON.stringify(spec.default)}`, "");
  }
  return `${lines.join("\n")}\n`;
}

function boundsOf(spec: FieldSpec): string {
  switch (spec.type) {
    case "integer":
    case "ratio":
      return ` In ${spec.unit}, ${spec.min} to ${spec.max}.`;
    case "bytes":
      return ` ${spec.min} to ${spec.max}.`;
    case "choice":
      return ` One of ${spec.choices.join(", ")}.`;
    default:
      return "";
  }
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
