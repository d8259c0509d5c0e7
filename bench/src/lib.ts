/**
 * Why: a workspace has a door; nothing stands above the bench, so it leads nowhere.
 * Enforces: the bench is a command (`npm run bench`).
 * Forbids: imports from it.
 */
export {};
