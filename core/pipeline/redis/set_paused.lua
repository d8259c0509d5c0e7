-- Why no frames are taken now; in one step, so that one word follows another without a gap in which frames are.
-- KEYS  1 state of the bus or of a partition
-- ARGV  1 generation · 2 reason, or '' to open
-- Gives 'set', or {'generation', the true one}.
local lost = other_generation(KEYS[1], ARGV[1])
if lost then return lost end
-- A full server allows removing, and after it the rest.
redis.call('HDEL', KEYS[1], 'paused')
redis.call('HSET', KEYS[1], 'paused', ARGV[2])
return 'set'
