-- Adds messages to one stream.
-- KEYS  1 ends · 2 ids · 3 … 6 logs of priorities 1 to 4
-- ARGV  1 most entries and 2 bytes of the hot part · 3 and 4 of the stream · then three for each message: priority, id, JSON
-- Gives for each what add says.
local messages = {}
for a = 5, #ARGV, 3 do messages[#messages + 1] = { ARGV[a], ARGV[a + 1], ARGV[a + 2] } end
local answer, refusal = add(KEYS[1], KEYS[2], { KEYS[3], KEYS[4], KEYS[5], KEYS[6] }, bounds_at(1), bounds_at(3), messages)
return answer or refusal
