/**
 * The contract on PostgreSQL. What only this adapter does stands in postgres_only.test.ts.
 */
import { after } from "node:test";
import { openTestServer } from "ransomeye-db/testing";
import { busContract } from "./contract.ts";
import { openPostgresSubject } from "./postgres_subject.ts";

const server = await openTestServer();
after(() => server.close());

busContract("postgres", (options) => openPostgresSubject(server, options));
