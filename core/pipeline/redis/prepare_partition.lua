-- One partition of the bus. Made only while the bus is being prepared for the first time: a partition that is missing later has been lost. A
-- partition that goes on from another log begins right after an entry of that one.
-- KEYS  1 partition's state · 2 its log
-- ARGV  1 generation · 2 '1' if it may be made · 3 epoch_openings_per_day_max · 4 off, 5 received_us and 6 hash (raw) of the entry that it begins after
-- Gives {generation of the partition, or '' where there is none}.
local generation = redis.call('HGET', KEYS[1], 'generation')
if ARGV[2] == '1' and redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'off', ARGV[4], 'received_us', ARGV[5], 'hash', ARGV[6], 'low_off', ARGV[4], 'low_received_us', ARGV[5],
    'low_hash', ARGV[6], 'paused', '', 'version_min', '0')
  generation = ARGV[1]
end
if generation == ARGV[1] then
  -- A full server allows removing, and after it the rest.
  redis.call('HDEL', KEYS[1], 'epoch_openings_per_day_max')
  redis.call('HSET', KEYS[1], 'epoch_openings_per_day_max', ARGV[3])
end
return { generation or '' }
