-- Ends deliveries of one group, each if it is still the current one.
-- KEYS  1 the group · 2 what is out · 3 … 6 due, of priorities 1 to 4
-- ARGV  for those that end alike and follow one another: 'done', 'missing', 'retry' or 'release', token, priority, reason, delay in milliseconds, how many they
--       are, and the offset of each
-- Missing is what the archive did not have: it ends, and is counted.
-- Gives 'settled' or 'fenced' for each.
local answer, now, token = {}, clock_us(), nil

-- Where in ARGV those begin that end alike.
local alike, tokens, next_at = {}, {}, 1
while next_at <= #ARGV do
  alike[#alike + 1], tokens[#tokens + 1] = next_at, ARGV[next_at + 1]
  next_at = next_at + 6 + tonumber(ARGV[next_at + 5])
end
local batches, by_itself, standing = batches_of(KEYS[1], tokens), {}, {}

-- Calls with each delivery: where those that end as it does begin, and its offset.
local function each_end(call)
  for _, a in ipairs(alike) do
    for at = a + 6, a + 5 + tonumber(ARGV[a + 5]) do call(a, ARGV[at]) end
  end
end

-- Where this delivery is open in its batch.
local function in_batch(a, off)
  local batch = batches[ARGV[a + 1]]
  return batch and open_at(batch, tonumber(ARGV[a + 2]), tonumber(off))
end

each_end(function(a, off)
  if not in_batch(a, off) then by_itself[#by_itself + 1] = ARGV[a + 2] .. ':' .. off end
end)
local found = #by_itself > 0 and outs(KEYS[2], by_itself) or {}
for at, where in ipairs(by_itself) do standing[where] = found[at] end

-- It is to come again: at once and uncounted, or later.
local function give_back(a, off, out)
  if ARGV[a] == 'retry' then
    out.failures = out.failures .. failure(now, out.member, ARGV[a + 3])
    out.due = now + tonumber(ARGV[a + 4]) * 1000
  else
    out.deliveries = out.deliveries - 1
    out.due = now
  end
  token = token_after(token or field(KEYS[1], 'token'), now)
  out.member, out.token = '', token
  put_out(ARGV[a + 2], off, encode_out(out), text(out.due))
end

each_end(function(a, off)
  local is_over, where = ARGV[a] == 'done' or ARGV[a] == 'missing', in_batch(a, off)
  if where then
    local batch = batches[ARGV[a + 1]]
    close_at(batch, where)
    if not is_over then give_back(a, off, alone(batch, ARGV[a + 1])) end
  else
    local at = ARGV[a + 2] .. ':' .. off
    local out = standing[at]
    if not out or out.token ~= tonumber(ARGV[a + 1]) then
      answer[#answer + 1] = 'fenced'
      return
    end
    standing[at] = nil
    if is_over then drop_out(ARGV[a + 2], off) else give_back(a, off, out) end
  end
  if ARGV[a] == 'missing' then redis.call('HINCRBY', KEYS[1], 'missing', 1) end
  answer[#answer + 1] = 'settled'
end)
write_batches(KEYS[1], batches)
write_outs(KEYS[2], { KEYS[3], KEYS[4], KEYS[5], KEYS[6] })
if token then redis.call('HSET', KEYS[1], 'token', text(token)) end
return answer
