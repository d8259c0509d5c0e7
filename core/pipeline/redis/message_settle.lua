-- Ends deliveries of one group, each if it is still the current one.
-- KEYS  1 the group · 2 what is out · 3 … 6 due, of priorities 1 to 4
-- ARGV  six for each: priority, off, token, 'done', 'missing', 'retry' or 'release', reason, delay in milliseconds
-- Missing is what the archive did not have: it ends, and is counted.
-- Gives 'settled' or 'fenced' for each.
local answer, now, token = {}, clock_us(), nil
local batches, by_itself, standing = batches_of(KEYS[1], tokens_named(1, 6)), {}, {}

-- Where this delivery is open in its batch.
local function in_batch(a)
  local batch = batches[ARGV[a + 2]]
  return batch and open_at(batch, tonumber(ARGV[a]), tonumber(ARGV[a + 1]))
end

for a = 1, #ARGV, 6 do
  if not in_batch(a) then by_itself[#by_itself + 1] = ARGV[a] .. ':' .. ARGV[a + 1] end
end
local found = #by_itself > 0 and outs(KEYS[2], by_itself) or {}
for at, place in ipairs(by_itself) do standing[place] = found[at] end
for a = 1, #ARGV, 6 do
  local at, priority, off, kind = (a + 5) / 6, ARGV[a], ARGV[a + 1], ARGV[a + 3]
  local batch, place = batches[ARGV[a + 2]], in_batch(a)
  local out = place and alone(batch, ARGV[a + 2]) or standing[priority .. ':' .. off]
  if not out or out.token ~= tonumber(ARGV[a + 2]) then
    answer[at] = 'fenced'
  else
    answer[at] = 'settled'
    if place then close_at(batch, place) end
    standing[priority .. ':' .. off] = nil
    if kind == 'done' or kind == 'missing' then
      if kind == 'missing' then redis.call('HINCRBY', KEYS[1], 'missing', 1) end
      if not place then drop_out(priority, off) end
    else
      if kind == 'retry' then
        out.failures = out.failures .. failure(now, out.member, ARGV[a + 4])
        out.due = now + tonumber(ARGV[a + 5]) * 1000
      else
        out.deliveries = out.deliveries - 1
        out.due = now
      end
      token = token_after(token or field(KEYS[1], 'token'), now)
      out.member, out.token = '', token
      put_out(priority, off, encode_out(out), text(out.due))
    end
  end
end
write_batches(KEYS[1], batches)
write_outs(KEYS[2], { KEYS[3], KEYS[4], KEYS[5], KEYS[6] })
if token then redis.call('HSET', KEYS[1], 'token', text(token)) end
return answer
