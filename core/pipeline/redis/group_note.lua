-- A group that keeps its place elsewhere (the engine, beside its rows) tells how far it has come: trimming and backpressure go by it.
-- KEYS  1 bus's state · 2 the group · 3 set of groups · 4 floors
-- ARGV  1 generation · 2 group's name · 3 partitions of the bus · then four for each: part, off, received_us, hash in hexadecimal
-- Gives 'noted', or {'generation', the true one}.
local lost = other_generation(KEYS[1], ARGV[1])
if lost then return lost end
-- A full server allows removing, and after it the rest: whoever consumes makes room.
redis.call('HDEL', KEYS[2], 'noted')
begin_group(KEYS[2], KEYS[3], KEYS[4], ARGV[2], tonumber(ARGV[3]))
for a = 4, #ARGV, 4 do
  local slot = slot_of(KEYS[2], ARGV[a])
  if slot and tonumber(ARGV[a + 1]) > slot.off then
    slot.off, slot.received_us, slot.hash = tonumber(ARGV[a + 1]), ARGV[a + 2], ARGV[a + 3]
    put_slot(KEYS[2], ARGV[a], slot)
  end
end
return 'noted'
