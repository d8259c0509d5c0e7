-- A group that keeps its place elsewhere (the engine, beside its rows) tells how far it has come: trimming and backpressure go by it.
-- KEYS  1 the group · 2 set of groups · 3 floors
-- ARGV  1 group's name · 2 partitions of the bus · then four for each: part, off, received_us, hash in hexadecimal
-- A full server allows removing, and after it the rest: whoever consumes makes room.
redis.call('HDEL', KEYS[1], 'noted')
begin_group(KEYS[1], KEYS[2], KEYS[3], ARGV[1], tonumber(ARGV[2]))
for a = 3, #ARGV, 4 do
  local slot = slot_of(KEYS[1], ARGV[a])
  if slot and tonumber(ARGV[a + 1]) > slot.off then
    slot.off, slot.received_us, slot.hash = tonumber(ARGV[a + 1]), ARGV[a + 2], ARGV[a + 3]
    put_slot(KEYS[1], ARGV[a], slot)
  end
end
return 'noted'
