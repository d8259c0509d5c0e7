-- Raises the least registry version; never lowers it.
-- KEYS  1 bus's state
-- ARGV  1 version
-- Gives '1' if it is now the one in force, '0' if a newer one is.
if tonumber(ARGV[1]) < tonumber(redis.call('HGET', KEYS[1], 'version') or '0') then return '0' end
redis.call('HSET', KEYS[1], 'version', ARGV[1])
return '1'
