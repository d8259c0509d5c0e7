-- Hands out what is due, as nextStep of the machine says.
-- KEYS  1 ends · 2 groups · 3 the group · 4 what is out · 5 … 8 due, of priorities 1 to 4 · 9 … 12 logs
-- ARGV  1 group's name · 2 member · 3 most deliveries · 4 lease in microseconds · 5 '1' if the caller can read the archive
-- Gives {microseconds until something is due or '', {{priority, from_off, to_off} …} of what is missing, what is handed out, the archive's id of this log or '',
--        the token of what is handed out for the first time or ''}; or {'archived'}, with nothing handed out, where the caller cannot go on without the archive.
-- Handed out are, in their order, {priority, off, JSON, token, deliveries, '1' if it is to be buried, failures} for what has been out before, and
--        {priority, from_off, {JSON …}} for others that follow one another. JSON is '' where it is to be had from the archive.
local ends, group, out_key = KEYS[1], KEYS[3], KEYS[4]
local due_keys = { KEYS[5], KEYS[6], KEYS[7], KEYS[8] }
-- A full server allows this write, and after it the others: whoever consumes makes room.
redis.call('HDEL', group, 'quarantined')
begin(KEYS[2], group, ends, ARGV[1], 'low')
local now = clock_us()
local member, most, lease_us = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local place = fields(group, { 'place1', 'place2', 'place3', 'place4', 'turn', 'token', 'batchdue' })
local turn, token, batch_due = place[5], place[6], place[7]
local low = fields(ends, { 'low1', 'low2', 'low3', 'low4' })
local tail = fields(ends, { 'tail1', 'tail2', 'tail3', 'tail4' })
local archived = fields(ends, { 'archived1', 'archived2', 'archived3', 'archived4' })
local missing, missed, deliveries, handed_out, in_archive = {}, 0, {}, 0, false
local due_text = text(now + lease_us)
-- What is handed out for the first time: its token, and by priority where it begins and how many they are, without a gap.
local fresh_token, fresh_from, fresh = nil, {}, { 0, 0, 0, 0 }

-- Whoever finds a batch due looks at all of them: what is due goes on by itself.
local function look_at_batches()
  local batches = all_batches(group)
  batch_due = 0
  for batch_token, batch in pairs(batches) do
    if batch.due <= now then
      local encoded, due = encode_out(alone(batch, batch_token)), text(batch.due)
      each_open(batch, function(priority, off, at)
        put_out(priority, text(off), encoded, due)
        close_at(batch, at)
      end)
    elseif batch_due == 0 or batch.due < batch_due then
      batch_due = batch.due
    end
  end
  write_batches(group, batches)
  write_outs(out_key, due_keys)
end
if batch_due > 0 and batch_due <= now then look_at_batches() end

