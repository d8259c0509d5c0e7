-- Raises the least registry version; never lowers it.
-- KEYS  1 bus's state
-- ARGV  1 generation · 2 version
-- Gives '1' if it is now the one in force, '0' if a newer one is, or {'generation', the true one}.
local lost = other_generation(KEYS[1], ARGV[1])
if lost then return lost end
if tonumber(ARGV[2]) < tonumber(redis.call('HGET', KEYS[1], 'version') or '0') then return '0' end
-- A full server allows removing, and after it the rest.
redis.call('HDEL', KEYS[1], 'version')
redis.call('HSET', KEYS[1], 'version', ARGV[2])
return '1'
