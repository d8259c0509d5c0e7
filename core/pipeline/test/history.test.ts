/**
 * Why it exists: `bus.append` and `bus.open_epoch` in SQL judge as the pure machine does.
 */
import { after, test } from "node:test";
import { openTestServer } from "ransomeye-db/testing";
import { playHistories } from "./histories.ts";
import { openPostgresSubject } from "./postgres_subject.ts";

const server = await openTestServer();
after(() => server.close());

test("EB-1 R-2 R-6 R-7 R-13 the SQL functions and the pure machine answer every random history alike", () =>
  playHistories({ fresh: () => openPostgresSubject(server, { epochOpeningsPerDayMax: 3 }), trimRemoves: false }));
