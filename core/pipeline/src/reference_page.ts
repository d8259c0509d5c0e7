/**
 * Why it exists: the reference pages that this room writes about itself.
 * Enforces: made from the tables that the code uses.
 * Forbids: prose that no table holds.
 */
import { busUsersPage } from "./redis_streams/user_file.ts";

/** Pages by path, for `npm run docs`. */
export const referencePages: Readonly<Record<string, () => string>> = {
  "core/docs/reference/bus_users.md": busUsersPage,
};
