-- One partition of the bus. Made only while the bus is being prepared for the first time: a partition that is missing later has been lost.
-- KEYS  1 partition's state · 2 its log
-- ARGV  1 generation · 2 '1' if it may be made · 3 epoch_openings_per_day_max
-- Gives {generation of the partition, or '' where there is none}.
local generation = redis.call('HGET', KEYS[1], 'generation')
if not generation and ARGV[2] == '1' and redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'off', '0', 'received_us', '0', 'hash', string.rep('\0', 32), 'low_off', '0', 'low_received_us', '0',
    'low_hash', string.rep('\0', 32), 'paused', '', 'version_min', '0')
  generation = ARGV[1]
end
if generation == ARGV[1] then redis.call('HSET', KEYS[1], 'epoch_openings_per_day_max', ARGV[3]) end
return { generation or '' }
