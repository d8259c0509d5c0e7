-- Entries right after an offset, bounded by number and by bytes of header and payload; the first one comes whatever its size.
-- KEYS  1 partition's state · 2 its log
-- ARGV  1 generation · 2 offset, or '' for the low mark · 3 most entries · 4 most bytes
-- Gives {'entries', from, off of the last entry, entries as XRANGE gives them …}, {'trimmed', low mark}, {'diverged', off of the last entry} or
--       {'generation', the true one}.
local state = redis.call('HMGET', KEYS[1], 'generation', 'off', 'low_off')
if state[1] ~= ARGV[1] then return { 'generation', state[1] or '' } end
local from = tonumber(ARGV[2] == '' and state[3] or ARGV[2])
if from < tonumber(state[3]) then return { 'trimmed', state[3] } end
if from > tonumber(state[2]) then return { 'diverged', state[2] } end
local answer = { 'entries', text(from), state[2] }
local entries_max, bytes_max = tonumber(ARGV[3]), tonumber(ARGV[4])
local count, bytes, at = 0, 0, from
while count < entries_max do
  -- As many at once as the last ones let expect, so that little is looked at in vain.
  local most = count == 0 and 1 or math.max(1, math.min(256, math.floor((bytes_max - bytes) / (bytes / count + 1)) + 1))
  local found = redis.call('XRANGE', KEYS[2], text(at + 1) .. '-0', '+', 'COUNT', math.min(most, entries_max - count))
  if #found == 0 then return answer end
  for _, entry in ipairs(found) do
    bytes = bytes + #entry[2][6] + #entry[2][12]
    if count > 0 and bytes > bytes_max then return answer end
    count = count + 1
    at = tonumber(string.match(entry[1], '^%d+'))
    answer[#answer + 1] = entry
  end
end
return answer
