// Why: every event of Tetragon's carries the process it is about, and that process's parent, in the same words.
// Enforces: execution ids, which are unique over all nodes, as the processes' unique ids; command lines put together from program and arguments.
// Forbids: containers and pods in fields that have no room for them: they stay in `unmapped` under their process.

import type { Fields, Json } from "../json.ts";
import { actorOf, processOf, userOf } from "../ocsf_parts.ts";
import { usOfText } from "../source_time.ts";

/** The process of an event, with its parent in it, and who acts where the process itself does. */
export interface Processes {
  readonly process: Json | undefined;
  readonly parent: Json | undefined;
  /** The process as an actor. */
  readonly actor: Json | undefined;
}

function oneProcess(fields: Fields, parent: Json | undefined): Json | undefined {
  const binary = fields.word("binary");
  return fields.attempt(() =>
    processOf({ pid: fields.integer("pid"), uid: fields.text("exec_id"), path: fields.text("binary") }, moreOf(fields, binary, parent)),
  );
}

function moreOf(fields: Fields, binary: string | undefined, parent: Json | undefined): Json {
  const passed = fields.text("arguments");
  const started = usOfText(fields.peek("start_time"));
  return {
    cmd_line: passed === undefined || binary === undefined ? (passed ?? binary) : `${binary} ${passed}`,
    working_directory: fields.text("cwd"),
    tid: fields.integer("tid"),
    user: userOf({ uid: fields.text("uid"), name: fields.nested("user").text("name") }),
    // The exact time stays in unmapped: OCSF counts milliseconds.
    created_time: Number.isFinite(started) ? Math.floor(started / 1000) : undefined,
    parent_process: parent,
  };
}

/** Takes the processes of an event. */
export function processesOf(body: Fields): Processes {
  const parent = oneProcess(body.nested("parent"), undefined);
  const process = oneProcess(body.nested("process"), parent);
  return { process, parent, actor: actorOf({ process: process ?? parent }) };
}
