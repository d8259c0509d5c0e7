/**
 * Why: bugs of the log on Redis or Valkey, in its scripts and in who calls them. Enforces: a frame that is not next, an entry that is missing or changed, a place
 * that is not held, a server that has not said that it keeps something: each is noticed by a test on real servers.
 */
import { type Mutant, named, type Patch } from "./mutant.ts";

const tests = "core/pipeline/dist/test";
const contract = `${tests}/redis.test.js`;
const histories = named(`${tests}/redis_history.test.js`, "EB-1 R-2 R-6 R-7 R-13 the scripts and the pure machine");
const messageHistories = named(`${tests}/redis_message_history.test.js`, "R-11 BUS-6 BUS-7 the scripts and the pure machine");
const messages = `${tests}/redis_messages.test.js`;

const script = (name: string, find: string, replace: string): readonly Patch[] => [
  { file: `core/pipeline/redis/${name}.lua`, find, replace },
];
const code = (name: string, find: string, replace: string): readonly Patch[] => [
  { file: `core/pipeline/dist/src/redis_streams/${name}.js`, find, replace },
];

/** What a gate appends. */
const appending: readonly Mutant[] = [
  {
    rule: "EB-1, R-37",
    bug: "the script takes a frame that is ahead of its producer's head",
    patches: script("append", "epoch == head.epoch and first_seq > head.seq + 1", "false"),
    check: histories,
  },
  {
    rule: "EB-1, R-2",
    bug: "the script does not compare a frame's past with the chain",
    patches: script("append", "prev_seq == head.seq and prev_hash == head.hash", "prev_seq == head.seq"),
    check: histories,
  },
  {
    rule: "EB-1, R-2",
    bug: "on a server other bytes at a taken place are a duplicate",
    patches: script("append", "known == 'frame' and string.sub(found, 1, 32) == hash", "known == 'frame'"),
    check: named(contract, "R-2 other bytes, other boundaries"),
  },
  {
    rule: "EB-1, R-7",
    bug: "a partition on a server takes frames of another one's producers",
    patches: script("append", "elseif head.part ~= target then", "elseif false then"),
    check: named(contract, "R-7 a frame that is next but came to another partition"),
  },
  {
    rule: "EB-1, R-13",
    bug: "a server takes frames of a producer that is revoked",
    patches: script("append", "if producer.revoked then", "if false then"),
    check: named(contract, "R-13 a revoked producer cannot append"),
  },
  {
    rule: "EB-20, R-2",
    bug: "a gate goes on behind another end than the one it has given receipts for",
    patches: script("append", "if tonumber(state[2]) < tonumber(ARGV[4]) then", "if false then"),
    check: named(`${tests}/redis_failover.test.js`, "EB-20 R-2 R-5 where the master was not to wait"),
  },
  {
    rule: "R-4",
    bug: "a duplicate is answered without a word from the replica",
    patches: script("append", "elseif barrier then", "elseif false then"),
    check: named(`${tests}/redis_only.test.js`, "R-4 who repeats a frame or an opening makes the server write"),
  },
  {
    rule: "R-6",
    bug: "on a server a producer may open epochs without end",
    patches: script("open_epoch", "if oldest then return", "if false then return"),
    check: named(contract, "R-6 openings are limited per day"),
  },
  {
    rule: "R-4",
    bug: "too few replicas are enough",
    patches: code("confirmation", "received >= replicas", "received >= 0"),
    check: named(`${tests}/redis_failover.test.js`, "R-4 without its replica's word nothing is answered"),
  },
  {
    rule: "R-4",
    bug: "a server that flushes once a second is good enough for a receipt",
    patches: code("server_facts", `facts.appendFsync !== "always"`, `facts.appendFsync === "no"`),
    check: named(`${tests}/redis_only.test.js`, "R-4 a server is refused whose"),
  },
];

