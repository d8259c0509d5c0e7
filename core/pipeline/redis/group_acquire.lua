-- Announces a member and takes free or expired partitions, up to its fair share.
-- KEYS  1 the group · 2 set of groups · 3 floors
-- ARGV  1 group's name · 2 member · 3 lease in milliseconds · 4 most partitions · 5 partitions of the bus · then two for each lease held: part, token
-- Gives {{part, token, off, received_us, hash} …} of what was newly taken.
local group, member, partitions = KEYS[1], ARGV[2], tonumber(ARGV[5])
-- A full server allows this write, and after it the others: whoever consumes makes room.
redis.call('HDEL', group, 'm' .. member)
begin_group(group, KEYS[2], KEYS[3], ARGV[1], partitions)
local now = clock_us()
local until_us = now + tonumber(ARGV[3]) * 1000
for _, field in ipairs(redis.call('HKEYS', group)) do
  if string.sub(field, 1, 1) == 'm' and tonumber(string.match(redis.call('HGET', group, field), '^%d+')) <= now then redis.call('HDEL', group, field) end
end
redis.call('HSET', group, 'm' .. member, text(until_us) .. ' ' .. ARGV[4])
local held, count = {}, 0
for a = 6, #ARGV, 2 do
  local slot = held_slot(group, ARGV[a], member, ARGV[a + 1])
  if slot and slot.until_us > now then
    held[ARGV[a]] = true
    count = count + 1
  end
end
local room = quota(group, member, partitions, tonumber(ARGV[4])) - count
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
