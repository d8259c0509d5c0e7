-- Removes the oldest of what every living group has settled, the least urgent first, as far as the stream is beyond its bounds; then takes out of the hot part
-- what the archive has, as far as that is beyond its own. A stream with an archive loses nothing that is not there.
-- KEYS  1 ends · 2 ids · 3 groups · 4 … 7 logs of priorities 1 to 4 · then two for each group: the group, what is out
-- ARGV  1 most entries and 2 bytes that are left · 3 and 4 that are left in the hot part · 5 kept in milliseconds · 6 dead after milliseconds · 7 most to take out
--       of the hot part · then what only the archive knows, five for each priority: the offset up to which its entries have been kept for long enough · an offset,
--       and the bytes carried up to there, for where that is the low end · and the same of the first entry without which the stream were within its bytes
-- Gives {removed from the stream, taken out of the hot part}, or {'again'} where another set of groups exists than the caller has named.
if redis.call('SCARD', KEYS[3]) ~= (#KEYS - 7) / 2 then return { 'again' } end
local ends, now, logs = KEYS[1], clock_us(), { KEYS[4], KEYS[5], KEYS[6], KEYS[7] }
-- A full server allows this write, and after it the others.
redis.call('XTRIM', logs[1], 'MINID', '0-0')
local left, hot_left, most = bounds_at(1), bounds_at(3), tonumber(ARGV[7])
local keep_us, dead_us = tonumber(ARGV[5]) * 1000, tonumber(ARGV[6]) * 1000
local tail = fields(ends, { 'tail1', 'tail2', 'tail3', 'tail4' })
local low = fields(ends, { 'low1', 'low2', 'low3', 'low4' })
local has_archive = redis.call('HEXISTS', ends, 'log') == 1
local archived = has_archive and fields(ends, { 'archived1', 'archived2', 'archived3', 'archived4' }) or tail
local weight = fields(ends, ends_bytes)
local carried, hot_weight, low_weight = {}, {}, {}
local entries, bytes, hot_bytes, removed, out = 0, 0, 0, 0, 0
-- Up to where nobody living, nor the archive, has yet to read, by priority.
local settled_up_to = {}
-- Fields of ends that change.
local changes = {}

local function change(name, priority, value)
  changes[#changes + 1] = name .. priority
  changes[#changes + 1] = text(value)
end

-- What the archive knows of a priority.
local function known(priority, which) return tonumber(ARGV[2 + 5 * priority + which]) end

-- So many bytes the log has carried up to its low end. A log that somebody trimmed by hand may begin later than was noted.
local function move_low_weight(priority, to)
  to = math.max(to, low_weight[priority])
  bytes = bytes - (to - low_weight[priority])
  low_weight[priority] = to
end

local function note_low_weight(priority)
  change('lowbytes', priority, low_weight[priority])
  change('lowat', priority, low[priority])
end

for priority = 1, 4 do
  carried[priority], hot_weight[priority], low_weight[priority] = weight[priority], weight[4 + priority], weight[8 + priority]
  entries = entries + tail[priority] - low[priority]
  bytes = bytes + carried[priority] - low_weight[priority]
  hot_bytes = hot_bytes + carried[priority] - hot_weight[priority]
  settled_up_to[priority] = math.min(tail[priority], archived[priority])
  if known(priority, 2) == low[priority] then
    move_low_weight(priority, known(priority, 3))
    note_low_weight(priority)
  end
end
-- Bytes of the stream when the caller asked the archive.
local bytes_asked = bytes
-- False from when something has gone of which only the archive knows how much it was.
local bytes_known = true

local function are_too_many() return entries > left.entries end

local function are_too_large() return bytes_known and bytes > left.bytes end

local function is_too_old(entry) return now - tonumber(entry[2][2]) > keep_us end

-- A group that lives has not settled what lies behind its places, nor what is out.
local function hold_back(group, out_key)
  local place = fields(group, { 'place1', 'place2', 'place3', 'place4' })
  for priority = 1, 4 do settled_up_to[priority] = math.min(settled_up_to[priority], place[priority]) end
  for _, at in ipairs(redis.call('HKEYS', out_key)) do
    local priority, off = string.match(at, '^(%d):(%d+)$')
    priority = tonumber(priority)
    settled_up_to[priority] = math.min(settled_up_to[priority], tonumber(off) - 1)
  end
  for _, batch in pairs(all_batches(group)) do
    each_open(batch, function(priority, off) settled_up_to[priority] = math.min(settled_up_to[priority], off - 1) end)
  end
end

for k = 8, #KEYS, 2 do
  if now - field(KEYS[k], 'seen') > dead_us then
    redis.call('HDEL', KEYS[k], 'quarantined')
    redis.call('HSET', KEYS[k], 'quarantined', '1')
  elseif redis.call('HGET', KEYS[k], 'quarantined') ~= '1' then
    hold_back(KEYS[k], KEYS[k + 1])
  end
end

local function oldest(priority, up_to, count) return redis.call('XRANGE', logs[priority], '-', text(up_to) .. '-0', 'COUNT', count) end

-- Takes the oldest entries of a priority out of the hot part.
local function take_out(priority, going)
  if #going == 0 then return end
  local ids = {}
  for at, entry in ipairs(going) do ids[at] = entry[2][4] end
  redis.call('XTRIM', logs[priority], 'MINID', text(offset(going[#going]) + 1) .. '-0')
  call_with('SREM', KEYS[2], ids)
  out = out + #going
  local begins = math.max(hot_weight[priority], position(going[#going]))
  hot_bytes = hot_bytes - (begins - hot_weight[priority])
  hot_weight[priority] = begins
  change('hotbytes', priority, begins)
end

for priority = 1, 4 do
  local settled, up_to = settled_up_to[priority], low[priority]
  -- One is looked at first: mostly nothing goes, and all of them at once are megabytes.
  local first = oldest(priority, tail[priority], 1)[1]
  local cold = first and offset(first) - 1 or tail[priority]
  local is_weighed = true
  if cold > up_to then
    -- Of what is not in the hot part, how old and how large it is only the archive knows; and how large only until something else has gone.
    local beyond = math.max(up_to + math.max(0, entries - left.entries), known(priority, 1))
    if are_too_large() and bytes == bytes_asked then
      beyond = math.max(beyond, known(priority, 4))
    elseif are_too_large() then
      -- Not the more urgent in its place: the next step asks again.
      bytes_known = false
    end
    up_to = math.max(up_to, math.min(settled, cold, beyond))
    entries = entries - (up_to - low[priority])
    if up_to == cold then
      move_low_weight(priority, hot_weight[priority])
    elseif up_to > low[priority] and up_to == known(priority, 4) then
      move_low_weight(priority, known(priority, 5))
    elseif up_to > low[priority] then
      is_weighed, bytes_known = false, false
    end
  end
  if first and up_to >= cold and (are_too_many() or are_too_large() or is_too_old(first)) and most > out then
    local going = {}
    for _, entry in ipairs(oldest(priority, settled, most - out)) do
      if not (are_too_many() or are_too_large() or is_too_old(entry)) then break end
      entries = entries - (offset(entry) - up_to)
      up_to = offset(entry)
      move_low_weight(priority, position(entry))
      going[#going + 1] = entry
    end
    take_out(priority, going)
  end
  if up_to > low[priority] then
    removed = removed + up_to - low[priority]
    low[priority] = up_to
    change('low', priority, up_to)
    if is_weighed then note_low_weight(priority) end
  end
end

-- Out of the hot part goes what was published first, whatever its priority: what was published last can still be told from a repetition.
local page_max = 64
local pages = { {}, {}, {}, {} }

-- The oldest entry of a priority that is archived and not taken yet; nil if there is none. They are read in pages.
local function next_of(priority)
  local page = pages[priority]
  if not page.entries or (page.at > #page.entries and #page.entries == page_max) then
    local from = page.entries and '(' .. page.entries[page_max][1] or '-'
    page.entries, page.at = redis.call('XRANGE', logs[priority], from, text(archived[priority]) .. '-0', 'COUNT', page_max), 1
  end
  return page.entries[page.at]
end

local going = { {}, {}, {}, {} }
local may_go = has_archive and most - out or 0
local too_many, too_large = hot_entries(logs) - hot_left.entries, hot_bytes - hot_left.bytes
local gone_weight = { hot_weight[1], hot_weight[2], hot_weight[3], hot_weight[4] }
while may_go > 0 and (too_many > 0 or too_large > 0) do
  local eldest, time = nil, math.huge
  for priority = 1, 4 do
    local entry = next_of(priority)
    if entry and tonumber(entry[2][2]) < time then eldest, time = priority, tonumber(entry[2][2]) end
  end
  if not eldest then break end
  local entry = next_of(eldest)
  local begins = math.max(gone_weight[eldest], position(entry))
  too_many, too_large, may_go = too_many - 1, too_large - (begins - gone_weight[eldest]), may_go - 1
  gone_weight[eldest] = begins
  going[eldest][#going[eldest] + 1] = entry
  pages[eldest].at = pages[eldest].at + 1
end
for priority = 1, 4 do take_out(priority, going[priority]) end
if #changes > 0 then redis.call('HSET', ends, unpack(changes)) end
return { text(removed), text(out) }
