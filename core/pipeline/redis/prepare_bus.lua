-- The bus's own facts, once. A second call changes nothing but what may be configured later.
-- KEYS  1 bus's state
-- ARGV  1 a fresh generation · 2 partitions · 3 in_flight_bytes_max
-- Gives {generation, partitions, '1' once all partitions are prepared, else '0'}.
-- A full server allows removing, and after it the rest: a keeper that starts anew makes room.
redis.call('HDEL', KEYS[1], 'in_flight_bytes_max')
redis.call('HSETNX', KEYS[1], 'generation', ARGV[1])
if redis.call('HGET', KEYS[1], 'prepared') ~= '1' then
  redis.call('HSET', KEYS[1], 'partitions', ARGV[2], 'prepared', '0', 'version', '0', 'paused', '')
end
redis.call('HSET', KEYS[1], 'in_flight_bytes_max', ARGV[3])
return redis.call('HMGET', KEYS[1], 'generation', 'partitions', 'prepared')