local function note_missing(priority, from_off, to_off)
  missing[#missing + 1] = { text(priority), text(from_off), text(to_off) }
  missed = missed + to_off - from_off + 1
end

-- What has been out before and is due, in pages; what is written is written at the end, so that pages follow one another.
local page_max = 64
local again = {}
for priority = 1, 4 do again[priority] = { offs = {}, outs = {}, at = 1, read = 0, more = true } end

-- The first that is due of this priority: its offset and what is out. Nil if nothing is.
local function due_again(priority)
  local page = again[priority]
  if page.at > #page.offs and page.more then
    page.offs = redis.call('ZRANGEBYSCORE', due_keys[priority], '-inf', text(now), 'LIMIT', page.read, page_max)
    page.at, page.read, page.more = 1, page.read + #page.offs, #page.offs == page_max
    local places = {}
    for at, off in ipairs(page.offs) do
      page.offs[at] = text(tonumber(off))
      places[at] = priority .. ':' .. page.offs[at]
    end
    page.outs = #places > 0 and outs(out_key, places) or {}
  end
  local off, out = page.offs[page.at], page.outs[page.at]
  page.at = page.at + 1
  return off, out
end

-- JSON of entries, read some at a time where they are new.
local ahead_max = 16
local json_of = { {}, {}, {}, {} }

local function entry_json(priority, off, count)
  local known = json_of[priority]
  if not known[off] then
    for _, entry in ipairs(redis.call('XRANGE', KEYS[8 + priority], off .. '-0', text(tonumber(off) + count - 1) .. '-0')) do
      known[string.match(entry[1], '^%d+')] = entry[2][6]
    end
  end
  return known[off]
end

-- Hands out for the first time what stands at this priority's place.
local function hand_out_fresh(priority, off, json)
  fresh_token = fresh_token or text(token)
  if fresh[priority] == 0 then fresh_from[priority] = place[priority] end
  fresh[priority] = fresh[priority] + 1
  local last = deliveries[#deliveries]
  if last and #last == 3 and last.priority == priority then
    last[3][#last[3] + 1] = json
  else
    deliveries[#deliveries + 1] = { tostring(priority), off, { json }, priority = priority }
  end
end

-- What comes after a gap waits for the next take.
local is_over = false

-- What was to be the next entry of a priority is gone, and perhaps others after it.
local function skip_gap(priority)
  local off = place[priority]
  if fresh[priority] > 0 then
    place[priority], is_over = off - 1, true
    return
  end
  local following = redis.call('XRANGE', KEYS[8 + priority], text(off) .. '-0', '+', 'COUNT', 1)[1]
  place[priority] = following and math.min(offset(following) - 1, tail[priority]) or tail[priority]
  note_missing(priority, off, place[priority])
end

-- Hands out one message of this priority. Nil if there is none; true if only something missing was noted.
local function step(priority)
  local off, out = due_again(priority)
  local ahead = 1
  if off then
    if out.member ~= '' and not out.burial then out.failures = out.failures .. failure(out.due, out.member, silence) end
    out.burial = out.deliveries >= deliveries_max
    if not out.burial then out.deliveries = out.deliveries + 1 end
  else
    if place[priority] < low[priority] then
      note_missing(priority, place[priority] + 1, low[priority])
      place[priority] = low[priority]
      return true
    end
    if place[priority] >= tail[priority] then return nil end
    place[priority] = place[priority] + 1
    off, ahead = text(place[priority]), math.min(ahead_max, most - handed_out)
  end
  local json = entry_json(priority, off, ahead)
  if not json and tonumber(off) > low[priority] and tonumber(off) <= archived[priority] then json, in_archive = '', true end
  if not json and not out then
    skip_gap(priority)
    return true
  end
  turn = (turn + 1) % 64
  if not json then
    drop_out(priority, off)
    note_missing(priority, tonumber(off), tonumber(off))
    return true
  end
  if out or not fresh_token then token = token_after(token, now) end
  handed_out = handed_out + 1
  if out then
    out.token, out.member, out.due = token, member, now + lease_us
    put_out(priority, off, encode_out(out), due_text)
    deliveries[#deliveries + 1] = { tostring(priority), off, json, text(token), tostring(out.deliveries), out.burial and '1' or '0', out.failures }
  else
    hand_out_fresh(priority, off, json)
  end
  return true
end

while handed_out < most and not is_over do
  local owner = owner_of(turn)
  local stepped = step(owner)
  for priority = 4, 1, -1 do
    if not stepped and priority ~= owner then stepped = step(priority) end
  end
  if not stepped then break end
end

if in_archive and ARGV[5] ~= '1' then return { 'archived' } end
-- And so does whoever finds nothing, and is about to wait for the next that is due.
if handed_out == 0 and batch_due > 0 then look_at_batches() end
if fresh_token then
  local segments, count = {}, 0
  for priority = 1, 4 do
    if fresh[priority] > 0 then segments[#segments + 1] = priority .. ':' .. text(fresh_from[priority]) .. ':' .. fresh[priority] end
    count = count + fresh[priority]
  end
  redis.call('HSET', group, 'batch:' .. fresh_token, due_text .. ' ' .. table.concat(segments, ',') .. ' ' .. string.rep('1', count) .. ' ' .. member)
  batch_due = batch_due == 0 and now + lease_us or math.min(batch_due, now + lease_us)
end
write_outs(out_key, due_keys)
if missed > 0 then redis.call('HINCRBY', group, 'missing', text(missed)) end
redis.call('HSET', group, 'place1', text(place[1]), 'place2', text(place[2]), 'place3', text(place[3]), 'place4', text(place[4]), 'turn', text(turn),
  'token', text(token), 'seen', text(now), 'batchdue', text(batch_due))

local next_due = batch_due > 0 and text(math.max(0, batch_due - now)) or ''
for priority = 1, 4 do
  local first = redis.call('ZRANGE', due_keys[priority], 0, 0, 'WITHSCORES')
  if first[2] then
    local left = math.max(0, tonumber(first[2]) - now)
    if next_due == '' or left < tonumber(next_due) then next_due = text(left) end
  end
end
return { next_due, missing, deliveries, in_archive and redis.call('HGET', ends, 'log') or '', fresh_token or '' }
