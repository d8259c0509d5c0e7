// Why: each kind of Tetragon's events has its own fields, and an OCSF class that suits it, or none.
// Enforces: one reader a kind, each taking only what its class has a place for.
// Forbids: knowing the hooks of anybody's policy by name beyond what their names plainly say.

import { basePart, type Part } from "../draft.ts";
import { type Fields, type Json, some, toInteger } from "../json.ts";
import { connection, endpoint, fileAt, unknownActor } from "../ocsf_parts.ts";
import { argumentOf, kernelHookPart, textOf } from "./kernel_hooks.ts";
import type { Processes } from "./process.ts";

type KindReader = (body: Fields, processes: Processes) => Part | undefined;

function exec(_body: Fields, { process, parent }: Processes): Part {
  return { classUid: 1007, activityId: 1, fields: { process, actor: parent === undefined ? unknownActor : { process: parent } } };
}

function exit(body: Fields, { process, actor }: Processes): Part {
  return { classUid: 1007, activityId: 2, fields: { process, actor, exit_code: body.integer("status") } };
}

function loader(body: Fields, { actor }: Processes): Part | undefined {
  const file = fileAt(body.text("path"));
  return file === undefined
    ? undefined
    : { classUid: 1005, activityId: 1, fields: { actor, module: { load_type_id: 1, load_type: "Standard", file } } };
}

/** Connections as Tetragon's own network events name them. */
function network(activityId: number): KindReader {
  return (body, { actor }) => {
    const end = (side: string): Json | undefined =>
      body.attempt(() => endpoint({ ip: body.text(`${side}_ip`), port: body.integer(`${side}_port`) }));
    const stats = body.nested("stats");
    return {
      classUid: 4001,
      activityId,
      fields: {
        actor,
        src_endpoint: end("source") ?? body.attempt(() => endpoint({ ip: body.text("ip"), port: body.integer("port") })),
        dst_endpoint: end("destination"),
        connection_info: connection(body.text("protocol")),
        traffic: some({
          bytes_out: stats.integer("bytes_sent"),
          bytes_in: stats.integer("bytes_received"),
          packets_out: stats.integer("segs_out"),
          packets_in: stats.integer("segs_in"),
        }),
      },
    };
  };
}

/** Activities by what a hooked function's name says it does; the first that fits counts. */
const fileActivities: readonly (readonly [pattern: RegExp, activityId: number])[] = [
  [/unlink|rmdir/, 4],
  [/rename/, 5],
  [/chmod|chown|setxattr/, 7],
  [/write|truncate/, 3],
  [/read/, 2],
  [/mkdir|mknod|create/, 1],
  [/umount/, 13],
  [/mount/, 12],
  [/open|fd_install/, 14],
];
const socketActivities: readonly (readonly [pattern: RegExp, activityId: number])[] = [
  [/connect|accept/, 1],
  [/close|shutdown/, 2],
  [/listen/, 7],
  [/sendmsg|recvmsg|send|recv/, 6],
];
const other = 99;

function activityBy(table: readonly (readonly [RegExp, number])[], name: string): number {
  return table.find(([pattern]) => pattern.test(name))?.[1] ?? other;
}

/** A hook of somebody's policy: about the kernel where its function is, else about a socket or a file where its arguments hold one. */
function hook(nameOf: (body: Fields) => string): KindReader {
  return (body, { actor }) => {
    const activityName = nameOf(body);
    const args = body.peek("args");
    const kernel = actor === undefined ? undefined : kernelHookPart(activityName, args, actor);
    if (kernel !== undefined) return kernel;
    const socket = argumentOf(args, "sock_arg", "skb_arg");
    if (socket !== undefined) {
      const end = (side: string): Json | undefined =>
        endpoint({ ip: textOf(socket[`${side}addr`]), port: toInteger(socket[`${side}port`]) });
      const protocol = textOf(socket["protocol"])?.replace(/^IPPROTO_/, "");
      const fields = { actor, src_endpoint: end("s"), dst_endpoint: end("d"), connection_info: connection(protocol) };
      return { classUid: 4001, activityId: activityBy(socketActivities, activityName), activityName, fields };
    }
    const file = fileAt(textOf(argumentOf(args, "file_arg", "path_arg", "linux_binprm_arg")?.["path"]));
    if (file === undefined || actor === undefined) return basePart(activityName, { actor });
    return { classUid: 1001, activityId: activityBy(fileActivities, activityName), activityName, fields: { actor, file } };
  };
}

const named =
  (kind: string, ...names: readonly string[]): ((body: Fields) => string) =>
  (body) =>
    names
      .map((name) => body.word(name))
      .filter((word) => word !== undefined)
      .join("/") || kind;

/** Readers by kind; what is not here is a base event. */
export const kindParts: Readonly<Record<string, KindReader>> = {
  process_exec: exec,
  process_exit: exit,
  process_loader: loader,
  process_connect: network(1),
  process_accept: network(1),
  process_close: network(2),
  process_listen: network(7),
  process_kprobe: hook(named("kprobe", "function_name")),
  process_lsm: hook(named("lsm", "function_name")),
  process_tracepoint: hook(named("tracepoint", "subsys", "event")),
  process_uprobe: hook(named("uprobe", "symbol")),
  process_usdt: hook(named("usdt", "provider", "name")),
};
