-- Moves a group's place forward, under a lease that is still in force.
-- KEYS  1 the group
-- ARGV  1 member · 2 part · 3 token · 4 off · 5 received_us · 6 hash in hexadecimal
-- Gives 'committed', 'fenced', or 'backward' where nothing was changed.
local slot = held_slot(KEYS[1], ARGV[2], ARGV[1], ARGV[3])
if not slot then return 'fenced' end
if tonumber(ARGV[4]) < slot.off then return 'backward' end
slot.off, slot.received_us, slot.hash = tonumber(ARGV[4]), ARGV[5], ARGV[6]
-- A full server allows removing, and after it this: whoever consumes makes room.
redis.call('HDEL', KEYS[1], 's' .. ARGV[2])
put_slot(KEYS[1], ARGV[2], slot)
return 'committed'
