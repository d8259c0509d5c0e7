-- Hands out what is due, as nextStep of the machine says.
-- KEYS  1 ends · 2 groups · 3 the group · 4 what is out · 5 … 8 due, of priorities 1 to 4 · 9 … 12 logs
-- ARGV  1 group's name · 2 member · 3 most deliveries · 4 lease in microseconds · 5 '1' if the caller can read the archive
-- Gives {microseconds until something is due or '', {{priority, from_off, to_off} …} of what is missing,
--        {{priority, off, token, deliveries, '1' if it is to be buried, failures, JSON or '' where it is to be had from the archive} …},
--        the archive's id of this log or ''}; or {'archived'}, with nothing handed out, where the caller cannot go on without the archive.
local ends, group, out_key = KEYS[1], KEYS[3], KEYS[4]
local due_keys = { KEYS[5], KEYS[6], KEYS[7], KEYS[8] }
-- A full server allows this write, and after it the others: whoever consumes makes room.
redis.call('HDEL', group, 'quarantined')
begin(KEYS[2], group, ends, ARGV[1], 'low')
local now = clock_us()
local member, most, lease_us = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local place = fields(group, { 'place1', 'place2', 'place3', 'place4', 'turn', 'token' })
local turn, token = place[5], place[6]
local low = fields(ends, { 'low1', 'low2', 'low3', 'low4' })
local tail = fields(ends, { 'tail1', 'tail2', 'tail3', 'tail4' })
local archived = fields(ends, { 'archived1', 'archived2', 'archived3', 'archived4' })
local missing, missed, deliveries, in_archive = {}, 0, {}, false
local due_text = text(now + lease_us)
-- How what is handed out for the first time is kept, behind its token.
local first_tail = ' ' .. due_text .. ' 0 ' .. #member .. ' ' .. member

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
    off, ahead = text(place[priority]), math.min(ahead_max, most - #deliveries)
  end
  turn, token = (turn + 1) % 64, token_after(token, now)
  local token_text = text(token)
  local json = entry_json(priority, off, ahead)
  if not json and tonumber(off) > low[priority] and tonumber(off) <= archived[priority] then json, in_archive = '', true end
  if not json then
    drop_out(priority, off)
    note_missing(priority, tonumber(off), tonumber(off))
    return true
  end
  if out then
    out.token, out.member, out.due = token, member, now + lease_us
    put_out(priority, off, encode_out(out), due_text)
    deliveries[#deliveries + 1] = { tostring(priority), off, token_text, tostring(out.deliveries), out.burial and '1' or '0', out.failures, json }
  else
    put_out(priority, off, '1 ' .. token_text .. first_tail, due_text)
    deliveries[#deliveries + 1] = { tostring(priority), off, token_text, '1', '0', '', json }
  end
  return true
end

while #deliveries < most do
  local owner = owner_of(turn)
  local stepped = step(owner)
  for priority = 4, 1, -1 do
    if not stepped and priority ~= owner then stepped = step(priority) end
  end
  if not stepped then break end
end

if in_archive and ARGV[5] ~= '1' then return { 'archived' } end
write_outs(out_key, due_keys)
if missed > 0 then redis.call('HINCRBY', group, 'missing', text(missed)) end
redis.call('HSET', group, 'place1', text(place[1]), 'place2', text(place[2]), 'place3', text(place[3]), 'place4', text(place[4]), 'turn', text(turn),
  'token', text(token), 'seen', text(now))

local next_due = ''
for priority = 1, 4 do
  local first = redis.call('ZRANGE', due_keys[priority], 0, 0, 'WITHSCORES')
  if first[2] then
    local left = math.max(0, tonumber(first[2]) - now)
    if next_due == '' or left < tonumber(next_due) then next_due = text(left) end
  end
end
return { next_due, missing, deliveries, in_archive and redis.call('HGET', ends, 'log') or '' }
