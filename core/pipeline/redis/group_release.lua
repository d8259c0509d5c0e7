-- Gives leases back: their tokens are void at once. A member that holds nothing any more is gone.
-- KEYS  1 bus's state · 2 the group
-- ARGV  1 generation · 2 member · 3 partitions of the bus · then two for each lease: part, token
-- Gives 'released', or {'generation', the true one}.
local lost = other_generation(KEYS[1], ARGV[1])
if lost then return lost end
local group, member = KEYS[2], ARGV[2]
local raw = redis.call('HGET', group, 'm' .. member)
redis.call('HDEL', group, 'm' .. member)
for a = 4, #ARGV, 2 do
  local slot = held_slot(group, ARGV[a], member, ARGV[a + 1])
  if slot then
    slot.owner, slot.token = '', next_token(slot)
    put_slot(group, ARGV[a], slot)
  end
end
for part = 0, tonumber(ARGV[3]) - 1 do
  local slot = slot_of(group, text(part))
  if raw and slot and slot.owner == member then
    redis.call('HSET', group, 'm' .. member, raw)
    break
  end
end
return 'released'
