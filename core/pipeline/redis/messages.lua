-- Prelude of the scripts of message streams. Mirrors messages/delivery_machine.ts.
-- A stream has one hash `ends` (tail1 … tail4, low1 … low4; archived1 … archived4 and log where it has an archive), one set of message ids, and for each priority a
--   log of entries `N-0` with fields t published time, i message id, j the message as JSON, b bytes of JSON that this priority has carried up to this entry.
--   Ids and logs are its hot part: entries up to archivedN may have gone from there and are in the archive; those up to lowN are the stream's no more.
-- Bytes are told in the same way, in `ends`: bytesN at the tail, hotbytesN where the hot part begins, lowbytesN at the entry lowatN. That is lowN, or one before it
--   until the keeper, who can ask the archive, has said how many bytes lie between: till then a stream counts as larger than it is. Entries from before
--   there was a field b count as no bytes.
-- A group has one hash (turn, token, place1 … place4, missing, seen, quarantined, batchdue, and its batches), one hash of what is out by itself, by
--   "<priority>:<off>", and for each priority a sorted set of the same by when it is due (offsets in sixteen digits, so that equal times go by offset).
-- What is out by itself is "deliveries token due_us burial member_bytes " and then member and failures; a failure is "at_us member_bytes reason_bytes " and then both.
-- What was handed out for the first time in one take is a batch, field "batch:<token>" of its group: "due_us segments open member". Segments are
--   "priority:from:count" with commas between them; open has for each of their entries '1' while it is out, else '0'. What ends in any other way than done, and what
--   is due again, is out by itself from then on. No batch is due before `batchdue`, which is 0 where there is none.
local deliveries_max = 4
local silence = 'no answer within the lease'

