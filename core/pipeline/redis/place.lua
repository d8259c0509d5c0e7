-- What the log holds at an offset.
-- KEYS  1 partition's state · 2 its log
-- ARGV  1 offset
-- Gives {generation, low_off, low_received_us, low_hash, received_us or '', hash or ''}.
local state = redis.call('HMGET', KEYS[1], 'generation', 'low_off', 'low_received_us', 'low_hash')
local found = redis.call('XRANGE', KEYS[2], ARGV[1] .. '-0', ARGV[1] .. '-0')[1]
local meta = meta_of(found)
return { state[1] or '', state[2] or '0', state[3] or '0', state[4] or '', meta and found[2][2] or '', meta and string.sub(meta, 1, 32) or '' }
