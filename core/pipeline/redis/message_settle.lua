-- Ends deliveries of one group, each if it is still the current one.
-- KEYS  1 the group · 2 what is out · 3 … 6 due, of priorities 1 to 4
-- ARGV  six for each: priority, off, token, 'done', 'missing', 'retry' or 'release', reason, delay in milliseconds
-- Missing is what the archive did not have: it ends, and is counted.
-- Gives 'settled' or 'fenced' for each.
local places, answer, now = {}, {}, clock_us()
for a = 1, #ARGV, 6 do places[#places + 1] = ARGV[a] .. ':' .. ARGV[a + 1] end
local found, token = outs(KEYS[2], places), nil
local standing = {}
for at, place in ipairs(places) do standing[place] = found[at] end
for at, place in ipairs(places) do
  local a = 6 * at - 5
  local priority, off, kind, out = ARGV[a], ARGV[a + 1], ARGV[a + 3], standing[place]
  if not out or out.token ~= tonumber(ARGV[a + 2]) then
    answer[at] = 'fenced'
  else
    answer[at] = 'settled'
    if kind == 'done' or kind == 'missing' then
      if kind == 'missing' then redis.call('HINCRBY', KEYS[1], 'missing', 1) end
      standing[place] = nil
      drop_out(priority, off)
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
write_outs(KEYS[2], { KEYS[3], KEYS[4], KEYS[5], KEYS[6] })
if token then redis.call('HSET', KEYS[1], 'token', text(token)) end
return answer
