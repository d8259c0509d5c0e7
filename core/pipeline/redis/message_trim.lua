-- Removes the oldest of what every living group has settled, the least urgent first, as far as the stream is beyond its bounds; then takes out of the hot part
-- what the archive has, as far as that is beyond its own. A stream with an archive loses nothing that is not there.
-- KEYS  1 ends · 2 ids · 3 groups · 4 … 7 logs of priorities 1 to 4 · then two for each group: the group, what is out
-- ARGV  1 most entries that are left · 2 most that are left in the hot part · 3 kept in milliseconds · 4 dead after milliseconds · 5 most to take out of the hot
--       part · 6 … 9 for each priority the offset up to which the archive's entries have been kept for long enough
-- Gives {removed from the stream, taken out of the hot part}, or {'again'} where another set of groups exists than the caller has named.
if redis.call('SCARD', KEYS[3]) ~= (#KEYS - 7) / 2 then return { 'again' } end
local ends, now, logs = KEYS[1], clock_us(), { KEYS[4], KEYS[5], KEYS[6], KEYS[7] }
local entries_left, hot_left, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[5])
local keep_us, dead_us = tonumber(ARGV[3]) * 1000, tonumber(ARGV[4]) * 1000
local tail = fields(ends, { 'tail1', 'tail2', 'tail3', 'tail4' })
local low = fields(ends, { 'low1', 'low2', 'low3', 'low4' })
local has_archive = redis.call('HEXISTS', ends, 'log') == 1
local archived = has_archive and fields(ends, { 'archived1', 'archived2', 'archived3', 'archived4' }) or tail
local total, removed, out = 0, 0, 0
-- Up to where nobody living, nor the archive, has yet to read, by priority.
local settled_up_to = {}
for priority = 1, 4 do
  total = total + tail[priority] - low[priority]
  settled_up_to[priority] = math.min(tail[priority], archived[priority])
end

-- A group that lives has not settled what lies behind its places, nor what is out.
local function hold_back(group, out_key)
  local place = fields(group, { 'place1', 'place2', 'place3', 'place4' })
  for priority = 1, 4 do settled_up_to[priority] = math.min(settled_up_to[priority], place[priority]) end
  for _, at in ipairs(redis.call('HKEYS', out_key)) do
    local priority, off = string.match(at, '^(%d):(%d+)$')
    priority = tonumber(priority)
    settled_up_to[priority] = math.min(settled_up_to[priority], tonumber(off) - 1)
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

local function offset(entry) return tonumber(string.match(entry[1], '^%d+')) end

local function oldest(priority, up_to, entries) return redis.call('XRANGE', logs[priority], '-', text(up_to) .. '-0', 'COUNT', entries) end

-- Takes the oldest entries of a priority out of the hot part.
local function take_out(priority, entries)
  if #entries == 0 then return end
  local ids = {}
  for at, entry in ipairs(entries) do ids[at] = entry[2][4] end
  redis.call('XTRIM', logs[priority], 'MINID', text(offset(entries[#entries]) + 1) .. '-0')
  call_with('SREM', KEYS[2], ids)
  out = out + #entries
end

for priority = 1, 4 do
  local settled, up_to = settled_up_to[priority], low[priority]
  -- One is looked at first: mostly nothing goes, and all of them at once are megabytes.
  local first = oldest(priority, tail[priority], 1)[1]
  local cold = first and offset(first) - 1 or tail[priority]
  if cold > up_to then
    -- Of what is not in the hot part, how old it is only the archive knows.
    local beyond = math.max(up_to + math.max(0, total - entries_left), tonumber(ARGV[5 + priority]))
    up_to = math.max(up_to, math.min(settled, cold, beyond))
    total = total - (up_to - low[priority])
  end
  if first and up_to >= cold and (now - tonumber(first[2][2]) > keep_us or total > entries_left) and most > out then
    local going = {}
    for _, entry in ipairs(oldest(priority, settled, most - out)) do
      if now - tonumber(entry[2][2]) <= keep_us and total <= entries_left then break end
      total = total - (offset(entry) - up_to)
      up_to = offset(entry)
      going[#going + 1] = entry
    end
    take_out(priority, going)
  end
  if up_to > low[priority] then
    redis.call('HSET', ends, 'low' .. priority, text(up_to))
    removed = removed + up_to - low[priority]
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
local may_go = has_archive and math.min(most - out, hot_entries(logs) - hot_left) or 0
for _ = 1, may_go do
  local eldest, time = nil, math.huge
  for priority = 1, 4 do
    local entry = next_of(priority)
    if entry and tonumber(entry[2][2]) < time then eldest, time = priority, tonumber(entry[2][2]) end
  end
  if not eldest then break end
  going[eldest][#going[eldest] + 1] = next_of(eldest)
  pages[eldest].at = pages[eldest].at + 1
end
for priority = 1, 4 do take_out(priority, going[priority]) end
return { text(removed), text(out) }