/** What a consumer reads. */
const reading: readonly Mutant[] = [
  {
    rule: "R-1",
    bug: "a reader passes over an entry that somebody has removed",
    patches: code("reader", "offsetOf(entry) !== from + index + 1", "false"),
    check: named(`${tests}/redis_damage.test.js`, "R-1 an entry that was removed"),
  },
  {
    rule: "R-1",
    bug: "a stream that somebody has emptied is one with nothing new",
    patches: [
      ...code("reader", "(found.length === 0 && numberOf(tail) > from)", "false"),
      ...code("reader", "if (found.length === 0 && tail > from)", "if (false)"),
    ],
    check: named(`${tests}/redis_damage.test.js`, "R-1 a stream that was trimmed by hand"),
  },
  {
    rule: "R-2",
    bug: "a reader goes on behind an entry of another history",
    patches: script("read", "if hash ~= ARGV[3] then", "if false then"),
    check: named(`${tests}/redis_failover.test.js`, "EB-20 R-2 R-5 where the master was not to wait"),
  },
  {
    rule: "R-11",
    bug: "who reads below the low mark is told nothing",
    patches: script("read", "if from < tonumber(state[3]) then return { 'trimmed', state[3] } end", ""),
    check: named(`${tests}/redis_trim.test.js`, "R-11 entries go with their index"),
  },
  {
    rule: "R-4",
    bug: "entries are read that no replica has",
    patches: code("reader", "await servers.readConfirmed(state, [\n", "await servers.read(state, [\n"),
    check: named(`${tests}/redis_failover.test.js`, "R-4 what no replica has confirmed is not read"),
  },
  {
    rule: "R-10",
    bug: "a payload that somebody has changed is read",
    patches: code("entry", `throw corrupt("an entry does not match the hash that was stored with it");`, ""),
    check: named(`${tests}/redis_damage.test.js`, "R-10 "),
  },
  {
    rule: "BP-12",
    bug: "one read brings as many bytes as there are",
    patches: code("reader", "upToBytes(found, bytesMax)", "upToBytes(found, Number.MAX_SAFE_INTEGER)"),
    check: named(contract, "reads are bounded by frames and by bytes"),
  },
];

/** Who holds what, and what goes. */
const holding: readonly Mutant[] = [
  {
    rule: "EB-3, R-3",
    bug: "who has lost a partition on a server still moves its place",
    patches: script("group", "slot.owner == member and slot.token == tonumber(token)", "slot.owner == member"),
    check: named(contract, "R-3 what a dead predecessor of the same name held"),
  },
  {
    rule: "EB-3, R-3",
    bug: "tokens of a server that came back older are given out twice",
    patches: script("group", "math.max(slot.token + 1, clock_us())", "slot.token + 1"),
    check: named(`${tests}/redis_loss.test.js`, "R-3 R-5 tokens do not come back"),
  },
  {
    rule: "EB-3, R-3",
    bug: "a partition on a server has two owners",
    patches: script("group_acquire", "(slot.owner == '' or slot.owner == member or slot.until_us <= now)", "true"),
    check: named(contract, "a partition that somebody holds is not given"),
  },
  {
    rule: "R-3",
    bug: "a group's place on a server moves back",
    patches: script("group_commit", "if tonumber(ARGV[5]) < slot.off then return 'backward' end", ""),
    check: named(contract, "a commit never moves backward"),
  },
  {
    rule: "R-11",
    bug: "a server's log is trimmed from under a group",
    patches: script("raise_floor", "if slot.off < tonumber(ARGV[3]) then return 'held' end", ""),
    check: named(`${tests}/redis_trim.test.js`, "R-11 a group that is set back at whatever moment"),
  },
  {
    rule: "EB-4, BUS-6",
    bug: "who is too late ends a message that somebody else has by now",
    patches: script("message_settle", "if not out or out.token ~= tonumber(ARGV[a + 1]) then", "if not out then"),
    check: named(messages, "EB-4 BUS-6 what a dead member had"),
  },
  {
    rule: "EB-4, BUS-6",
    bug: "a delivery whose member died does not count",
    patches: script("message_take", "if not out.burial then out.deliveries = out.deliveries + 1 end", ""),
    check: named(messages, "EB-4 BUS-6 what a dead member had"),
  },
  {
    rule: "EB-6, R-11",
    bug: "on a server the least urgent starve",
    patches: script("messages", "if turn % 64 == 0 then return 1 end", ""),
    check: named(messages, "EB-6 R-11 nobody starves"),
  },
  {
    rule: "R-27",
    bug: "on a server a message that is published twice is there twice",
    patches: script("messages", "if known[at] == 1 or added[id] then", "if false then"),
    check: named(messages, "R-27 a message that is published twice"),
  },
  {
    rule: "BUS-6",
    bug: "an entry that somebody has added to one priority's log leaves the others half written",
    patches: script("messages", "redis.pcall('XADD', logs[priority]", "redis.call('XADD', logs[priority]"),
    check: named(messages, "behind a message that somebody has added"),
  },
  {
    rule: "EB-7, BUS-5",
    bug: "a stream on a server takes what nobody has room for",
    patches: script("messages", "elseif left <= 0 or bytes_left <= 0 then", "elseif bytes_left <= 0 then"),
    check: named(messages, "EB-7 R-26 a group that is away stalls"),
  },
];

