-- What trimming must know of the oldest entries.
-- KEYS  1 partition's log
-- ARGV  1 offset up to which entries may go · 2 most entries
-- Gives {{off, received_us, meta} …}.
local answer = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', ARGV[1] .. '-0', 'COUNT', ARGV[2])) do
  answer[#answer + 1] = { string.match(entry[1], '^%d+'), entry[2][2], entry[2][4] }
end
return answer
