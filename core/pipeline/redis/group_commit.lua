-- Moves a group's place forward, under a lease that is still in force.
-- KEYS  1 bus's state · 2 the group
-- ARGV  1 generation · 2 member · 3 part · 4 token · 5 off · 6 received_us · 7 hash in hexadecimal
-- Gives 'committed', 'fenced', 'backward' where nothing was changed, or {'generation', the true one}.
local lost = other_generation(KEYS[1], ARGV[1])
if lost then return lost end
local slot = held_slot(KEYS[2], ARGV[3], ARGV[2], ARGV[4])
if not slot then return 'fenced' end
if tonumber(ARGV[5]) < slot.off then return 'backward' end
slot.off, slot.received_us, slot.hash = tonumber(ARGV[5]), ARGV[6], ARGV[7]
-- A full server allows removing, and after it this: whoever consumes makes room.
redis.call('HDEL', KEYS[2], 's' .. ARGV[3])
put_slot(KEYS[2], ARGV[3], slot)
return 'committed'