const publishers = `${tests}/publishing.test.js`;

/** What is sent together, and what travels as a run of neighbours. */
const together: readonly Mutant[] = [
  {
    rule: "EB-1, R-2",
    bug: "a frame that comes twice in one call accuses its producer",
    patches: script("append", "producer.off_of[name] or", ""),
    check: histories,
  },
  {
    rule: "EB-1, R-13",
    bug: "of the producers of one call the first one's revocation is everybody's",
    patches: script("append", "revoked[place - 3] == 1", "revoked[1] == 1"),
    check: histories,
  },
  {
    rule: "EB-4, BUS-6",
    bug: "a delivery that is ended twice in one call has ended twice",
    patches: script("message_settle", "    standing[at] = nil\n", ""),
    check: named(messages, "EB-4 a delivery that is ended twice"),
  },
  {
    rule: "EB-6, R-11",
    bug: "neighbours of two priorities are handed out as one run",
    patches: script("message_take", "#last == 3 and last.priority == priority", "#last == 3"),
    check: messageHistories,
  },
  {
    rule: "R-11",
    bug: "a message ends whose dead letter found no place",
    patches: script("message_bury", " or string.find(said[1], '^occupied')", ""),
    check: named(messages, "R-11 a dead letter for which there is no place"),
  },
  {
    rule: "BUS-6",
    bug: "a server is asked for scripts that it was never told",
    patches: code("link", "this.#told.has(script) && !inFull", "!inFull"),
    check: named(`${tests}/redis_only.test.js`, "a server is told each script before it is asked for it"),
  },
  {
    rule: "EB-6",
    bug: "who was turned away is taken after what came behind him",
    patches: code("publishing", "one.nth < lane.taken", "false"),
    check: named(publishers, "EB-6 who was turned away is never taken after"),
  },
  {
    rule: "EB-6",
    bug: "what comes later overtakes what a full stream has turned away",
    patches: code("publishing", "lane.turnedAway.length === 0 && ", ""),
    check: named(publishers, "EB-6 what a full stream turned away"),
  },
  {
    rule: "BUS-5",
    bug: "a stream has more calls under way than two",
    patches: code("publishing", "const callsMax = 2", "const callsMax = 3"),
    check: named(publishers, "what is asked for in one turn leaves in two calls"),
  },
  {
    rule: "BUS-5",
    bug: "a call to publish has as many bytes as there are",
    patches: code("publishing", " || bytes > bytesMax", ""),
    check: named(publishers, "a call has at most 128 messages and two MiB"),
  },
];

export const redisMutants: readonly Mutant[] = [...appending, ...reading, ...holding, ...together];
