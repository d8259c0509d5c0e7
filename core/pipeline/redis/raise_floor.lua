-- Before entries of a partition are removed: from now on no group begins below, so none can miss what goes.
-- KEYS  1 floors · 2 set of groups · 3 … the groups
-- ARGV  1 part · 2 off · 3 received_us · 4 hash in hexadecimal
-- Gives 'raised', 'again' where another set of groups exists than the caller has named, or 'held' where a group has not come so far.
if redis.call('SCARD', KEYS[2]) ~= #KEYS - 2 then return 'again' end
for k = 3, #KEYS do
  local slot = slot_of(KEYS[k], ARGV[1])
  if not slot then return 'again' end
  if slot.off < tonumber(ARGV[2]) then return 'held' end
end
if floor_slot(KEYS[1], ARGV[1]).off < tonumber(ARGV[2]) then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
end
return 'raised'
