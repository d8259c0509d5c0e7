-- Prelude of the scripts of message streams. Mirrors messages/delivery_machine.ts.
-- A stream has one hash `ends` (tail1 … tail4, low1 … low4, count), one set of message ids, and for each priority a log of entries `N-0` with fields
--   t published time, i message id, j the message as JSON.
-- A group has one hash (turn, token, place1 … place4, missing, seen, quarantined), one hash of what is out, by "<priority>:<off>", and for each
--   priority a sorted set of the same by when it is due (offsets in sixteen digits, so that equal times go by offset).
-- What is out is "deliveries token due_us burial member_bytes " and then member and failures; a failure is "at_us member_bytes reason_bytes " and then both.
local deliveries_max = 4
local silence = 'no answer within the lease'

local function padded(off) return string.format('%016.0f', off) end

local function field(key, name) return tonumber(redis.call('HGET', key, name) or '0') end

local function decode_out(raw)
  local _, last, deliveries, token, due, burial, bytes = string.find(raw, '^(%d+) (%d+) (%d+) (%d) (%d+) ')
  local member = string.sub(raw, last + 1, last + tonumber(bytes))
  return { deliveries = tonumber(deliveries), token = tonumber(token), due = tonumber(due), burial = burial == '1', member = member,
    failures = string.sub(raw, last + tonumber(bytes) + 1) }
end

local function encode_out(out)
  return text(out.deliveries) .. ' ' .. text(out.token) .. ' ' .. text(out.due) .. ' ' .. (out.burial and '1' or '0') .. ' ' .. #out.member .. ' ' ..
    out.member .. out.failures
end

local function failure(at_us, member, reason) return text(at_us) .. ' ' .. #member .. ' ' .. #reason .. ' ' .. member .. reason end

-- Whose turn it is: one of 64 the lowest, four the next, eight the next, the others the most urgent.
local function owner_of(turn)
  if turn % 64 == 0 then return 1 end
  if turn % 16 == 8 then return 2 end
  if turn % 8 == 4 then return 3 end
  return 4
end

-- Adds a message to a stream, unless it is there already. Gives the offset, 'duplicate' or 'full'.
local function add(ends, ids, log, priority, entries_max, id, json)
  if redis.call('SISMEMBER', ids, id) == 1 then return 'duplicate' end
  if field(ends, 'count') >= entries_max then return 'full' end
  local off = field(ends, 'tail' .. priority) + 1
  local now = math.max(clock_us(), field(ends, 'time' .. priority))
  redis.call('XADD', log, text(off) .. '-0', 't', text(now), 'i', id, 'j', json)
  redis.call('SADD', ids, id)
  redis.call('HSET', ends, 'tail' .. priority, text(off), 'time' .. priority, text(now))
  redis.call('HINCRBY', ends, 'count', 1)
  return text(off)
end

-- Begins a group, once.
local function begin(groups, group, ends, name, from)
  if redis.call('SADD', groups, name) == 0 then return end
  for priority = 1, 4 do redis.call('HSET', group, 'place' .. priority, redis.call('HGET', ends, from .. priority) or '0') end
  redis.call('HSET', group, 'turn', '0', 'token', '0', 'missing', '0', 'seen', text(clock_us()), 'quarantined', '0')
end

-- The next token. It grows with the clock as well, so that a promoted replica without the last of them gives none out twice.
local function next_token(group)
  local token = math.max(field(group, 'token') + 1, clock_us())
  redis.call('HSET', group, 'token', text(token))
  return token
end

-- Where the delivery is the current one: what is out. Else nil.
local function current(out_key, place, token)
  local raw = redis.call('HGET', out_key, place)
  if not raw then return nil end
  local out = decode_out(raw)
  return out.token == tonumber(token) and out or nil
end

local function put_out(out_key, due_key, priority, off, out)
  redis.call('HSET', out_key, priority .. ':' .. off, encode_out(out))
  redis.call('ZADD', due_key, text(out.due), padded(tonumber(off)))
end

local function drop_out(out_key, due_key, priority, off)
  redis.call('HDEL', out_key, priority .. ':' .. off)
  redis.call('ZREM', due_key, padded(tonumber(off)))
end
