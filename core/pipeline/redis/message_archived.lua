-- Notes up to where the archive holds the entries of one priority.
-- KEYS  1 ends · 2 the log of this priority
-- ARGV  1 priority · 2 offset of the last entry that was copied · 3 id of its message
-- Gives 'noted', or 'lost' where the log does not hold that entry (any more): then what was copied is not known to be what it holds.
local entry = redis.call('XRANGE', KEYS[2], ARGV[2] .. '-0', ARGV[2] .. '-0')[1]
if not entry or entry[2][4] ~= ARGV[3] then return 'lost' end
-- A full server allows this write, and after it the other: what is archived may leave its memory.
redis.call('XTRIM', KEYS[2], 'MINID', '0-0')
redis.call('HSET', KEYS[1], 'archived' .. ARGV[1], ARGV[2])
return 'noted'
