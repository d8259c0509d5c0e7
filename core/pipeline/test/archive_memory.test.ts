/**
 * The archive that tests of servers use keeps the same contract as the one in the database.
 */
import { archiveContract } from "./archive_contract.ts";
import { MemoryArchive } from "./memory_archive.ts";

archiveContract("memory", async () => new MemoryArchive());
