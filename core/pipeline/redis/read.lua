-- Entries right after an entry, bounded by number and by bytes of header and payload; the first one comes whatever its size.
-- KEYS  1 partition's state · 2 its log
-- ARGV  1 generation · 2 offset, or '' for the low mark · 3 hash of the entry there · 4 most entries · 5 most bytes
-- Gives {'entries', from, off of the last entry, entries as XRANGE gives them …}, {'trimmed', low mark}, {'behind', off of the last entry},
--       {'hole', offset} or {'diverged', offset} where the entry there is gone or another one, or {'generation', the true one}.
local state = redis.call('HMGET', KEYS[1], 'generation', 'off', 'low_off', 'hash', 'low_hash')
if state[1] ~= ARGV[1] then return { 'generation', state[1] or '' } end
local from = tonumber(ARGV[2] == '' and state[3] or ARGV[2])
if from < tonumber(state[3]) then return { 'trimmed', state[3] } end
if from > tonumber(state[2]) then return { 'behind', state[2] } end
local at = text(from) .. '-0'
if ARGV[2] ~= '' then
  -- A master that took over without the last entries goes on from fewer: a reader that has seen them must not read on as if they were the same.
  local hash
  if from == tonumber(state[2]) then
    hash = state[4]
  elseif from == tonumber(state[3]) then
    hash = state[5]
  else
    local entry = redis.call('XRANGE', KEYS[2], at, at)[1]
    if not entry then return { 'hole', text(from) } end
    hash = string.sub(meta_of(entry) or '', 1, 32)
  end
  if hash ~= ARGV[3] then return { 'diverged', text(from) } end
end
local answer = { 'entries', text(from), state[2] }
local entries_max, bytes_max = tonumber(ARGV[4]), tonumber(ARGV[5])
local count, bytes = 0, 0
while count < entries_max do
  -- As many at once as the last ones let expect, so that little is looked at in vain.
  local most = count == 0 and 1 or math.max(1, math.min(256, math.floor((bytes_max - bytes) / (bytes / count + 1)) + 1))
  local found = redis.call('XRANGE', KEYS[2], '(' .. at, '+', 'COUNT', math.min(most, entries_max - count))
  if #found == 0 then return answer end
  for _, entry in ipairs(found) do
    bytes = bytes + #(entry[2][6] or '') + #(entry[2][12] or '')
    if count > 0 and bytes > bytes_max then return answer end
    count = count + 1
    at = entry[1]
    answer[#answer + 1] = entry
  end
end
return answer
