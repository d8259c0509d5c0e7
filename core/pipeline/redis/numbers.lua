-- Prelude of every script.
-- Numbers travel as decimal text both ways: Lua's are doubles, exact up to 2^53, and tostring() would round what is longer than 14 digits.
local function text(number) return string.format('%.0f', number) end

-- The server's clock in microseconds.
local function clock_us()
  local now = redis.call('TIME')
  return tonumber(now[1]) * 1000000 + tonumber(now[2])
end

-- Whether an XADD failed because the log goes on behind our last entry: somebody has added one.
local function is_occupied(reply) return type(reply) == 'table' and reply.err and string.find(reply.err, 'equal or smaller', 1, true) and true or false end

-- What to answer where the state at this key is not of the caller's bus, or gone; else nil.
local function other_generation(state, generation)
  local found = redis.call('HGET', state, 'generation')
  if found == generation then return nil end
  return { 'generation', found or '' }
end
