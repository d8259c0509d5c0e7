-- A gate's lease of the in-flight budget (R-14): max-min fair by want among the leases in force, as gate_leases.ts says.
-- KEYS  1 bus's state · 2 leases
-- ARGV  1 generation · 2 incarnation · 3 bytes wanted, more than 0 · 4 lease in milliseconds
-- Gives bytes, or {'generation', the true one}. A lease is "want bytes until_us".
local lost = other_generation(KEYS[1], ARGV[1])
if lost then return lost end
local now = clock_us()
local want = tonumber(ARGV[3])
-- A full server allows removing, and after it the rest: a gate that is new must be told that it is full.
redis.call('HDEL', KEYS[2], ARGV[2])
local budget = tonumber(redis.call('HGET', KEYS[1], 'in_flight_bytes_max'))
local wants, taken = {}, 0
local found = redis.call('HGETALL', KEYS[2])
for i = 1, #found, 2 do
  local other_want, bytes, until_us = string.match(found[i + 1], '^(%d+) (%d+) (%d+)$')
  if tonumber(until_us) <= now then
    redis.call('HDEL', KEYS[2], found[i])
  else
    wants[#wants + 1] = tonumber(other_want)
    taken = taken + tonumber(bytes)
  end
end
table.sort(wants)
local left, count = budget, #wants + 1
for _, other in ipairs(wants) do
  if other > math.floor(left / count) then break end
  left = left - other
  count = count - 1
end
local bytes = math.max(0, math.min(want, budget - taken, math.floor(left / count)))
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3] .. ' ' .. text(bytes) .. ' ' .. text(now + tonumber(ARGV[4]) * 1000))
return text(bytes)
