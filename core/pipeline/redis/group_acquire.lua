-- Announces a member and takes free or expired partitions, up to its fair share.
-- KEYS  1 bus's state · 2 the group · 3 set of groups · 4 floors
-- ARGV  1 generation · 2 group's name · 3 member · 4 lease in milliseconds · 5 most partitions · 6 partitions of the bus · then two for each lease held:
--       part, token
-- Gives {{part, token, off, received_us, hash} …} of what was newly taken, or {'generation', the true one}.
local lost = other_generation(KEYS[1], ARGV[1])
if lost then return lost end
local group, member, partitions = KEYS[2], ARGV[3], tonumber(ARGV[6])
-- A full server allows this write, and after it the others: whoever consumes makes room.
redis.call('HDEL', group, 'm' .. member)
begin_group(group, KEYS[3], KEYS[4], ARGV[2], partitions)
local now = clock_us()
local until_us = now + tonumber(ARGV[4]) * 1000
for _, field in ipairs(redis.call('HKEYS', group)) do
  if string.sub(field, 1, 1) == 'm' and tonumber(string.match(redis.call('HGET', group, field), '^%d+')) <= now then redis.call('HDEL', group, field) end
end
redis.call('HSET', group, 'm' .. member, text(until_us) .. ' ' .. ARGV[5])
local held, count = {}, 0
for a = 7, #ARGV, 2 do
  local slot = held_slot(group, ARGV[a], member, ARGV[a + 1])
  if slot and slot.until_us > now then
    held[ARGV[a]] = true
    count = count + 1
  end
end
local room = quota(group, member, partitions, tonumber(ARGV[5])) - count
local answer = {}
for number = 0, partitions - 1 do
  if room <= 0 then break end
  local part = text(number)
  local slot = slot_of(group, part)
  if slot and not held[part] and (slot.owner == '' or slot.owner == member or slot.until_us <= now) then
    slot.owner, slot.until_us, slot.token = member, until_us, next_token(slot)
    put_slot(group, part, slot)
    room = room - 1
    answer[#answer + 1] = lease_answer(part, slot)
  end
end
return answer
