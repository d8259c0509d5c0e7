// Why: hooks on what the kernel takes in (modules, BPF programs and maps) belong to classes of their own.
// Enforces: the hooked function chooses the activity, an argument names the module, the program or the map; without a name there is none.
// Forbids: a module's parameters as its name: only functions whose one text is the name give it.

import type { Part } from "../draft.ts";
import { asObject, type Json } from "../json.ts";
import { fileAt } from "../ocsf_parts.ts";

/** The first argument of one of these types. Arguments stay in `unmapped`: their order is the hooked function's. */
export function argumentOf(args: unknown, ...types: readonly string[]): Json | undefined {
  for (const arg of Array.isArray(args) ? args : []) {
    for (const type of types) {
      const value = asObject(asObject(arg)?.[type]);
      if (value !== undefined) return value;
    }
  }
  return undefined;
}

export function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The first text among the arguments. */
function textArgument(args: unknown): string | undefined {
  for (const arg of Array.isArray(args) ? args : []) {
    const text = textOf(asObject(arg)?.["string_arg"]);
    if (text !== undefined) return text;
  }
  return undefined;
}

const load = 1;
const unload = 2;
const other = 99;

interface ModuleHook {
  readonly pattern: RegExp;
  readonly activityId: number;
  /** The function's one text is the module's name. */
  readonly textIsName: boolean;
}

const moduleHooks: readonly ModuleHook[] = [
  { pattern: /(?:^|_)f?init_module$/, activityId: load, textIsName: false },
  { pattern: /^module\/module_load$/, activityId: load, textIsName: true },
  { pattern: /(?:^|_)delete_module$|^module\/module_free$/, activityId: unload, textIsName: true },
  { pattern: /(?:^|_)free_module$/, activityId: unload, textIsName: false },
  // The kernel asks for a module; whether it comes is told by the others.
  { pattern: /(?:^|_)kernel_module_request$/, activityId: other, textIsName: true },
];

function modulePart(activityName: string, args: unknown, actor: Json): Part | undefined {
  const hook = moduleHooks.find(({ pattern }) => pattern.test(activityName));
  if (hook === undefined) return undefined;
  const name = textOf(argumentOf(args, "module_arg")?.["name"]) ?? (hook.textIsName ? textArgument(args) : undefined);
  const file =
    fileAt(textOf(argumentOf(args, "file_arg", "path_arg")?.["path"])) ?? (name === undefined ? undefined : { name, type_id: 0 });
  return file === undefined
    ? undefined
    : { classUid: 1002, activityId: hook.activityId, activityName, fields: { actor, driver: { file } } };
}

const create = 1;
const invoke = 4;
const systemCall = 2;

/** What BPF's own checks of a program or a map hold, and the call itself. */
function bpfPart(activityName: string, args: unknown, actor: Json): Part | undefined {
  const kernelPart = (activityId: number, kernel: Json): Part => ({ classUid: 1003, activityId, activityName, fields: { actor, kernel } });
  if (/(?:^|_)bpf$/.test(activityName)) return kernelPart(invoke, { name: "bpf", type_id: systemCall, system_call: "bpf" });
  const program = /(?:^|_)bpf_(?:check|prog_load)$/.test(activityName) ? argumentOf(args, "bpf_attr_arg", "bpf_prog_arg") : undefined;
  if (program !== undefined)
    return kernelPart(create, { name: textOf(program["ProgName"]) ?? "BPF program", type_id: other, type: "BPF program" });
  const map = /(?:^|_)bpf_map_(?:alloc|create)$/.test(activityName) ? argumentOf(args, "bpf_map_arg") : undefined;
  return map === undefined ? undefined : kernelPart(create, { name: textOf(map["MapName"]) ?? "BPF map", type_id: other, type: "BPF map" });
}

/** What a hook tells of the kernel; undefined where it tells of something else. `activityName` is the hooked function's name. */
export function kernelHookPart(activityName: string, args: unknown, actor: Json): Part | undefined {
  return modulePart(activityName, args, actor) ?? bpfPart(activityName, args, actor);
}
