-- Removes the oldest of what every living group has settled, the least urgent first, as far as the stream is beyond its bounds.
-- KEYS  1 ends · 2 ids · 3 groups · 4 … 7 logs of priorities 1 to 4 · then two for each group: the group, what is out
-- ARGV  1 most entries that are left · 2 kept in milliseconds · 3 dead after milliseconds · 4 most to remove
-- Gives {removed}, or {'again'} where another set of groups exists than the caller has named.
if redis.call('SCARD', KEYS[3]) ~= (#KEYS - 7) / 2 then return { 'again' } end
local ends, now = KEYS[1], clock_us()
local entries_left, keep_us, dead_us, most = tonumber(ARGV[1]), tonumber(ARGV[2]) * 1000, tonumber(ARGV[3]) * 1000, tonumber(ARGV[4])
local living = {}
for k = 8, #KEYS, 2 do
  if now - field(KEYS[k], 'seen') > dead_us then
    redis.call('HDEL', KEYS[k], 'quarantined')
    redis.call('HSET', KEYS[k], 'quarantined', '1')
  elseif redis.call('HGET', KEYS[k], 'quarantined') ~= '1' then
    living[#living + 1] = k
  end
end
local removed = 0
for priority = 1, 4 do
  local settled = field(ends, 'tail' .. priority)
  for _, k in ipairs(living) do
    settled = math.min(settled, field(KEYS[k], 'place' .. priority))
    for _, place in ipairs(redis.call('HKEYS', KEYS[k + 1])) do
      local of, off = string.match(place, '^(%d):(%d+)$')
      if tonumber(of) == priority then settled = math.min(settled, tonumber(off) - 1) end
    end
  end
  local low, count = field(ends, 'low' .. priority), field(ends, 'count')
  local up_to, ids, gone = low, {}, 0
  -- One is looked at first: mostly nothing goes, and all of them at once are megabytes.
  local function oldest(entries) return redis.call('XRANGE', KEYS[3 + priority], '-', text(settled) .. '-0', 'COUNT', entries) end
  local first = oldest(1)[1]
  local some_go = first and (now - tonumber(first[2][2]) > keep_us or count > entries_left)
  for _, entry in ipairs(some_go and oldest(math.max(1, most - removed)) or {}) do
    if removed + gone >= most then break end
    if now - tonumber(entry[2][2]) <= keep_us and count - gone <= entries_left then break end
    up_to = tonumber(string.match(entry[1], '^%d+'))
    ids[#ids + 1] = entry[2][4]
    gone = gone + 1
  end
  if gone > 0 then
    redis.call('XTRIM', KEYS[3 + priority], 'MINID', text(up_to + 1) .. '-0')
    for _, id in ipairs(ids) do redis.call('SREM', KEYS[2], id) end
    redis.call('HSET', ends, 'low' .. priority, text(up_to))
    redis.call('HINCRBY', ends, 'count', text(-gone))
    removed = removed + gone
  end
end
return { text(removed) }
