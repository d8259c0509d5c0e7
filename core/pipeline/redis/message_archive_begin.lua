-- Gives a stream an archive, once: from then on nothing goes that is not there.
-- KEYS  1 ends
-- ARGV  1 the id under which the archive is to keep this log
-- Gives 'begun'.
if redis.call('HSETNX', KEYS[1], 'log', ARGV[1]) == 1 then
  redis.call('HSET', KEYS[1], 'archived1', '0', 'archived2', '0', 'archived3', '0', 'archived4', '0')
end
return 'begun'
