-- Where a partition ends, and when the entry behind each of some offsets was received.
-- KEYS  1 partition's state · 2 its log
-- ARGV  offsets
-- Gives {off, low_off, received_us or '' …}.
local state = redis.call('HMGET', KEYS[1], 'off', 'low_off')
local answer = { state[1] or '0', state[2] or '0' }
for _, given in ipairs(ARGV) do
  local from = math.max(tonumber(given), tonumber(answer[2]))
  local entry = from < tonumber(answer[1]) and redis.call('XRANGE', KEYS[2], text(from + 1) .. '-0', '+', 'COUNT', 1)[1]
  answer[#answer + 1] = entry and entry[2][2] or ''
end
return answer
