// Why: the task scheduler's own log names tasks when the Security log does not.
// Enforces: registration, change, removal and start as activities of scheduled jobs.
// Forbids: events without a task's name.

import type { Fields } from "../json.ts";
import { fileAt, userNamed } from "../ocsf_parts.ts";
import { type Part, table } from "./parts.ts";

function task(activityId: number): (data: Fields) => Part | undefined {
  return (data) => {
    const name = data.text("TaskName");
    if (name === undefined) return undefined;
    return {
      classUid: 1006,
      activityId,
      fields: {
        job: { name, type_id: 1, file: fileAt(data.text("Path")), user: userNamed(data.text("UserContext") ?? data.text("UserName")) },
      },
    };
  };
}

/** Readers by event id of Microsoft-Windows-TaskScheduler/Operational. */
export const taskParts: ReadonlyMap<number, (data: Fields) => Part | undefined> = table([
  [106, task(1)],
  [140, task(2)],
  [141, task(3)],
  [142, task(5)],
  [[107, 110, 129, 200], task(6)],
]);