-- Of an offset as text.
local function padded(off) return string.sub('0000000000000000', #off + 1) .. off end

local function field(key, name) return tonumber(redis.call('HGET', key, name) or '0') end

local function decode_out(raw)
  local _, last, deliveries, token, due, burial, bytes = string.find(raw, '^(%d+) (%d+) (%d+) (%d) (%d+) ')
  local member = string.sub(raw, last + 1, last + tonumber(bytes))
  return { deliveries = tonumber(deliveries), token = tonumber(token), due = tonumber(due), burial = burial == '1', member = member,
    failures = string.sub(raw, last + tonumber(bytes) + 1) }
end

local function encode_out(out)
  return out.deliveries .. ' ' .. text(out.token) .. ' ' .. text(out.due) .. ' ' .. (out.burial and '1' or '0') .. ' ' .. #out.member .. ' ' ..
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

-- Some fields as numbers, 0 where there is none.
local function fields(key, names)
  local values = redis.call('HMGET', key, unpack(names))
  for at = 1, #names do values[at] = tonumber(values[at] or '0') end
  return values
end

-- Entries in the hot part, all priorities together.
local function hot_entries(logs)
  local sum = 0
  for priority = 1, 4 do sum = sum + redis.call('XLEN', logs[priority]) end
  return sum
end

local function offset(entry) return tonumber(string.match(entry[1], '^%d+')) end

-- Bytes that the priority has carried up to an entry, itself included.
local function position(entry) return tonumber(entry[2][8] or '0') end

local ends_bytes = { 'bytes1', 'bytes2', 'bytes3', 'bytes4', 'hotbytes1', 'hotbytes2', 'hotbytes3', 'hotbytes4', 'lowbytes1', 'lowbytes2', 'lowbytes3', 'lowbytes4' }

-- Entries and bytes that the caller names.
local function bounds_at(a) return { entries = tonumber(ARGV[a]), bytes = tonumber(ARGV[a + 1]) } end

-- Adds messages {priority, id, JSON} to a stream, each unless its hot part has it; logs are by priority; bounds are {entries, bytes} of the hot part and of the
-- stream. Gives for each the offset, 'duplicate', 'full', or 'occupied ' and the last entry's offset where the priority's log cannot be written: somebody else has
-- written there. Gives nothing but the server's error where that refused the first write.
local function add(ends, ids, logs, hot_max, whole_max, messages)
  local named = {}
  for at, message in ipairs(messages) do named[at] = message[2] end
  local known, added, answer = redis.call('SMISMEMBER', ids, unpack(named)), {}, {}
  local state = fields(ends, { 'tail1', 'tail2', 'tail3', 'tail4', 'time1', 'time2', 'time3', 'time4', 'low1', 'low2', 'low3', 'low4' })
  local weight = fields(ends, ends_bytes)
  local now, left, bytes_left, hot_bytes_left = clock_us(), whole_max.entries, whole_max.bytes, hot_max.bytes
  for priority = 1, 4 do
    left = left - state[priority] + state[8 + priority]
    bytes_left = bytes_left - weight[priority] + weight[8 + priority]
    hot_bytes_left = hot_bytes_left - weight[priority] + weight[4 + priority]
  end
  left = math.min(left, hot_max.entries - hot_entries(logs))
  bytes_left = math.min(bytes_left, hot_bytes_left)
  local is_blocked = {}
  for at, message in ipairs(messages) do
    local priority, id = tonumber(message[1]), message[2]
    if known[at] == 1 or added[id] then
      answer[at] = 'duplicate'
    elseif left <= 0 or bytes_left <= 0 then
      answer[at] = 'full'
    elseif is_blocked[priority] then
      answer[at] = is_blocked[priority]
    else
      local off, time, weighs = text(state[priority] + 1), math.max(now, state[4 + priority]), weight[priority] + #message[3]
      local reply = redis.pcall('XADD', logs[priority], off .. '-0', 't', text(time), 'i', id, 'j', message[3], 'b', text(weighs))
      if type(reply) == 'table' and reply.err then
        -- Nothing has been written yet: a server that is full, for one, refuses the call. After that the others are written all the same.
        if #added == 0 and not is_occupied(reply) then return nil, reply end
        is_blocked[priority] = 'occupied ' .. text(state[priority])
        answer[at] = is_blocked[priority]
      else
        state[priority], state[4 + priority], weight[priority] = state[priority] + 1, time, weighs
        answer[at] = off
        added[id], left, bytes_left = true, left - 1, bytes_left - #message[3]
        added[#added + 1] = id
      end
    end
  end
  if #added == 0 then return answer end
  redis.call('SADD', ids, unpack(added))
  local changed = {}
  for priority = 1, 4 do
    for _, pair in ipairs({ { 'tail', state[priority] }, { 'time', state[4 + priority] }, { 'bytes', weight[priority] } }) do
      changed[#changed + 1] = pair[1] .. priority
      changed[#changed + 1] = text(pair[2])
    end
  end
  redis.call('HSET', ends, unpack(changed))
  return answer
end

-- Begins a group, once.
local function begin(groups, group, ends, name, from)
  if redis.call('SADD', groups, name) == 0 then return end
  for priority = 1, 4 do redis.call('HSET', group, 'place' .. priority, redis.call('HGET', ends, from .. priority) or '0') end
  redis.call('HSET', group, 'turn', '0', 'token', '0', 'missing', '0', 'seen', text(clock_us()), 'quarantined', '0')
end

-- The token after this one. It grows with the clock as well, so that a promoted replica without the last of them gives none out twice.
local function token_after(token, now) return math.max(token + 1, now) end

-- What is out at places "<priority>:<off>", each nil where nothing is.
local function outs(out_key, places)
  local found = redis.call('HMGET', out_key, unpack(places))
  for at = 1, #places do found[at] = found[at] and decode_out(found[at]) or nil end
  return found
end

-- A batch as it is kept. Open entries are 49 ('1') in `open`, `left` counts them.
local function decode_batch(name, raw)
  local due, segments, open, member = string.match(raw, '^(%d+) (%S+) ([01]+) (.*)$')
  local batch = { name = name, due = tonumber(due), segments = segments, member = member, open = { string.byte(open, 1, -1) }, left = 0, base = {}, from = {}, count = {} }
  local base = 0
  for priority, from, count in string.gmatch(segments, '(%d):(%d+):(%d+)') do
    priority = tonumber(priority)
    batch.base[priority], batch.from[priority], batch.count[priority] = base, tonumber(from), tonumber(count)
    base = base + batch.count[priority]
  end
  for _, flag in ipairs(batch.open) do
    if flag == 49 then batch.left = batch.left + 1 end
  end
  return batch
end

local function encode_batch(batch)
  return text(batch.due) .. ' ' .. batch.segments .. ' ' .. string.char(unpack(batch.open)) .. ' ' .. batch.member
end

-- Where in a batch an entry is open; nil if it is not.
local function open_at(batch, priority, off)
  local from = batch.from[priority]
  if not from or off < from or off >= from + batch.count[priority] then return nil end
  local at = batch.base[priority] + off - from + 1
  return batch.open[at] == 49 and at or nil
end

local function close_at(batch, at)
  batch.open[at], batch.left, batch.changed = 48, batch.left - 1, true
end

-- Calls with each entry of a batch that is open, as numbers and with its place in the batch.
local function each_open(batch, call)
  for priority = 1, 4 do
    for nth = 1, batch.count[priority] or 0 do
      local at = batch.base[priority] + nth
      if batch.open[at] == 49 then call(priority, batch.from[priority] + nth - 1, at) end
    end
  end
end

-- An entry of a batch as it would be out by itself.
local function alone(batch, token)
  return { deliveries = 1, token = tonumber(token), due = batch.due, burial = false, member = batch.member, failures = '' }
end

-- Batches of a group by their token as text, of those tokens that name one; a token may be named again.
local function batches_of(group, tokens)
  local names, batches, seen = {}, {}, {}
  for _, token in ipairs(tokens) do
    if not seen[token] then names[#names + 1] = 'batch:' .. token end
    seen[token] = true
  end
  local found = redis.call('HMGET', group, unpack(names))
  for at, name in ipairs(names) do
    if found[at] then batches[string.sub(name, 7)] = decode_batch(name, found[at]) end
  end
  return batches
end

-- All batches of a group.
local function all_batches(group)
  local tokens = {}
  for _, name in ipairs(redis.call('HKEYS', group)) do
    local token = string.match(name, '^batch:(%d+)$')
    if token then tokens[#tokens + 1] = token end
  end
  return #tokens > 0 and batches_of(group, tokens) or {}
end

-- Changes of what is out, written together; a place is changed once until then.
local put, gone, due_at, over

local function forget_changes()
  put, gone, due_at, over = {}, {}, { {}, {}, {}, {} }, { {}, {}, {}, {} }
end
forget_changes()

-- Keeps what is out at a place as encode_out gives it, and when it is due as text.
local function put_out(priority, off, encoded, due)
  put[#put + 1] = priority .. ':' .. off
  put[#put + 1] = encoded
  local own = due_at[tonumber(priority)]
  own[#own + 1] = due
  own[#own + 1] = padded(off)
end

local function drop_out(priority, off)
  gone[#gone + 1] = priority .. ':' .. off
  local own = over[tonumber(priority)]
  own[#own + 1] = padded(off)
end

-- A call with as many arguments as Lua's stack holds at once.
local function call_with(command, key, arguments)
  for from = 1, #arguments, 4000 do redis.call(command, key, unpack(arguments, from, math.min(from + 3999, #arguments))) end
end

-- Writes the batches that have changed. A full server allows what removes something, and after it the rest: whoever ends what he has taken makes room.
local function write_batches(group, batches)
  local kept, over_with = {}, { 'batch:none' }
  for _, batch in pairs(batches) do
    if batch.changed and batch.left == 0 then
      over_with[#over_with + 1] = batch.name
    elseif batch.changed then
      kept[#kept + 1] = batch.name
      kept[#kept + 1] = encode_batch(batch)
    end
  end
  call_with('HDEL', group, over_with)
  call_with('HSET', group, kept)
end

-- Writes the changes. The keys of what is due are by priority.
local function write_outs(out_key, due_keys)
  call_with('HSET', out_key, put)
  call_with('HDEL', out_key, gone)
  for priority = 1, 4 do
    call_with('ZADD', due_keys[priority], due_at[priority])
    call_with('ZREM', due_keys[priority], over[priority])
  end
  forget_changes()
end
