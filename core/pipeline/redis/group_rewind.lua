-- Sets a group to another place and voids the current token.
-- KEYS  1 bus's state · 2 the group · 3 set of groups · 4 floors
-- ARGV  1 generation · 2 group's name · 3 partitions of the bus · 4 part · 5 off, or '' for the floor · 6 received_us · 7 hash in hexadecimal
-- Gives 'rewound', or {'generation', the true one}.
local lost = other_generation(KEYS[1], ARGV[1])
if lost then return lost end
local slot = slot_of(KEYS[2], ARGV[4])
-- A full server allows removing, and after it the rest.
redis.call('HDEL', KEYS[2], 's' .. ARGV[4])
begin_group(KEYS[2], KEYS[3], KEYS[4], ARGV[2], tonumber(ARGV[3]))
local place = floor_slot(KEYS[4], ARGV[4])
if ARGV[5] ~= '' and tonumber(ARGV[5]) >= place.off then
  place.off, place.received_us, place.hash = tonumber(ARGV[5]), ARGV[6], ARGV[7]
end
place.token = next_token(slot or place)
put_slot(KEYS[2], ARGV[4], place)
return 'rewound'
