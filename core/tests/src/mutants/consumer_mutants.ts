/** Why: bugs of consumers. Enforces: a kill neither loses nor doubles what an attack leads to, and whoever is too slow hears of it. */
import { type Mutant, named } from "./mutant.ts";

const consumers = "core/tests/dist/test/consumers.test.js";
const feed = "core/pipeline/dist/test/message_feed.test.js";
const archive = "core/pipeline/dist/test/redis_archive.test.js";
const messages = "core/pipeline/dist/test/redis_messages.test.js";

export const consumerMutants: readonly Mutant[] = [
  {
    rule: "EB-13, BUS-6",
    bug: "a message is acknowledged before it is handled",
    patches: [
      {
        file: "core/pipeline/dist/src/message_queue.js",
        find: "await handle(message, received);",
        replace: "await received.acknowledge(); await handle(message, received);",
      },
    ],
    check: named(consumers, "EB-13 EB-15 BUS-6 BUS-10 the AI consumer and the forensics trigger are killed"),
  },
  {
    rule: "EB-13, BUS-6",
    bug: "the sample consumer's decision has an id of its own each time",
    patches: [{ file: "examples/ai_consumer/dist/src/consumer.js", find: "messageId: decisionId(about), ", replace: "" }],
    check: named("examples/ai_consumer/dist/test/consumer.test.js", "BUS-6 a kill between decision and acknowledgement"),
  },
  {
    rule: "EB-13, BUS-6",
    bug: "a request for evidence has an id of its own each time",
    patches: [{ file: "core/engine/dist/src/forensics_trigger.js", find: "messageId: forensicsRequestId(about), ", replace: "" }],
    check: named("core/engine/dist/test/forensics_trigger.test.js", "BUS-6 a kill between request and acknowledgement"),
  },
  {
    rule: "EB-15, P-5",
    bug: "what a follower is too slow for is dropped in silence",
    patches: [{ file: "core/pipeline/dist/src/feed/follower.js", find: "this.#miss(stream, 1);", replace: "void stream;" }],
    check: named(feed, "EB-15 BUS-11 one who does not look"),
  },
  {
    rule: "EB-15, P-5",
    bug: "what waits for a follower has no bound",
    patches: [{ file: "core/pipeline/dist/src/feed/follower.js", find: "this.#waiting.length > messagesMax ||", replace: "false ||" }],
    check: named(feed, "EB-15 BUS-11 one who does not look"),
  },
  {
    rule: "EB-29, R-27",
    bug: "a stream that is full keeps back all others' messages",
    patches: [
      { file: "core/engine/dist/src/outbox.js", find: "ORDER BY o.id", replace: "ORDER BY o.id LIMIT $2" },
      { file: "core/engine/dist/src/outbox.js", find: "open.delete(lane);", replace: "open.clear();" },
    ],
    check: named("core/engine/dist/test/outbox.test.js", "EB-29 R-27 a stream that is full"),
  },
  {
    rule: "EB-29, R-27",
    bug: "the database reads the JSON of what waits, and refuses an attacker's text with the rows",
    patches: [
      {
        file: "core/db/migrations/0020_outbox_lane_column.sql",
        find: "ON bus.outbox (lane, id)",
        replace: "ON bus.outbox (lane, (body::jsonb ->> 'stream'), id)",
      },
    ],
    check: named("core/engine/dist/test/outbox.test.js", "EB-29 R-27 text that jsonb refuses"),
  },
  {
    rule: "EB-29, R-27",
    bug: "what waits from before there were lanes waits for ever",
    patches: [{ file: "core/engine/dist/src/outbox.js", find: `"",`, replace: "" }],
    check: named("core/engine/dist/test/outbox.test.js", "EB-29 R-27 what waits from before"),
  },
  {
    rule: "EB-21, R-26",
    bug: "what is to be archived counts as archived before it is",
    patches: [
      { file: "core/pipeline/dist/src/redis_streams/archiver.js", find: "await this.#o.archive.put(of, priority, entries)", replace: "0" },
    ],
    check: named(archive, "EB-21 R-26 what a group has not read leaves the servers' memory"),
  },
  {
    rule: "EB-21, R-26",
    bug: "what every group has settled goes before the archive holds it",
    patches: [
      {
        file: "core/pipeline/redis/message_trim.lua",
        find: "settled_up_to[priority] = math.min(tail[priority], archived[priority])",
        replace: "settled_up_to[priority] = tail[priority]",
      },
    ],
    check: named(archive, "R-26 nothing goes that the archive does not hold"),
  },
  {
    rule: "EB-4, BUS-6",
    bug: "what a dead member had taken at once comes to nobody",
    patches: [
      { file: "core/pipeline/redis/message_take.lua", find: "if batch_due > 0 and batch_due <= now then", replace: "if false then" },
    ],
    check: named(messages, "of what was taken at once each ends by itself"),
  },
  {
    rule: "EB-4, BUS-6",
    bug: "who prolongs a part of what was taken at once prolongs all of it",
    patches: [{ file: "core/pipeline/redis/message_extend.lua", find: "if count == batch.left then", replace: "if true then" }],
    check: named(messages, "of what was taken at once each ends by itself"),
  },
  {
    rule: "EB-7, BUS-5",
    bug: "what was taken at once counts as settled",
    patches: [{ file: "core/pipeline/redis/message_trim.lua", find: "in pairs(all_batches(group)) do", replace: "in pairs({}) do" }],
    check: named(messages, "EB-7 BUS-5 a stream at its bound drops"),
  },
  {
    rule: "EB-6, BUS-6",
    bug: "a take that is answered early is handed out early",
    patches: [{ file: "core/pipeline/dist/src/messages/subscription.js", find: "await before;", replace: "" }],
    check: named("core/pipeline/dist/test/message_queue.test.js", "EB-6 what is fetched while something else is on its way"),
  },
  {
    rule: "EB-6, BUS-6",
    bug: "a member whose ends are not answered takes on and on",
    patches: [
      {
        file: "core/pipeline/dist/src/messages/subscription.js",
        find: "Math.min(prefetch - this.#open.size, 2 * prefetch - this.#held.size)",
        replace: "prefetch - this.#open.size",
      },
    ],
    check: named("core/pipeline/dist/test/message_queue.test.js", "EB-6 a member whose ends the servers do not answer"),
  },
  {
    rule: "BUS-6",
    bug: "a take that the server has done is sent again with what it did not know",
    patches: [{ file: "core/pipeline/dist/src/redis_streams/link.js", find: "call.once === true", replace: "false" }],
    check: named(messages, "BUS-6 a server that knows one script of two"),
  },
  {
    rule: "EB-21, R-26",
    bug: "a server that is full does not note what the archive has, and nothing leaves it any more",
    patches: [{ file: "core/pipeline/redis/message_archived.lua", find: "redis.call('XTRIM', KEYS[2], 'MINID', '0-0')", replace: "" }],
    check: named(archive, "R-26 BUS-5 a server that is full lets its groups end"),
  },
  {
    rule: "EB-21, R-26",
    bug: "on a server that is full a group cannot end a part of what it has taken",
    patches: [
      {
        file: "core/pipeline/redis/messages.lua",
        find: "local kept, over_with = {}, { 'batch:none' }",
        replace: "local kept, over_with = {}, {}",
      },
    ],
    check: named(archive, "R-26 BUS-5 a server that is full lets its groups end"),
  },
  {
    rule: "EB-7, R-26",
    bug: "bytes of what the archive alone holds are no reason for it to go",
    patches: [{ file: "core/pipeline/redis/message_trim.lua", find: "beyond = math.max(beyond, known(priority, 4))", replace: "" }],
    check: named(archive, "EB-7 R-26 of the servers' memory a stream takes no more than its bytes"),
  },
  {
    rule: "EB-7, R-26",
    bug: "the more urgent goes in the place of what only the archive knows the size of",
    patches: [
      {
        file: "core/pipeline/redis/message_trim.lua",
        find: "elseif are_too_large() then\n      -- Not the more urgent in its place: the next step asks again.\n      bytes_known = false",
        replace: "elseif are_too_large() then\n      bytes_known = true",
      },
    ],
    check: named(archive, "EB-7 R-26 of what is too large the least urgent goes first"),
  },
  {
    rule: "EB-7, R-26",
    bug: "nobody tells the servers how many bytes have gone from the archive",
    patches: [
      {
        file: "core/pipeline/dist/src/redis_streams/archiver.js",
        find: "lows.some((low, index) => low !== lowAts[index])",
        replace: "lows.some(() => false)",
      },
    ],
    check: named(archive, "EB-7 R-26 of the servers' memory a stream takes no more than its bytes"),
  },
  {
    rule: "EB-7, BUS-5",
    bug: "a large message counts as one entry and no more, in the database",
    patches: [{ file: "core/db/migrations/0018_message_bounds.sql", find: "AND f.bytes_before < v_bytes", replace: "" }],
    check: named("core/pipeline/dist/test/postgres_messages.test.js", "EB-7 BUS-5 R-26 bytes bound a stream as entries do"),
  },
  {
    rule: "EB-21, R-26",
    bug: "an archive that does not answer costs a delivery",
    patches: [
      {
        file: "core/pipeline/dist/src/redis_streams/cold_messages.js",
        find: 'await end(refs(handed), "release")',
        replace: "await Promise.resolve()",
      },
    ],
    check: named(archive, "R-26 an archive that does not answer keeps what is behind waiting"),
  },
];
