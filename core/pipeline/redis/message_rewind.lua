-- Sets a group's places to the first entries published at or after a time; what is out is forgotten and its tokens are void.
-- KEYS  1 ends · 2 groups · 3 the group · 4 what is out · 5 … 8 due, of priorities 1 to 4 · 9 … 12 logs
-- ARGV  1 group's name · 2 time in microseconds · then two for each priority: the place before the first archived entry of that time or later, '' if there is
--       none; the last archived entry that was looked at, 0 without an archive
-- Gives 'rewound', or 'again' where entries that nobody looked at have gone to the archive meanwhile.
begin(KEYS[2], KEYS[3], KEYS[1], ARGV[1], 'low')
for priority = 1, 4 do
  local low, high = field(KEYS[1], 'low' .. priority), field(KEYS[1], 'tail' .. priority)
  local archived, seen = ARGV[1 + 2 * priority], tonumber(ARGV[2 + 2 * priority])
  if archived ~= '' then
    low = math.max(low, tonumber(archived))
    high = low
  else
    low = math.max(low, seen)
    local first = redis.call('XRANGE', KEYS[8 + priority], '-', '+', 'COUNT', 1)[1]
    local hot_low = first and tonumber(string.match(first[1], '^%d+')) - 1 or high
    if hot_low > low and field(KEYS[1], 'archived' .. priority) > seen then return 'again' end
  end
  -- The last offset whose entry lies before the time; times never fall.
  while low < high do
    local middle = math.floor((low + high + 1) / 2)
    local entry = redis.call('XRANGE', KEYS[8 + priority], '-', text(middle) .. '-0', 'COUNT', 1)[1]
    local found = redis.call('XREVRANGE', KEYS[8 + priority], text(middle) .. '-0', '-', 'COUNT', 1)[1]
    if entry and found and tonumber(found[2][2]) >= tonumber(ARGV[2]) then high = middle - 1 else low = middle end
  end
  redis.call('HSET', KEYS[3], 'place' .. priority, text(low))
  redis.call('ZREMRANGEBYRANK', KEYS[4 + priority], 0, -1)
end
for _, batch in pairs(all_batches(KEYS[3])) do redis.call('HDEL', KEYS[3], batch.name) end
-- Field by field: nobody on the servers needs the right to DEL.
for _, place in ipairs(redis.call('HKEYS', KEYS[4])) do redis.call('HDEL', KEYS[4], place) end
redis.call('HSET', KEYS[3], 'token', text(token_after(field(KEYS[3], 'token'), clock_us())), 'batchdue', '0')
return 'rewound'
