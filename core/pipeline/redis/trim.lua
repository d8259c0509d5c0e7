-- Removes the oldest entries of a partition and moves its low mark. Entries never change, so what the caller has read of them still holds.
-- KEYS  1 partition's state · 2 its log · 3 … producers' hashes, each once
-- ARGV  1 generation · 2 low mark before · 3 off, 4 received_us and 5 hash (raw) of the last entry to go · then four for each entry:
--       its producer's place among the KEYS, epoch, first_seq, last_seq
-- Gives {'trimmed', low mark}; where somebody else was faster, the low mark is another one.
-- First come writes that a full server allows; after them it allows the others of the same script.
local state = redis.call('HMGET', KEYS[1], 'generation', 'low_off')
if state[1] ~= ARGV[1] then return { 'generation', state[1] or '' } end
if state[2] ~= ARGV[2] then return { 'trimmed', state[2] } end
redis.call('XTRIM', KEYS[2], 'MINID', text(tonumber(ARGV[3]) + 1) .. '-0')
local lows = {}
for a = 6, #ARGV, 4 do
  local place = tonumber(ARGV[a])
  redis.call('HDEL', KEYS[place], 'f:' .. ARGV[a + 1] .. '.' .. ARGV[a + 2])
  lows[place] = { tonumber(ARGV[a + 1]), tonumber(ARGV[a + 3]) }
end
for place, low in pairs(lows) do
  local raw = redis.call('HGET', KEYS[place], 'head')
  if raw then
    local head = decode_head(raw)
    head.low_epoch, head.low_seq = low[1], low[2]
    redis.call('HSET', KEYS[place], 'head', encode_head(head))
  end
end
redis.call('HSET', KEYS[1], 'low_off', ARGV[3], 'low_received_us', ARGV[4], 'low_hash', ARGV[5])
return { 'trimmed', ARGV[3] }
