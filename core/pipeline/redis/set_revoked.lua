-- Replaces a partition's revoked set and raises its least registry version, unless a newer one is in force.
-- KEYS  1 partition's state · 2 its revoked set
-- ARGV  1 generation · 2 version · 3 … producers
-- Gives '1' if it is now the one in force, '0' if a newer one is, or {'generation', the true one}.
local lost = other_generation(KEYS[1], ARGV[1])
if lost then return lost end
if tonumber(ARGV[2]) < tonumber(redis.call('HGET', KEYS[1], 'version_min')) then return '0' end
-- Removing comes first: a full server allows it, and after it the rest. Not by DEL: nobody on the servers needs the right to it.
redis.call('SPOP', KEYS[2], redis.call('SCARD', KEYS[2]))
for a = 3, #ARGV do redis.call('SADD', KEYS[2], ARGV[a]) end
redis.call('HSET', KEYS[1], 'version_min', ARGV[2])
return '1'
