-- Adds messages to one stream.
-- KEYS  1 ends · 2 ids · 3 … 6 logs of priorities 1 to 4
-- ARGV  1 most entries · then three for each message: priority, id, JSON
-- Gives for each the offset, 'duplicate' or 'full'.
local answer = {}
for a = 2, #ARGV, 3 do
  answer[#answer + 1] = add(KEYS[1], KEYS[2], KEYS[2 + tonumber(ARGV[a])], ARGV[a], tonumber(ARGV[1]), ARGV[a + 1], ARGV[a + 2])
end
return answer
