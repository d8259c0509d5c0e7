-- Sets a group to another place and voids the current token.
-- KEYS  1 the group · 2 set of groups · 3 floors
-- ARGV  1 group's name · 2 partitions of the bus · 3 part · 4 off, or '' for the floor · 5 received_us · 6 hash in hexadecimal
begin_group(KEYS[1], KEYS[2], KEYS[3], ARGV[1], tonumber(ARGV[2]))
local slot = slot_of(KEYS[1], ARGV[3])
local place = floor_slot(KEYS[3], ARGV[3])
if ARGV[4] ~= '' and tonumber(ARGV[4]) >= place.off then
  place.off, place.received_us, place.hash = tonumber(ARGV[4]), ARGV[5], ARGV[6]
end
place.token = next_token(slot)
put_slot(KEYS[1], ARGV[3], place)
return 'rewound'
