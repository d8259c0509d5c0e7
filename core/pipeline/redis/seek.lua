-- The last entry received before a time: offsets are dense and times never fall, so halving finds it.
-- KEYS  1 partition's state · 2 its log
-- ARGV  1 generation · 2 time in microseconds
-- Gives {off, received_us, hash}, off '0' where nothing lies before; or {'generation', the true one}.
local state = redis.call('HMGET', KEYS[1], 'generation', 'off', 'low_off', 'low_received_us', 'low_hash')
if state[1] ~= ARGV[1] then return { 'generation', state[1] or '' } end
local before = tonumber(ARGV[2])
local low, high = tonumber(state[3]), tonumber(state[2])
local found = { state[3], state[4], state[5] }
while low < high do
  local middle = math.floor((low + high + 1) / 2)
  local id = text(middle) .. '-0'
  local entry = redis.call('XRANGE', KEYS[2], id, id)[1]
  local meta = meta_of(entry)
  -- A hole, or none of ours: whoever reads from here on will be told.
  if not meta then return found end
  if tonumber(entry[2][2]) < before then
    low = middle
    found = { text(middle), entry[2][2], string.sub(meta, 1, 32) }
  else
    high = middle - 1
  end
end
return found
