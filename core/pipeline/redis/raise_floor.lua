-- Before entries of a partition are removed: from now on no group begins below, so none can miss what goes.
-- KEYS  1 bus's state · 2 floors · 3 set of groups · 4 … the groups
-- ARGV  1 generation · 2 part · 3 off · 4 received_us · 5 hash in hexadecimal
-- Gives 'raised', 'again' where another set of groups exists than the caller has named, 'held' where a group has not come so far, or
--       {'generation', the true one}.
local lost = other_generation(KEYS[1], ARGV[1])
if lost then return lost end
if redis.call('SCARD', KEYS[3]) ~= #KEYS - 3 then return 'again' end
for k = 4, #KEYS do
  local slot = slot_of(KEYS[k], ARGV[2])
  if not slot then return 'again' end
  if slot.off < tonumber(ARGV[3]) then return 'held' end
end
if floor_slot(KEYS[2], ARGV[2]).off < tonumber(ARGV[3]) then
  redis.call('HDEL', KEYS[2], ARGV[2])
  redis.call('HSET', KEYS[2], ARGV[2], ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. ARGV[5])
end
return 'raised'
