-- Prolongs a member's leases; what it holds beyond its fair share is given up.
-- KEYS  1 bus's state · 2 the group
-- ARGV  1 generation · 2 member · 3 lease in milliseconds · 4 partitions of the bus · then two for each lease, by partition: part, token
-- Gives {{part, token, off, received_us, hash} …} of what is still held, or {'generation', the true one}.
local lost = other_generation(KEYS[1], ARGV[1])
if lost then return lost end
local group, member, partitions = KEYS[2], ARGV[2], tonumber(ARGV[4])
local until_us = clock_us() + tonumber(ARGV[3]) * 1000
local raw = redis.call('HGET', group, 'm' .. member)
local parts_max = raw and string.match(raw, ' (%d+)$') or text((#ARGV - 4) / 2)
redis.call('HDEL', group, 'm' .. member)
redis.call('HSET', group, 'm' .. member, text(until_us) .. ' ' .. parts_max)
local most = quota(group, member, partitions, tonumber(parts_max))
local answer = {}
for a = 5, #ARGV, 2 do
  local slot = held_slot(group, ARGV[a], member, ARGV[a + 1])
  if slot and #answer >= most then
    slot.owner, slot.token = '', next_token(slot)
    put_slot(group, ARGV[a], slot)
  elseif slot then
    slot.until_us = until_us
    put_slot(group, ARGV[a], slot)
    answer[#answer + 1] = lease_answer(ARGV[a], slot)
  end
end
return answer
