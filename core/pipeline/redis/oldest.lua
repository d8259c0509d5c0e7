-- Where a partition ends, and when the entry behind each of some offsets was received.
-- KEYS  1 partition's state · 2 its log
-- ARGV  1 generation · 2 … offsets
-- Gives {off, low_off, received_us or '' …}, or {'generation', the true one}.
local lost = other_generation(KEYS[1], ARGV[1])
if lost then return lost end
local answer = redis.call('HMGET', KEYS[1], 'off', 'low_off')
for a = 2, #ARGV do
  local from = math.max(tonumber(ARGV[a]), tonumber(answer[2]))
  local entry = from < tonumber(answer[1]) and redis.call('XRANGE', KEYS[2], text(from + 1) .. '-0', '+', 'COUNT', 1)[1]
  answer[#answer + 1] = entry and meta_of(entry) and entry[2][2] or ''
end
return answer
