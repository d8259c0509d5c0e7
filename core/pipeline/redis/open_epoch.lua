-- Seals a producer's epoch and opens the next one (R-6). Mirrors openEpoch of append_machine.ts.
-- KEYS  1 partition's state · 2 its revoked set · 3 the producer's hash · 4 ids of the partition's producers
-- ARGV  1 generation · 2 partition · 3 registry version · 4 expected epoch · 5 key id · 6 least offset of the partition's end that
--       the gate knows of
-- Gives {'opened', head}, {'conflict', head or '', stored or ''}, {'limited', milliseconds}, {'revoked'}, {'stale_registry'}, {'lost', off, why the
-- partition is paused or ''} or {'generation', the true one}.
local day_us = 86400000000
local state = redis.call('HMGET', KEYS[1], 'generation', 'version_min', 'epoch_openings_per_day_max', 'off', 'paused')
if state[1] ~= ARGV[1] then return { 'generation', state[1] or '' } end
if tonumber(ARGV[3]) < tonumber(state[2]) then return { 'stale_registry' } end
if tonumber(state[4]) < tonumber(ARGV[6]) or state[5] == 'log_lost' then return { 'lost', state[4], state[5] or '' } end
if redis.call('SISMEMBER', KEYS[2], string.sub(KEYS[3], -36)) == 1 then return { 'revoked' } end

local found = redis.call('HMGET', KEYS[3], 'head', 'stored', 'opened')
local head = decode_head(found[1])
if tonumber(ARGV[4]) ~= head.epoch then
  redis.call('HSET', KEYS[1], 'barrier', text(clock_us()))
  return { 'conflict', found[1] or '', found[2] or '' }
end
local now = clock_us()
local most = tonumber(state[3])
local recent = {}
for opened in string.gmatch(found[3] or '', '%d+') do
  if tonumber(opened) > now - day_us then recent[#recent + 1] = opened end
end
local oldest = recent[#recent - most + 1]
if oldest then return { 'limited', text(math.ceil((tonumber(oldest) + day_us - now) / 1000)) } end

if head.seq > 0 then
  head.prev_epoch, head.prev_seq, head.prev_hash = head.epoch, head.seq, head.hash
else
  head.hash = head.prev_hash
end
head.epoch = head.epoch + 1
head.seq = 0
head.part = tonumber(ARGV[2])
head.offered = 0
recent[#recent + 1] = text(now)
redis.call('SADD', KEYS[4], string.sub(KEYS[3], -36))
redis.call('HSET', KEYS[3], 'head', encode_head(head), 'opened', table.concat(recent, ' ', math.max(1, #recent - most + 1)), 'key_id', ARGV[5])
return { 'opened', encode_head(head) }
